// Two Duplex ends in one process: what is written to one is read from the other. It lets an HTTP exchange be
// relayed like any byte stream. Rules: back-pressure (a write is done when the other side asks for more, so that the
// pair never holds more than one chunk in each direction), half-close, and an end that is destroyed with an error
// destroys the other with it.
import { Duplex } from 'node:stream'

/** What the HTTP parser copies at once of what it is given, and an answer that is stuck then holds. */
const PIECE_BYTES = 16 * 1024

class LinkedEnd extends Duplex {
  other: LinkedEnd | undefined
  #waiting: (() => void) | undefined

  constructor() {
    // To write, not 0: node's HTTP server stops reading where what it has to send, also nothing, reaches the mark.
    super({ allowHalfOpen: true, readableHighWaterMark: 0, writableHighWaterMark: 1 })
  }

  override _read(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.()
  }

  /** Takes what the other end wrote; `done` when its reader asks for more. */
  deliver(chunk: Buffer | null, done: () => void): void {
    if (this.destroyed) return done()
    if (chunk === null) {
      this.push(null)
      return done()
    }
    const rest = chunk.subarray(PIECE_BYTES)
    this.#waiting = rest.length === 0 ? done : () => this.deliver(rest, done)
    this.push(rest.length === 0 ? chunk : chunk.subarray(0, PIECE_BYTES))
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.other === undefined) return done()
    this.other.deliver(chunk, done)
  }

  override _final(done: () => void): void {
    if (this.other === undefined) return done()
    this.other.deliver(null, done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const other = this.other
    this.other = undefined
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.()
    // A clean end of both directions closes the other by itself; a cut must be seen there.
    if (other !== undefined && (error !== null || !this.readableEnded || !this.writableFinished)) {
      process.nextTick(() => other.destroy(error ?? new Error('the other end was cut off')))
    }
    done(error)
  }
}

/** Gives the two ends. */
export function linkedPair(): [Duplex, Duplex] {
  const near = new LinkedEnd()
  const far = new LinkedEnd()
  near.other = far
  far.other = near
  return [near, far]
}
