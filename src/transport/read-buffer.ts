// Which memory a TCP socket reads into. Rules: a buffer is read into again only while nobody can still see the bytes
// of the last read; each socket always has a small buffer, and a larger one only out of what all sockets share, at
// most a small part of what is left of it: however many hold on to theirs, one more can always go on.
// (Dynamic thresholds, as in switches with shared memory: Choudhury and Hahne, 1998.)

/** What a socket starts with: most that are open carry little. */
const FIRST_BYTES = 2 * 1024
/** What every socket may have, whatever the others hold. */
export const LEAST_BYTES = 8 * 1024
const GROWTH = 8
/** The largest where bytes are kept for a while by whoever takes them. */
export const MOST_KEPT_BYTES = 64 * 1024
/** The largest where they are with the kernel at once. */
export const MOST_BYTES = 256 * 1024
const SHARED_BYTES = 32 * 1024 * 1024
const SHARE = 32
/** Of the largest size, kept for the next that needs one. */
const SPARES_MAX = 16
const NONE = Buffer.alloc(0)

/** The bytes past the least that all sockets of a process share. */
export class ReadBudget {
  #leftBytes: number
  #spares: Buffer[] = []

  constructor(sharedBytes = SHARED_BYTES) {
    this.#leftBytes = sharedBytes
  }

  get leftBytes(): number {
    return this.#leftBytes
  }

  /** A buffer of at most `wantedBytes`. It is given back by its length, once: `giveBack`. */
  take(wantedBytes: number): Buffer {
    let bytes = wantedBytes
    while (bytes > LEAST_BYTES && bytes * SHARE > this.#leftBytes) bytes /= 2
    if (bytes < LEAST_BYTES) return Buffer.allocUnsafe(bytes)
    if (bytes > LEAST_BYTES) this.#leftBytes -= bytes
    const spare = bytes === MOST_BYTES ? this.#spares.pop() : undefined
    return spare ?? pages(bytes)
  }

  giveBack(bytes: number): void {
    if (bytes > LEAST_BYTES) this.#leftBytes += bytes
  }

  /** Keeps a buffer that nobody can see any more for the next `take`. */
  spare(buffer: Buffer): void {
    if (buffer.length === MOST_BYTES && this.#spares.length < SPARES_MAX) this.#spares.push(buffer)
  }
}

/** The buffers of one socket, one after the other: `next`, then `took`, perhaps `free`, then `next` again. */
export class ReadBuffer {
  #budget: ReadBudget
  #buffer: Buffer
  /** Where in it the next read goes. */
  #place: Buffer
  #readBytes = 0
  #isFree = false
  /** Whoever takes the bytes has freed some before: then it frees what it can at once, and its buffers pay. */
  #isEverFree = false
  /** The length of the buffer before, whose bytes may still be seen. */
  #keptBytes = 0

  constructor(budget: ReadBudget) {
    this.#budget = budget
    this.#buffer = budget.take(FIRST_BYTES)
    this.#place = this.#buffer
  }

  /** Where the next read goes. */
  next(): Buffer {
    const { length } = this.#buffer
    const bytes = this.#readBytes
    if (bytes === 0) return this.#place
    this.#readBytes = 0
    const isFull = bytes === this.#place.length
    const isLittle = bytes < length / GROWTH
    if (this.#isFree) {
      if (isFull) this.#replace(Math.min(length * GROWTH, MOST_BYTES))
      else if (isLittle && length > LEAST_BYTES) this.#replace(LEAST_BYTES)
      return this.#place
    }
    const rest = this.#place.byteOffset + bytes - this.#buffer.byteOffset
    if (this.#isEverFree) this.#replace(FIRST_BYTES)
    else if (length - rest >= length / 4) this.#place = this.#buffer.subarray(rest)
    else if (isFull) this.#replace(Math.min(length * GROWTH, MOST_KEPT_BYTES))
    else this.#replace(isLittle ? LEAST_BYTES : length)
    return this.#place
  }

  /** The chunk that a read of `bytes` gave. */
  took(bytes: number): Buffer {
    this.#readBytes = bytes
    this.#isFree = false
    return bytes === this.#place.length ? this.#place : this.#place.subarray(0, bytes)
  }

  /** Nobody can see the chunk any more. Only right after `took`, before `next`. */
  free(): void {
    this.#isFree = this.#readBytes > 0
    this.#isEverFree ||= this.#isFree
  }

  close(): void {
    this.#budget.giveBack(this.#keptBytes)
    this.#budget.giveBack(this.#buffer.length)
    this.#keptBytes = 0
    this.#readBytes = 0
    this.#buffer = NONE
    this.#place = NONE
  }

  #replace(wantedBytes: number): void {
    const { length } = this.#buffer
    this.#budget.giveBack(this.#keptBytes)
    this.#keptBytes = 0
    // Where the place is not the first, the bytes before it were kept.
    if (this.#isFree && this.#place.byteOffset === this.#buffer.byteOffset) {
      this.#budget.giveBack(length)
      this.#budget.spare(this.#buffer)
    } else this.#keptBytes = length
    this.#buffer = this.#budget.take(wantedBytes)
    // What is kept holds on to its whole buffer: two reads share one, so that a receiver that is stuck holds one.
    const isShared = !this.#isEverFree && this.#buffer.length > LEAST_BYTES
    this.#place = isShared ? this.#buffer.subarray(0, this.#buffer.length / 2) : this.#buffer
  }
}

/**
 * Memory that goes back to the system once it is collected: an ArrayBuffer that may be resized is mapped by itself,
 * where another comes from malloc's heap, which keeps what lies under the last small piece in use.
 */
function pages(bytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(bytes, { maxByteLength: bytes }), 0, bytes)
}
