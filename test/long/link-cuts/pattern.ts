// Bytes that say where they stand: the n-th four bytes are n, scrambled, so that what is missing, repeated or in the
// wrong place changes every hash after it.
import { createHash } from 'node:crypto'

const SCRAMBLE = 2_654_435_761

/** The bytes from `offset` on; `offset` and `length` may be any. */
export function patternAt(offset: number, length: number): Buffer {
  const first = offset - (offset % 4)
  const words = new Uint32Array(Math.ceil((offset - first + length) / 4))
  for (let index = 0; index < words.length; index += 1) words[index] = Math.imul(first / 4 + index, SCRAMBLE)
  return Buffer.from(words.buffer, offset - first, length)
}

/** Holds what comes against the pattern, by SHA-256 of both. */
export class PatternCheck {
  #came = createHash('sha256')
  #expected = createHash('sha256')
  bytes = 0

  take(chunk: Buffer): void {
    this.#came.update(chunk)
    this.#expected.update(patternAt(this.bytes, chunk.length))
    this.bytes += chunk.length
  }

  /** True where all that came is the beginning of the pattern. To be asked once. */
  isGood(): boolean {
    return this.#came.digest('hex') === this.#expected.digest('hex')
  }
}
