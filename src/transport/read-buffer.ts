// Which memory a TCP socket reads into. Rules: a buffer is read into again only while nobody can still see the bytes of
// the last read; it is as large as what comes and as whoever takes it keeps up with, and as the budget of all allows.
import { DEFAULT_PAYLOAD_BYTES } from '../protocol/mux/session.ts'
import { LEAST_BYTES, type BufferBudget } from './buffer-budget.ts'

/** A read of no more than this is copied out of memory that all share: most connections that are open carry little. */
const LITTLE_BYTES = 1024
const GROWTH = 8
/** The largest where bytes are kept for a while by whoever takes them: it holds two reads. */
export const MOST_KEPT_BYTES = 136 * 1024
/** A read that a tunnel cuts into four whole frames. */
const KEPT_READ_BYTES = 4 * DEFAULT_PAYLOAD_BYTES
/**
 * Where kept bytes begin. They are copied to just behind some header in a page, and a copy to a few bytes further in its
 * page than where it comes from is up to ten times slower.
 */
const LEAD_BYTES = 64
/** The largest where they are with the kernel at once. */
export const MOST_BYTES = 256 * 1024
const NONE: Buffer = Buffer.alloc(0)
/** Where sockets read that have no buffer of their own. What is read is taken before the next one reads. */
const SHARED: Buffer = Buffer.allocUnsafeSlow(LEAST_BYTES)

/** The buffers of one socket, one after the other: `next`, then `took`, perhaps `free`, then `next` again. */
export class ReadBuffer {
  #budget: BufferBudget
  #buffer: Buffer = NONE
  /** Where in it the next read goes, or where all read. */
  #place: Buffer = SHARED
  #readBytes = 0
  #isFree = false
  /** Whoever takes the bytes has freed some before: then it frees what it can at once, and its buffers pay. */
  #isEverFree = false
  /** The buffer before, whose bytes may still be seen. */
  #kept = NONE

  constructor(budget: BufferBudget) {
    this.#budget = budget
  }

  /** Where the next read goes. */
  next(): Buffer {
    const bytes = this.#readBytes
    if (bytes === 0) return this.#place
    this.#readBytes = 0
    const isShared = this.#place === SHARED
    if (bytes <= LITTLE_BYTES && (isShared || this.#isFree)) return this.#rest()
    const length = isShared ? SHARED.length : this.#buffer.length
    const isFull = bytes === this.#place.length
    const isLittle = bytes < length / GROWTH
    if (this.#isFree) {
      if (isFull) this.#replace(Math.min(length * GROWTH, MOST_BYTES))
      else if (isShared || (isLittle && length > LEAST_BYTES)) this.#replace(LEAST_BYTES)
      return this.#place
    }
    const rest = isShared ? length : this.#place.byteOffset + bytes - this.#buffer.byteOffset
    if (this.#isEverFree) this.#replace(LEAST_BYTES)
    else if (length - rest >= length / 4) this.#place = keptPlace(this.#buffer, rest)
    else if (isFull) this.#replace(Math.min(length * GROWTH, MOST_KEPT_BYTES))
    else this.#replace(isLittle || isShared ? LEAST_BYTES : length)
    return this.#place
  }

  /** No buffer, until more comes. */
  #rest(): Buffer {
    this.#budget.spare(this.#buffer)
    this.#buffer = NONE
    this.#place = SHARED
    return SHARED
  }

  /** The chunk that a read of `bytes` gave. */
  took(bytes: number): Buffer {
    this.#readBytes = bytes
    this.#isFree = false
    if (this.#place === SHARED) return Buffer.from(SHARED.subarray(0, bytes))
    return bytes === this.#place.length ? this.#place : this.#place.subarray(0, bytes)
  }

  /** Nobody can see the chunk any more. Only right after `took`, before `next`. */
  free(): void {
    this.#isFree = this.#readBytes > 0
    this.#isEverFree ||= this.#isFree
  }

  /** Nobody can see what was taken before: all of it has been written. Not while a read is being taken. */
  freeKept(): void {
    this.#budget.spare(this.#kept)
    this.#kept = NONE
  }

  close(): void {
    this.#budget.giveBack(this.#kept.length)
    this.#budget.giveBack(this.#buffer.length)
    this.#kept = NONE
    this.#readBytes = 0
    this.#buffer = NONE
    this.#place = NONE
  }

  #replace(wantedBytes: number): void {
    this.#budget.giveBack(this.#kept.length)
    this.#kept = NONE
    // Where the place is not the first, the bytes before it were kept.
    if (this.#isFree && this.#place.byteOffset - this.#buffer.byteOffset <= LEAD_BYTES) {
      this.#budget.spare(this.#buffer)
    } else this.#kept = this.#buffer
    this.#buffer = this.#budget.take(wantedBytes)
    // What is kept holds on to its whole buffer: two reads share one, so that a receiver that is stuck holds one.
    const isShared = !this.#isEverFree && this.#buffer.length > LEAST_BYTES
    this.#place = isShared ? keptPlace(this.#buffer, 0) : this.#buffer
  }
}

/** Half of `buffer` or what a read should be, from about `start`. */
function keptPlace(buffer: Buffer, start: number): Buffer {
  const from = Math.ceil(start / LEAD_BYTES) * LEAD_BYTES + (start === 0 ? LEAD_BYTES : 0)
  return buffer.subarray(from, from + Math.min(buffer.length / 2 - LEAD_BYTES, KEPT_READ_BYTES))
}
