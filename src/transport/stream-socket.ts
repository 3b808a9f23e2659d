// A mux stream as a Duplex, so that the relay treats it like any socket. Rules: back-pressure goes both ways
// (a chunk is acknowledged when it has gone into frames; credit is granted for what was read), half-close is
// kept, and an error here becomes a RESET there and the other way round.
import { Duplex } from 'node:stream'
import { GatewayError, toGatewayError, type ErrorCode } from '../errors.ts'
import type { MuxStream, StreamEvents } from '../protocol/mux/stream.ts'
import type { BoundAddress } from '../protocol/request.ts'

export interface StreamAnswer {
  opened(bound: BoundAddress): void
  refused(error: GatewayError): void
}

export class StreamSocket extends Duplex implements StreamEvents {
  #stream: MuxStream
  #answer: StreamAnswer | undefined

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
    this.#stream.consumed(this.#stream.receivedOffset - this.readableLength, performance.now())
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
    // A view of the message that carried it: the message is not used again, so no copy is due.
    this.push(Buffer.from(payload.buffer, payload.byteOffset, payload.length))
  }

  fin(): void {
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
