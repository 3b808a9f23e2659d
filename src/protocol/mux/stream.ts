// One stream of a mux session: offsets, credit and the order of its frames. Pure: the session moves its
// frames, and whoever owns the stream (transport/stream-socket.ts) hears of it through StreamEvents.
// Rule: every byte offset is absolute, as in QUIC's MAX_STREAM_DATA (RFC 9000 section 19.10).
import type { ErrorCode } from '../../errors.ts'
import type { DatagramDrop } from '../association.ts'
import type { BoundAddress, Destination } from '../request.ts'
import { decodeDatagram, firstWindow } from './datagram.ts'
import { MAX_PAYLOAD_BYTES, type StreamKind } from './frame.ts'
import { ReceiveWindow, type WindowHost } from './window.ts'

/** What a stream tells its owner. Called while a frame is handled; must not throw. */
export interface StreamEvents {
  opened(bound: BoundAddress): void
  refused(code: ErrorCode, reference: string): void
  data(payload: Uint8Array): void
  /** In place of `data` on a stream of kind udp. */
  datagram?(peer: Destination, payload: Uint8Array): void
  fin(): void
  /** The stream is over: the peer reset it or the session ended. */
  reset(code: ErrorCode): void
}

/** What a stream needs of its session. */
export interface StreamHost extends WindowHost {
  streamReady(stream: MuxStream): void
  streamCredit(stream: MuxStream, offset: number): void
  streamReset(stream: MuxStream, code: ErrorCode): void
  streamDone(stream: MuxStream): void
}

/** What waits for its turn; a datagram that comes too late is worth nothing. */
const MAX_QUEUED_DATAGRAM_BYTES = 128 * 1024
export class MuxStream {
  readonly id: number
  readonly kind: StreamKind
  readonly destination: Destination
  events: StreamEvents | undefined
  /** True while it stands in the scheduler's ring. */
  scheduled = false
  /** True once the peer answered OPEN; until then nothing else may come from it (client's side). */
  answered = false

  #host: StreamHost
  #chunk: Uint8Array | undefined
  #chunkOffset = 0
  #chunkDone: (() => void) | undefined
  /** Of kind udp: whole datagrams, whose bytes `#sentOffset` counts from here on. */
  #datagrams: Uint8Array[] = []
  #datagramBytes = 0
  #sentOffset = 0
  #creditOffset: number
  #finWanted = false
  #finDone: (() => void) | undefined
  #finSent = false

  #receivedOffset = 0
  #window: ReceiveWindow
  #finReceived = false
  #closed = false

  constructor(host: StreamHost, id: number, kind: StreamKind, destination: Destination) {
    this.#host = host
    this.id = id
    this.kind = kind
    this.destination = destination
    this.#creditOffset = firstWindow(kind)
    this.#window = new ReceiveWindow(host, this.#creditOffset)
  }

  get windowBytes(): number {
    return this.#window.bytes
  }

