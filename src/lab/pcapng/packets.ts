// The packets that a link would have carried for what a tap recorded: a handshake, segments, acknowledgements and an end
// for each TCP connection, a packet for each datagram. Rules: payloads are what passed, byte for byte and in order; all
// else is reconstructed; and the packets of a recording that goes on are those it had, and more.
import type { CapturedConnection, Direction, Ending, Frame } from '../capture.ts'
import { segmentBytes, tcpFrame, udpFrame, type Parties, type TcpFields } from './headers.ts'

export interface Packet {
  readonly connection: CapturedConnection
  readonly direction: Direction
  readonly atMs: number
  /** From the first byte of the Ethernet header. */
  readonly bytes: Buffer
  /** The last bytes of the frame; empty in what carries none. */
  readonly payload: Buffer
  /** Place of the payload's first byte in its direction's stream. */
  readonly streamOffset: number
  /** The first of its connection. */
  readonly isFirst: boolean
}

/** RFC 9293 section 3.8.6.3: an acknowledgement for every second segment at the latest. */
const SEGMENTS_UNACKNOWLEDGED = 2
const NOTHING = Buffer.alloc(0)

/** All packets of a capture, in the order in which their bytes passed: a packet's number is its place from 1. */
export function packetsOf(connections: readonly CapturedConnection[]): Packet[] {
  return connections
    .flatMap((connection) =>
      connection.transport === 'tcp' ? new TcpConnection(connection).packets() : datagrams(connection),
    )
    .toSorted((one, two) => one.atMs - two.atMs)
}

function datagrams(connection: CapturedConnection): Packet[] {
  return connection.frames.map(({ direction, atMs, bytes: payload, streamOffset }, index) => {
    const bytes = udpFrame(partiesOf(connection, direction), payload)
    return { connection, direction, atMs, bytes, payload, streamOffset, isFirst: index === 0 }
  })
}

function partiesOf({ from, to }: CapturedConnection, direction: Direction): Parties {
  return direction === 'up' ? { from, to } : { from: to, to: from }
}

class TcpConnection {
  readonly #connection: CapturedConnection
  readonly #segmentBytes: number
  readonly #packets: Packet[] = []
  readonly #next: Record<Direction, number>
  readonly #unacknowledged: Record<Direction, number> = { up: 0, down: 0 }

  constructor(connection: CapturedConnection) {
    this.#connection = connection
    this.#segmentBytes = segmentBytes(connection.from.address)
    const { from, to } = connection
    this.#next = { up: firstSequence(from.port, to.port), down: firstSequence(to.port, from.port) }
  }

  packets(): Packet[] {
    const { openedMs, frames, endings } = this.#connection
    this.#send('up', openedMs, { syn: true })
    this.#send('down', openedMs, { syn: true })
    this.#send('up', openedMs, {})
    for (const event of inOrder(frames, endings)) {
      if ('bytes' in event) this.#data(event)
      else if (event.kind === 'fin') this.#finish(event)
      else this.#send(event.direction, event.atMs, { reset: true })
    }
    return this.#packets
  }

  #data({ direction, atMs, bytes, streamOffset }: Frame): void {
    for (let at = 0; at < bytes.length; at += this.#segmentBytes) {
      const payload = bytes.subarray(at, at + this.#segmentBytes)
      this.#send(direction, atMs, {}, payload, streamOffset + at)
      if (this.#unacknowledged[direction] >= SEGMENTS_UNACKNOWLEDGED) this.#send(other(direction), atMs, {})
    }
  }

  #finish({ direction, atMs }: Ending): void {
    this.#send(direction, atMs, { fin: true })
    this.#send(other(direction), atMs, {})
  }

  /** Every packet but the first acknowledges all that came from the other side. */
  #send(
    direction: Direction,
    atMs: number,
    flags: Pick<TcpFields, 'syn' | 'fin' | 'reset'>,
    payload: Buffer = NOTHING,
    streamOffset = 0,
  ): void {
    const isFirst = this.#packets.length === 0
    const fields = {
      ...flags,
      sequence: this.#next[direction],
      acknowledged: isFirst ? undefined : this.#next[other(direction)],
    }
    const bytes = tcpFrame(partiesOf(this.#connection, direction), fields, payload)
    this.#packets.push({
      connection: this.#connection,
      direction,
      atMs,
      bytes,
      payload,
      streamOffset,
      isFirst,
    })
    // RFC 9293 section 3.4: SYN and FIN take a number each.
    this.#next[direction] += payload.length + (flags.syn === true || flags.fin === true ? 1 : 0)
    this.#unacknowledged[other(direction)] = 0
    if (payload.length > 0) this.#unacknowledged[direction] += 1
  }
}

/** A reset takes effect when all that was recorded has passed; a second one, or a FIN after it, never did. */
function inOrder(frames: readonly Frame[], endings: readonly Ending[]): (Frame | Ending)[] {
  const reset = endings.find(({ kind }) => kind === 'reset')
  const last = frames.at(-1)?.atMs ?? 0
  const orderly = endings.filter(
    ({ kind, atMs }) => kind === 'fin' && (reset === undefined || atMs <= reset.atMs),
  )
  const events = [...frames, ...orderly].toSorted((one, two) => one.atMs - two.atMs)
  return reset === undefined ? events : [...events, { ...reset, atMs: Math.max(reset.atMs, last) }]
}

/** Made up, as is all of the sequence space; no two connections of a capture begin alike. */
function firstSequence(own: number, peer: number): number {
  return own * 0x10000 + peer
}

function other(direction: Direction): Direction {
  return direction === 'up' ? 'down' : 'up'
}
