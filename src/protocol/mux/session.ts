// Many streams on one connection (docs/protocol.md). Pure: whole messages come in through `receive`, frames
// go out through `pull`, time is passed in. Rules: control frames go before data, streams with bytes take
// turns, and whatever a peer sends ends in a coded error, never in a crash or in unbounded memory.
import { ERROR_ANSWERS, errorCodeFromMux, GatewayError, type ErrorCode } from '../../errors.ts'
import type { BoundAddress, Destination } from '../request.ts'
import { firstWindow } from './datagram.ts'
import {
  decodeFrame,
  encodeDataHead,
  encodeFrame,
  HEADER_BYTES,
  type Frame,
  type FrameParts,
  type StreamKind,
} from './frame.ts'
import { MuxStream, type StreamEvents, type StreamHost } from './stream.ts'
import type { GrowthBudget } from './window.ts'

export interface SessionEvents {
  /** The peer opened a stream (gateway's side only). Answer with `accept` or `refuse`. */
  open(stream: MuxStream): void
  /** The peer opened one for which there is no place. Gives the reference that it is told. */
  refused?(code: ErrorCode): string
  /** The peer takes no new streams; those up to `lastStream` go on. */
  goaway(code: ErrorCode, lastStream: number): void
  /** Frames wait to be pulled. */
  ready(): void
}

export interface SessionOptions {
  readonly role: 'client' | 'gateway'
  readonly events: SessionEvents
  /** Streams at once. A gateway refuses more, a client throws `too-many-streams`. */
  readonly maxStreams: number
  /** Bytes by which all receive windows together may grow past what each of them has at first. */
  readonly growthBudgetBytes?: number
  /** What the sessions of a process share of such bytes; none where nothing is said. */
  readonly sharedGrowth?: GrowthBudget
  readonly maxWindowBytes?: number
  /** Largest DATA payload that this end sends: with the headers of mux and WebSocket it fits one TLS record. */
  readonly payloadBytes?: number
}

const MAX_STREAM_ID = 0x7fffffff
const TLS_RECORD_BYTES = 16 * 1024
/** Of a message that is not masked; a masked one has four bytes more. */
const WEBSOCKET_HEADER_BYTES = 4
export const DEFAULT_PAYLOAD_BYTES = TLS_RECORD_BYTES - WEBSOCKET_HEADER_BYTES - HEADER_BYTES
/** Past this many bytes of waiting control frames the session stops reading (`congested`). */
const MAX_CONTROL_BYTES = 256 * 1024

export class MuxSession implements StreamHost {
  readonly role: 'client' | 'gateway'
  readonly maxStreams: number
  readonly maxWindowBytes: number
  /** Smallest round trip seen, in ms; the transport sets it. */
  roundTripMs = 0

  #events: SessionEvents
  #payloadBytes: number
  #growthMost: number
  #growthBytes = 0
  #sharedGrowth: GrowthBudget | undefined
  #streams = new Map<number, MuxStream>()
  #control: Buffer[] = []
  #controlBytes = 0
  #ring: MuxStream[] = []
  #lastStream = 0
  #draining = false
  #ended = false

  constructor(options: SessionOptions) {
    this.role = options.role
    this.maxStreams = options.maxStreams
    this.maxWindowBytes = options.maxWindowBytes ?? 8 * 1024 * 1024
    this.#events = options.events
    this.#growthMost = options.growthBudgetBytes ?? 32 * 1024 * 1024
    this.#sharedGrowth = options.sharedGrowth
    this.#payloadBytes = options.payloadBytes ?? DEFAULT_PAYLOAD_BYTES
  }

  get streamCount(): number {
    return this.#streams.size
  }

  /** True while either end has said that no new stream may start. */
  get draining(): boolean {
    return this.#draining
  }

  /** The peer takes frames more slowly than it causes them: stop reading from it. */
  get congested(): boolean {
    return this.#controlBytes > MAX_CONTROL_BYTES
  }

  get hasFrames(): boolean {
    return this.#control.length > 0 || this.#ring.length > 0
  }