  get receivedOffset(): number {
    return this.#receivedOffset
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Queues one chunk, which is not copied; `done` is called once it has gone into frames. One chunk at a time. */
  write(chunk: Uint8Array, done: () => void): void {
    if (this.#closed || this.#finWanted) return
    if (chunk.length === 0) return done()
    this.#chunk = chunk
    this.#chunkOffset = 0
    this.#chunkDone = done
    if (this.canSend()) this.#host.streamReady(this)
  }

  /**
   * Queues one datagram (datagram.ts). It goes whole, or not at all: gives why it is dropped, and holds nothing for
   * which there is no credit.
   */
  send(datagram: Uint8Array): DatagramDrop | undefined {
    if (this.#closed || this.#finWanted) return undefined
    if (datagram.length > MAX_PAYLOAD_BYTES) return 'too-large'
    if (this.#sentOffset + datagram.length > this.#creditOffset) return 'no-credit'
    if (this.#datagramBytes + datagram.length > MAX_QUEUED_DATAGRAM_BYTES) return 'queue-full'
    this.#datagrams.push(datagram)
    this.#datagramBytes += datagram.length
    this.#sentOffset += datagram.length
    this.#host.streamReady(this)
    return undefined
  }

  /** Ends this direction once everything queued has gone; `done` is called once the end has gone into a frame. */
  fin(done: () => void): void {
    if (this.#closed || this.#finWanted) return
    this.#finWanted = true
    this.#finDone = done
    if (this.canSend()) this.#host.streamReady(this)
  }

  /** Gives the stream up, in both directions. What is queued is dropped. */
  reset(code: ErrorCode): void {
    if (this.#closed) return
    this.#host.streamReset(this, code)
    this.close()
  }

  /** The owner has consumed everything up to `offset`: grants new credit once there is enough of it. */
  consumed(offset: number, nowMs: number): void {
    if (this.#closed || this.#finReceived) return
    if (this.#window.consumed(offset, nowMs)) this.#host.streamCredit(this, this.#window.grantedOffset)
  }

  canSend(): boolean {
    if (this.#closed || this.#finSent) return false
    if (this.#datagrams.length > 0) return true
    if (this.#chunk !== undefined) return this.#sentOffset < this.#creditOffset
    return this.#finWanted
  }

  /**
   * The next piece to send: a view of at most `maxBytes` within the credit, a whole datagram, or 'fin', or nothing.
   * `done` of the chunk is called when its last piece is taken.
   */
  take(maxBytes: number): Uint8Array | 'fin' | undefined {
    if (!this.canSend()) return undefined
    const datagram = this.#datagrams.shift()
    if (datagram !== undefined) {
      this.#datagramBytes -= datagram.length
      return datagram
    }
    const chunk = this.#chunk
    if (chunk === undefined) {
      const done = this.#finDone
      this.#finSent = true
      this.#finDone = undefined
      this.#finishIfDone()
      done?.()
      return 'fin'
    }
    const bytes = Math.min(maxBytes, chunk.length - this.#chunkOffset, this.#creditOffset - this.#sentOffset)
    const piece = chunk.subarray(this.#chunkOffset, this.#chunkOffset + bytes)
    this.#chunkOffset += bytes
    this.#sentOffset += bytes
    if (this.#chunkOffset === chunk.length) {
      const done = this.#chunkDone
      this.#chunk = undefined
      this.#chunkDone = undefined
      done?.()
    }
    return piece
  }

  /** The peer's DATA. Gives the code of what is wrong with it, if anything. Errors: those of decodeDatagram. */
  receiveData(payload: Uint8Array): ErrorCode | undefined {
    if (this.#finReceived) return 'frame-malformed'
    if (this.#receivedOffset + payload.length > this.#window.grantedOffset) return 'credit-exceeded'
    this.#receivedOffset += payload.length
    if (this.kind === 'tcp') this.events?.data(payload)
    else {
      const { peer, payload: bytes } = decodeDatagram(payload)
      this.events?.datagram?.(peer, bytes)
    }
    return undefined
  }

  receiveCredit(offset: number): void {
    if (offset <= this.#creditOffset) return
    this.#creditOffset = offset
    if (this.canSend()) this.#host.streamReady(this)
  }

  receiveFin(): ErrorCode | undefined {
    if (this.#finReceived) return 'frame-malformed'
    this.#finReceived = true
    this.events?.fin()
    this.#finishIfDone()
    return undefined
  }

  /** The stream is over without another frame: the peer reset it, or the session ended. */
  end(code: ErrorCode): void {
    if (this.#closed) return
    this.close()
    this.events?.reset(code)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#chunk = undefined
    this.#chunkDone = undefined
    this.#datagrams = []
    this.#finDone = undefined
    this.#host.streamDone(this)
  }

  #finishIfDone(): void {
    if (this.#finSent && this.#finReceived) this.close()
  }
}
