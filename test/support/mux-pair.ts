// A client's and a gateway's mux session joined in memory, in the manner of quinn's Pair tests: a test moves each
// frame by hand, or lets all of them through with `settle`, and owns the clock. Rule: nothing moves by itself, and
// every frame that moved stands in `log` (`> data 1 (5)` is to the gateway, `<` to the client).
import type { ErrorCode } from '../../src/errors.ts'
import type { DatagramDrop } from '../../src/protocol/association.ts'
import { encodeDatagram } from '../../src/protocol/mux/datagram.ts'
import { decodeFrame, type Frame, type StreamKind } from '../../src/protocol/mux/frame.ts'
import { MuxSession, type SessionOptions } from '../../src/protocol/mux/session.ts'
import type { MuxStream, StreamEvents } from '../../src/protocol/mux/stream.ts'
import type { BoundAddress, Destination } from '../../src/protocol/request.ts'

export const SITE: Destination = { host: 'site.example', port: 443 }
export const BOUND: BoundAddress = { address: '192.0.2.7', port: 4711 }

export type Side = 'client' | 'gateway'

export interface PairOptions {
  readonly client?: Partial<SessionOptions>
  readonly gateway?: Partial<SessionOptions>
  /** Answers each OPEN at once; true by default. */
  readonly autoAccept?: boolean
}

const MAX_STEPS = 200_000

/** One end of a stream: what it was told, and a queue of what it has to say. */
export class StreamEnd implements StreamEvents {
  readonly stream: MuxStream
  /** `opened 192.0.2.7:4711`, `refused CODE REFERENCE`, `fin`, `reset CODE`, in order; data is in `received`. */
  readonly heard: string[] = []
  received = Buffer.alloc(0)
  /** Of kind udp, as `host:port payload`. */
  readonly datagrams: string[] = []
  /** False: nothing is consumed, and so no credit granted, until `read`. */
  reading = true
  #pair: Pair
  #queue: Uint8Array[] = []
  #writing = false
  #finWanted = false

  constructor(pair: Pair, stream: MuxStream) {
    this.#pair = pair
    this.stream = stream
    stream.events = this
  }

  /** Chunks that have not gone into frames in full. */
  get unsent(): number {
    return this.#queue.length + (this.#writing ? 1 : 0)
  }

  say(bytes: Uint8Array | string): void {
    this.#queue.push(typeof bytes === 'string' ? Buffer.from(bytes) : bytes)
    this.#next()
  }

  /** Sends one datagram; gives why it was dropped. */
  throw(peer: Destination, payload: Uint8Array | string): DatagramDrop | undefined {
    return this.stream.send(encodeDatagram(peer, Buffer.from(payload)))
  }

  datagram(peer: Destination, payload: Uint8Array): void {
    this.datagrams.push(`${peer.host}:${peer.port} ${Buffer.from(payload).toString('latin1')}`)
    if (this.reading) this.stream.consumed(this.stream.receivedOffset, this.#pair.nowMs)
  }

  fin(): void {
    this.heard.push('fin')
  }

  /** Ends this direction once everything said has gone. */
  finish(): void {
    this.#finWanted = true
    this.#next()
  }

  /** Consumes all that has come. */
  read(): void {
    this.stream.consumed(this.received.length, this.#pair.nowMs)
  }

  opened(bound: BoundAddress): void {
    this.heard.push(`opened ${bound.address}:${bound.port}`)
  }

  refused(code: ErrorCode, reference: string): void {
    this.heard.push(`refused ${code} ${reference}`.trim())
  }

  data(payload: Uint8Array): void {
    this.received = Buffer.concat([this.received, payload])
    if (this.reading) this.read()
  }

  reset(code: ErrorCode): void {
    this.heard.push(`reset ${code}`)
  }

  #next(): void {
    if (this.#writing) return
    const chunk = this.#queue.shift()
    if (chunk === undefined) return this.#finWanted ? this.stream.fin(() => {}) : undefined
    this.#writing = true
    this.stream.write(chunk, () => {
      this.#writing = false
      this.#next()
    })
  }
}

export class Pair {
  readonly client: MuxSession
  readonly gateway: MuxSession
  /** The manual clock. */
  nowMs = 0
  /** Frames that have been delivered. */
  readonly log: string[] = []
  /** Gateway's ends, in the order of their OPENs. */
  readonly accepted: StreamEnd[] = []
  /** `client: CODE LAST-STREAM` for each GOAWAY that was heard there. */
  readonly goaways: string[] = []
  readonly ready: Record<Side, number> = { client: 0, gateway: 0 }

  constructor(options: PairOptions = {}) {
    const events = (side: Side): SessionOptions['events'] => ({
      open: (stream) => {
        this.accepted.push(new StreamEnd(this, stream))
        if (options.autoAccept !== false) this.gateway.accept(stream, BOUND)
      },
      goaway: (code, lastStream) => void this.goaways.push(`${side}: ${code} ${lastStream}`),
      ready: () => void (this.ready[side] += 1),
    })
    this.client = new MuxSession({
      role: 'client',
      maxStreams: 100,
      events: events('client'),
      ...options.client,
    })
    this.gateway = new MuxSession({
      role: 'gateway',
      maxStreams: 100,
      events: events('gateway'),
      ...options.gateway,
    })
  }

  /** Opens a stream at the client, without moving a frame. */
  open(destination: Destination = SITE, kind: StreamKind = 'tcp'): StreamEnd {
    const noEvents: StreamEvents = { opened() {}, refused() {}, data() {}, fin() {}, reset() {} }
    return new StreamEnd(this, this.client.open(kind, destination, noEvents))
  }

  /** Opens a stream and lets everything through: both of its ends. */
  connect(destination?: Destination, kind?: StreamKind): { near: StreamEnd; far: StreamEnd } {
    const near = this.open(destination, kind)
    this.settle()
    return { near, far: this.accepted.at(-1)! }
  }

  /** Moves one frame away from `side`; gives it, or undefined where there is none. */
  step(side: Side): Frame | undefined {
    const bytes = this[side].pull()
    return bytes === undefined ? undefined : this.deliver(side, bytes)
  }

  /** Delivers bytes that were pulled from `side` before, or made by hand. */
  deliver(side: Side, bytes: Uint8Array): Frame {
    const frame = decodeFrame(bytes)
    this.log.push(`${side === 'client' ? '>' : '<'} ${describeFrame(frame)}`)
    this[side === 'client' ? 'gateway' : 'client'].receive(bytes)
    return frame
  }

  /** Moves everything, turn by turn, until both are silent; each turn takes `turnMs`. */
  settle(turnMs = 0): void {
    for (let left = MAX_STEPS; left > 0; left -= 1) {
      this.nowMs += turnMs
      const moved = [this.step('client'), this.step('gateway')]
      if (moved.every((frame) => frame === undefined)) return
    }
    throw new Error('the pair does not come to rest')
  }

  /** The log since the last call. */
  takeLog(): string[] {
    return this.log.splice(0)
  }
}

function describeFrame(frame: Frame): string {
  const start = `${frame.type} ${frame.stream}`
  switch (frame.type) {
    case 'data':
      return `${start} (${frame.payload.length})`
    case 'credit':
      return `${start} ${frame.offset}`
    case 'refused':
    case 'reset':
    case 'goaway':
      return `${start} #${frame.error}`
    default:
      return start
  }
}