  /** Opens a stream (client's side). Errors: `shutting-down`, `too-many-streams`. */
  open(kind: StreamKind, destination: Destination, events: StreamEvents): MuxStream {
    const id = this.#lastStream === 0 ? 1 : this.#lastStream + 2
    if (this.#draining || this.#ended || id > MAX_STREAM_ID) throw new GatewayError('shutting-down')
    if (this.#streams.size >= this.maxStreams) throw new GatewayError('too-many-streams')
    // Encoded first: a destination that cannot be written must not leave a stream behind.
    const frame = encodeFrame({ type: 'open', stream: id, kind, destination })
    const stream = new MuxStream(this, id, kind, destination)
    stream.events = events
    this.#lastStream = id
    this.#streams.set(id, stream)
    this.#enqueue(frame)
    return stream
  }

  /** Answers an OPEN: the destination is connected from `bound`. */
  accept(stream: MuxStream, bound: BoundAddress): void {
    if (!stream.closed) this.#enqueue(encodeFrame({ type: 'opened', stream: stream.id, bound }))
  }

  /** Answers an OPEN: refused for `code`; `reference` stands in this end's log too. */
  refuse(stream: MuxStream, code: ErrorCode, reference: string): void {
    if (stream.closed) return
    stream.close()
    this.#refuse(stream.id, code, reference)
  }

  #refuse(stream: number, code: ErrorCode, reference: string): void {
    this.#enqueue(encodeFrame({ type: 'refused', stream, error: ERROR_ANSWERS[code].mux, reference }))
  }

  /** Says that no new stream will be served; those that are open go on. */
  goaway(code: ErrorCode): void {
    if (this.#ended) return
    this.#draining = true
    this.#enqueue(encodeFrame({ type: 'goaway', stream: this.#lastStream, error: ERROR_ANSWERS[code].mux }))
  }

  /** The connection is gone: every stream ends with `code`. */
  end(code: ErrorCode): void {
    if (this.#ended) return
    this.#ended = true
    this.#draining = true
    for (const stream of [...this.#streams.values()]) stream.end(code)
    this.#control = []
    this.#controlBytes = 0
    this.#ring = []
  }

  /** The next frame to send, or undefined. */
  pull(): Buffer | undefined {
    const parts = this.pullParts()
    if (parts?.payload === undefined) return parts && Buffer.from(parts.head)
    return Buffer.concat([parts.head, parts.payload])
  }

  /**
   * The same, not put together: control first, then one piece of the next stream in turn, whose frame has at most
   * `maxBytes`. Its payload is a view of what was written, to be copied before anything else is done here.
   */
  pullParts(maxBytes = Infinity): FrameParts | undefined {
    const control = this.#control.shift()
    if (control !== undefined) {
      this.#controlBytes -= control.length
      return { head: control }
    }
    const payloadBytes = Math.min(this.#payloadBytes, maxBytes - HEADER_BYTES)
    for (let stream = this.#ring.shift(); stream !== undefined; stream = this.#ring.shift()) {
      stream.scheduled = false
      const piece = stream.take(payloadBytes)
      if (piece === undefined) continue
      if (stream.canSend()) this.streamReady(stream)
      if (piece === 'fin') return { head: encodeFrame({ type: 'fin', stream: stream.id }) }
      return { head: encodeDataHead(stream.id), payload: piece }
    }
    return undefined
  }

  /**
   * Takes one whole message of the peer. Throws a GatewayError when the peer broke the protocol; the session
   * is then of no use: say GOAWAY with its code, close the connection and call `end`.
   */
  receive(message: Uint8Array): void {
    if (this.#ended) return
    const frame = decodeFrame(message)
    if (frame.type === 'open') return this.#receiveOpen(frame)
    if (frame.type === 'goaway') {
      this.#draining = true
      return this.#events.goaway(errorCodeFromMux(frame.error), frame.stream)
    }
    const stream = this.#streams.get(frame.stream)
    if (stream !== undefined) return this.#receiveFor(stream, frame)
    // Frames may still be under way to a stream that has just ended here; others name nothing.
    if (frame.stream > this.#lastStream || frame.stream % 2 === 0) throw invalidId(frame.stream)
  }

  #receiveOpen(frame: Frame & { type: 'open' }): void {
    const { stream: id } = frame
    if (this.role !== 'gateway') throw invalidId(id)
    if (id % 2 === 0 || id <= this.#lastStream || id > MAX_STREAM_ID) throw invalidId(id)
    this.#lastStream = id
    const full = this.#streams.size >= this.maxStreams ? 'too-many-streams' : undefined
    const code = this.#draining ? 'shutting-down' : full
    if (code !== undefined) return this.#refuse(id, code, this.#events.refused?.(code) ?? '')
    const stream = new MuxStream(this, id, frame.kind, frame.destination)
    this.#streams.set(id, stream)
    this.#events.open(stream)
  }

  #receiveFor(stream: MuxStream, frame: Exclude<Frame, { type: 'open' | 'goaway' }>): void {
    let wrong: ErrorCode | undefined
    const answer = frame.type === 'opened' || frame.type === 'refused'
    if (this.role === 'client' ? answer === stream.answered && frame.type !== 'reset' : answer) {
      if (frame.type !== 'credit') throw new GatewayError('frame-malformed', { side: 'client' })
    }
    switch (frame.type) {
      case 'data':
        wrong = stream.receiveData(frame.payload)
        break
      case 'credit':
        stream.receiveCredit(frame.offset)
        break
      case 'fin':
        wrong = stream.receiveFin()
        break
      case 'reset':
        stream.end(errorCodeFromMux(frame.error))
        break
      case 'opened':
        stream.answered = true
        stream.events?.opened(frame.bound)
        break
      case 'refused': {
        const { events } = stream
        stream.close()
        events?.refused(errorCodeFromMux(frame.error), frame.reference)
      }
    }
    if (wrong !== undefined) throw new GatewayError(wrong, { side: 'client' })
  }

  // StreamHost: what streams ask of their session.

  streamReady(stream: MuxStream): void {
    if (stream.scheduled || this.#ended) return
    stream.scheduled = true
    this.#ring.push(stream)
    this.#events.ready()
  }

  streamCredit(stream: MuxStream, offset: number): void {
    this.#enqueue(encodeFrame({ type: 'credit', stream: stream.id, offset }))
  }

  streamReset(stream: MuxStream, code: ErrorCode): void {
    this.#enqueue(encodeFrame({ type: 'reset', stream: stream.id, error: ERROR_ANSWERS[code].mux }))
  }

  streamDone(stream: MuxStream): void {
    if (this.#streams.delete(stream.id)) this.takeBudget(firstWindow(stream.kind) - stream.windowBytes)
  }

  takeBudget(bytes: number): number {
    const wanted = Math.min(bytes, this.#growthMost - this.#growthBytes)
    const taken = this.#sharedGrowth?.take(wanted, this.#growthBytes) ?? wanted
    this.#growthBytes += taken
    return taken
  }

  #enqueue(frame: Buffer): void {
    if (this.#ended) return
    this.#control.push(frame)
    this.#controlBytes += frame.length
    this.#events.ready()
  }
}

function invalidId(id: number): GatewayError {
  return new GatewayError('stream-id-invalid', {
    side: 'client',
    detail: `tunnel frame: stream ${id} cannot be`,
  })
}
