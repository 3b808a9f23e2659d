// A mux session against a peer that sends anything. Promises: only coded errors, events of a stream in an order that
// makes sense, never more streams, unread bytes or answers than it allows, and nothing said that cannot be read.
import type { ErrorCode } from '../../../src/errors.ts'
import { encodeDatagram } from '../../../src/protocol/mux/datagram.ts'
import { decodeFrame, encodeFrame, type Frame } from '../../../src/protocol/mux/frame.ts'
import { MuxSession } from '../../../src/protocol/mux/session.ts'
import type { MuxStream, StreamEvents } from '../../../src/protocol/mux/stream.ts'
import type { Destination } from '../../../src/protocol/request.ts'
import type { Draw } from '../draw.ts'
import { mutate } from '../mutate.ts'
import { attempt, promise, type Target } from '../target.ts'
import { frame } from './mux-frame.ts'

type Role = 'client' | 'gateway'

const RECEIVE_CODES: readonly ErrorCode[] = [
  'address-type-unsupported',
  'credit-exceeded',
  'frame-malformed',
  'frame-too-large',
  'frame-unknown',
  'stream-id-invalid',
]
const GROWTH_BYTES = 100_000
const FIRST_WINDOW_BYTES = { tcp: 64 * 1024, udp: 128 * 1024 }
const MAX_STREAMS = [1, 3, 100, 100] as const
const SITE = { host: 'site.example', port: 443 }
const BOUND = { address: '192.0.2.7', port: 4711 }
/** An entry of an input with this bit in its length is an act of this end. */
const ACT = 0x8000
/** A long run of zeros would be as many sessions. */
const MAX_ENTRIES = 100
const DEPTHS = ['nothing', 'open', 'data', 'ended'] as const

/** Flags, then entries: 16 bits of length and so many bytes of a frame, or `ACT` and what this end does. */
function sessionTarget(role: Role): Target {
  return {
    name: `mux-session-${role}`,
    generate: (draw) => makeInput(draw, role),
    check(input) {
      const flags = input[0] ?? 0
      let end = new End(role, flags)
      let depth = 0
      let entries = 0
      for (let at = 1; at + 1 < input.length && entries < MAX_ENTRIES; entries += 1) {
        const head = input[at]! * 256 + input[at + 1]!
        at += 2
        const step = (): void => {
          if ((head & ACT) !== 0) end.act(head & 0x7fff)
          else end.session.receive(input.subarray(at, at + head))
        }
        end.entries += 1
        const { code } = attempt(RECEIVE_CODES, step)
        if ((head & ACT) === 0) at += head
        end.checkBounds()
        depth = Math.max(depth, end.depth)
        if (code === undefined) continue
        promise((head & ACT) === 0, `an act of this end fails with ${code}`)
        end.finish(code)
        end = new End(role, flags)
      }
      end.finish('tunnel-dead')
      return DEPTHS[depth]!
    },
    deep: { words: ['open', 'data', 'ended'], share: 0.3 },
  }
}

export const muxSessionClient = sessionTarget('client')
export const muxSessionGateway = sessionTarget('gateway')

/** One session and what it told its owner. */
class End {
  readonly session: MuxSession
  entries = 0
  depth = 0
  #flags: number
  #ears: Ear[] = []
  #nowMs = 0
  #answers = 0

  constructor(role: Role, flags: number) {
    this.#flags = flags
    this.session = new MuxSession({
      role,
      maxStreams: MAX_STREAMS[(flags >> 1) & 3]!,
      growthBudgetBytes: GROWTH_BYTES,
      payloadBytes: 500,
      events: {
        open: (stream) => {
          this.#hear(stream)
          if ((flags & 8) === 0) this.session.accept(stream, BOUND)
        },
        goaway: () => {},
        ready: () => {},
      },
    })
    this.session.roundTripMs = 5
    for (let left = role === 'client' ? (flags >> 5) & 3 : 0; left > 0; left -= 1) this.#open()
  }

