// A mux stream as a Duplex, so that the relay treats it like any socket. Rules: back-pressure goes both ways
// (a chunk is acknowledged when it has gone into frames; credit is granted for what was read), half-close is
// kept, an error here becomes a RESET there and the other way round, and what waits to be read costs about as much
// memory as the window that it counts against, in whatever pieces it came.
import { Duplex } from 'node:stream'
import { GatewayError, toGatewayError, type ErrorCode } from '../errors.ts'
import type { MuxStream, StreamEvents } from '../protocol/mux/stream.ts'
import type { BoundAddress } from '../protocol/request.ts'
import { BUFFERS } from './buffer-budget.ts'
import { GatherBuffer } from './gather-buffer.ts'
import type { Recycler } from './read-in-place.ts'

/** A piece as large as this is worth an object of its own. */
const WHOLE_PIECE_BYTES = 8 * 1024

export interface StreamAnswer {
  opened(bound: BoundAddress): void
  refused(error: GatewayError): void
}

export class StreamSocket extends Duplex implements StreamEvents, Recycler {
  #stream: MuxStream
  #answer: StreamAnswer | undefined
  #gathered = new GatherBuffer(BUFFERS)
  #turnQueued = false

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
    this.#pushGathered()
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
    this.#gathered.close()
    done(error)
  }

  /** Says that whoever took chunks has written them all, and does not use them any more. */
  recycle(): void {
    this.#gathered.free(this.#gathered.takenOffset - this.readableLength)
  }

  recycleKept(): void {
    this.recycle()
  }

  /** Grants credit for all that has left the read buffer. */
  #grant(): void {
    const waiting = this.readableLength + this.#gathered.bytes
    this.#stream.consumed(this.#stream.receivedOffset - waiting, performance.now())
  }

  #pushGathered(): void {
    if (this.#gathered.bytes > 0) this.push(this.#gathered.take())
  }

  /** What came in this turn goes on; but little waits behind what waits, so that it lies together. */
  #turnOver = (): void => {
    this.#turnQueued = false
    if (this.destroyed) return
    if (this.readableLength === 0 || this.#gathered.bytes >= WHOLE_PIECE_BYTES) this.#pushGathered()
    this.#gathered.rest()
    this.#grant()
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
    if (!this.#turnQueued) {
      this.#turnQueued = true
      setImmediate(this.#turnOver)
    }
    for (let at = 0; at < payload.length;) {
      at += this.#gathered.put(at === 0 ? payload : payload.subarray(at))
      if (this.#gathered.isFull) this.#pushGathered()
    }
  }

  fin(): void {
    this.#pushGathered()
    this.push(null)
  }

  reset(code: ErrorCode): void {
    this.#pushGathered()
    const error = new GatewayError(code, { side: 'upstream' })
    const answer = this.#answer
    this.#answer = undefined
    answer?.refused(error)
    this.destroy(answer === undefined ? error : undefined)
  }
}
