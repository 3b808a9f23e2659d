// A mux stream as a Duplex, so that the relay treats it like any socket. Rules: back-pressure goes both ways
// (a chunk is acknowledged when it has gone into frames; credit is granted for what was read), half-close is
// kept, an error here becomes a RESET there and the other way round, and what waits to be read costs about as much
// memory as the window that it counts against, in whatever pieces it came.
import { Duplex } from 'node:stream'
import { GatewayError, toGatewayError, type ErrorCode } from '../errors.ts'
import type { MuxStream, StreamEvents } from '../protocol/mux/stream.ts'
import type { BoundAddress } from '../protocol/request.ts'

/** A piece as large as this stands for itself; a smaller one would keep the whole message or record in memory. */
const WHOLE_PIECE_BYTES = 8 * 1024
const TAIL_BYTES = 16 * 1024

export interface StreamAnswer {
  opened(bound: BoundAddress): void
  refused(error: GatewayError): void
}

export class StreamSocket extends Duplex implements StreamEvents {
  #stream: MuxStream
  #answer: StreamAnswer | undefined
  /** Small pieces that came while others waited to be read, together. */
  #tail: Buffer | undefined
  #tailBytes = 0

  constructor(stream: MuxStream, answer?: StreamAnswer) {
    super({ allowHalfOpen: true, highWaterMark: 64 * 1024, emitClose: true, autoDestroy: true })
    this.#stream = stream
    this.#answer = answer
    stream.events = this
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#stream.write(chunk, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    // Not before the end is in a frame: a Duplex whose two ends are done is destroyed, and that would be a RESET.
    this.#stream.fin(done)
  }

  /** Nothing to start: the peer sends as far as it has credit. */
  override _read(): void {}

  /** Grants credit once the bytes have left the buffer; `_read` comes before, and not again while nothing is pushed. */
  override read(size?: number): Buffer | null {
    this.#pushTail()
    const chunk = super.read(size) as Buffer | null
    this.#grant()
    return chunk
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#stream.closed) {
      const code: ErrorCode =
        error === null ? 'stream-cancelled' : toGatewayError(error, 'client', 'connection-reset').code
      this.#stream.reset(code)
    }
    done(error)
  }

  /** Grants credit for all that has left the read buffer. */
  #grant(): void {
    const waiting = this.readableLength + this.#tailBytes
    this.#stream.consumed(this.#stream.receivedOffset - waiting, performance.now())
  }

  #pushTail(): void {
    if (this.#tail === undefined) return
    const bytes = this.#tail.subarray(0, this.#tailBytes)
    this.#tail = undefined
    this.#tailBytes = 0
    this.push(bytes)
  }

  #keep(payload: Uint8Array): void {
    if (this.#tailBytes + payload.length > TAIL_BYTES) this.#pushTail()
    const bytes = this.#tailBytes + payload.length
    if (this.#tail === undefined || bytes > this.#tail.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(TAIL_BYTES, Math.max(512, 2 * bytes)))
      this.#tail?.copy(larger, 0, 0, this.#tailBytes)
      this.#tail = larger
    }
    this.#tail.set(payload, this.#tailBytes)
    this.#tailBytes = bytes
  }

  // StreamEvents

  opened(bound: BoundAddress): void {
    this.#answer?.opened(bound)
    this.#answer = undefined
  }

  refused(code: ErrorCode, reference: string): void {
    const error = new GatewayError(code, { side: 'upstream', reference })
    const answer = this.#answer
    this.#answer = undefined
    answer?.refused(error)
    this.destroy()
  }

  data(payload: Uint8Array): void {
    if (payload.length < WHOLE_PIECE_BYTES && this.readableLength > 0) return this.#keep(payload)
    this.#pushTail()
    // A view of the message that carried it: the message is not used again, so no copy is due.
    this.push(Buffer.from(payload.buffer, payload.byteOffset, payload.length))
  }

  fin(): void {
    this.#pushTail()
    this.push(null)
  }

  reset(code: ErrorCode): void {
    const error = new GatewayError(code, { side: 'upstream' })
    const answer = this.#answer
    this.#answer = undefined
    answer?.refused(error)
    this.destroy(answer === undefined ? error : undefined)
  }
}