  /** What this end does of itself. Whatever it is, it must not fail. */
  act(number: number): void {
    const ear = this.#ears[(number >> 4) % Math.max(1, this.#ears.length)]
    this.#nowMs += number & 7
    switch (number & 7) {
      case 0:
        return this.#pull(1 + (number >> 8))
      case 1:
        return this.session.role === 'client' ? this.#open() : ear && this.session.accept(ear.stream, BOUND)
      case 2:
        return ear?.say(Buffer.alloc(number & 0xfff, 0x61))
      case 3:
        return ear?.stream.fin(() => {})
      case 4:
        ear?.stream.reset('stream-cancelled')
        return ear?.giveUp()
      case 5:
        return ear?.consume(this.#nowMs)
      case 6:
        return (number & 0x70) === 0 ? this.session.goaway('shutting-down') : undefined
      default:
        if (this.session.role === 'client' || ear === undefined) return
        this.session.refuse(ear.stream, 'connection-refused', 'ab12')
        return ear.giveUp()
    }
  }

  checkBounds(): void {
    promise(this.session.streamCount <= this.session.maxStreams, 'more streams are open than allowed')
    let windows = 0
    for (const { stream, unread } of this.#ears) {
      if (stream.closed) continue
      promise(unread <= stream.windowBytes, 'more is unread than the window holds')
      windows += stream.windowBytes - FIRST_WINDOW_BYTES[stream.kind]
    }
    promise(windows <= GROWTH_BYTES, 'the windows have grown past their budget')
    for (const ear of this.#ears) this.depth = Math.max(this.depth, ear.depth)
  }

  /** Says why, says all that waits, and ends: every stream that was not over hears it once. */
  finish(code: ErrorCode): void {
    this.session.goaway(code)
    this.#pull(100_000)
    this.session.end(code)
    promise(
      this.session.pull() === undefined && this.session.streamCount === 0,
      'something outlives the session',
    )
    for (const ear of this.#ears) ear.checkOver()
    // Each frame that came and each act of this end is answered by one frame at most.
    promise(this.#answers <= 2 * this.entries + 8, 'it says more than it was asked')
  }

  #open(): void {
    const { code } = attempt(['too-many-streams', 'shutting-down'], () => {
      const ear = new Ear((this.#flags & 16) === 0)
      ear.stream = this.session.open(this.#ears.length % 3 === 2 ? 'udp' : 'tcp', SITE, ear)
      this.#ears.push(ear)
    })
    promise(
      code !== 'too-many-streams' || this.session.streamCount === this.session.maxStreams,
      'there was room',
    )
  }

  #hear(stream: MuxStream): void {
    const ear = new Ear((this.#flags & 16) === 0)
    ear.stream = stream
    ear.state = 'open'
    ear.depth = 1
    stream.events = ear
    this.#ears.push(ear)
  }

  #pull(most: number): void {
    for (let left = most; left > 0; left -= 1) {
      const bytes = this.session.pull()
      if (bytes === undefined) return
      const { type } = decodeFrame(bytes)
      if (type !== 'data' && type !== 'fin') this.#answers += 1
    }
  }
}

/** The owner of one stream, who knows what may come next. */
class Ear implements StreamEvents {
  stream!: MuxStream
  state: 'asked' | 'open' | 'fin' | 'over' = 'asked'
  depth = 0
  #received = 0
  #consumed = 0
  #reads: boolean
  #writing = false

  constructor(reads: boolean) {
    this.#reads = reads
  }

  get unread(): number {
    return this.#received - this.#consumed
  }

  opened(): void {
    promise(this.state === 'asked', `opened after ${this.state}`)
    this.state = 'open'
    this.depth = 1
  }

  refused(): void {
    promise(this.state === 'asked', `refused after ${this.state}`)
    this.state = 'over'
  }

  data(payload: Uint8Array): void {
    promise(this.stream.kind === 'tcp', 'bytes on a stream of datagrams')
    promise(this.state === 'open', `data after ${this.state}`)
    promise(payload.length > 0, 'there is an empty piece')
    this.#took(payload.length)
  }

  datagram(peer: Destination, payload: Uint8Array): void {
    promise(this.stream.kind === 'udp', 'a datagram on a stream of bytes')
    promise(this.state === 'open', `a datagram after ${this.state}`)
    this.#took(encodeDatagram(peer, payload).length)
  }

  #took(bytes: number): void {
    this.#received += bytes
    this.depth = 2
    if (this.#reads) this.consume(1)
  }

  fin(): void {
    promise(this.state === 'open', `fin after ${this.state}`)
    this.state = 'fin'
    this.depth = 3
  }

  reset(): void {
    promise(this.state !== 'over', 'a reset after the end')
    if (this.state === 'open') this.depth = 3
    this.state = 'over'
  }

  say(bytes: Uint8Array): void {
    if (this.stream.kind === 'udp') return void this.stream.send(encodeDatagram(SITE, bytes))
    if (this.#writing) return
    this.#writing = true
    this.stream.write(bytes, () => (this.#writing = false))
  }

  consume(nowMs: number): void {
    this.#consumed = this.#received
    this.stream.consumed(this.#consumed, nowMs)
  }

  giveUp(): void {
    this.state = 'over'
  }

  checkOver(): void {
    // Both directions may have ended without a last word.
    promise(this.state === 'over' || (this.state === 'fin' && this.stream.closed), `left ${this.state}`)
  }
}

function makeInput(draw: Draw, role: Role): Buffer {
  if (draw.chance(2)) return flood(draw, role)
  const parts: Buffer[] = [Buffer.from([draw.byte() | (role === 'client' && draw.chance(90) ? 0x60 : 0)])]
  let opened = 0
  for (let left = 1 + draw.below(12); left > 0; left -= 1) {
    if (draw.chance(30)) {
      parts.push(u16(ACT | draw.below(0x8000)))
      continue
    }
    const stream = draw.chance(92)
      ? 1 + 2 * draw.below(Math.max(1, role === 'client' ? 3 : opened))
      : draw.below(9)
    let said: Frame = frame(draw, stream)
    if (role === 'gateway' && (opened === 0 || draw.chance(20))) {
      const kind = draw.chance(75) ? 'tcp' : 'udp'
      said = { type: 'open', stream: 1 + 2 * opened, kind, destination: SITE }
      opened += 1
    } else if (role === 'client' && draw.chance(35)) said = { type: 'opened', stream, bound: BOUND }
    else if (draw.chance(30)) said = { type: 'data', stream, payload: Buffer.alloc(1 + draw.below(700)) }
    else if (draw.chance(20))
      said = { type: 'data', stream, payload: encodeDatagram(SITE, draw.bytes(draw.below(40))) }
    else if (draw.below(300) === 0) said = { type: 'data', stream, payload: Buffer.alloc(32_000) }
    const bytes = draw.chance(94) ? encodeFrame(said) : mutate(draw, encodeFrame(said))
    parts.push(u16(bytes.length), bytes)
  }
  return Buffer.concat(parts)
}

/** More DATA on one stream than its window holds, to an owner that may not read. */
function flood(draw: Draw, role: Role): Buffer {
  const first: Frame =
    role === 'gateway'
      ? { type: 'open', stream: 1, kind: 'tcp', destination: SITE }
      : { type: 'opened', stream: 1, bound: BOUND }
  const data = encodeFrame({ type: 'data', stream: 1, payload: Buffer.alloc(16_000 + draw.below(8_000)) })
  const frames = [encodeFrame(first), ...Array.from({ length: 2 + draw.below(5) }, () => data)]
  const flags = Buffer.from([draw.byte() | 0x20])
  return Buffer.concat([flags, ...frames.flatMap((bytes) => [u16(bytes.length), bytes])])
}

function u16(number: number): Buffer {
  return Buffer.from([number >> 8, number & 0xff])
}
