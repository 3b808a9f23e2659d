// The memory that sockets read into and tunnels write from. Rules: each may always have a small buffer, and a larger one
// only out of what all of a process share, at most a small part of what is left of it: however many hold on to theirs,
// one more can always go on. (Dynamic thresholds, as in switches with shared memory: Choudhury and Hahne, 1998.)

/** What everyone may have, whatever the others hold. */
export const LEAST_BYTES = 8 * 1024
const SHARED_BYTES = 32 * 1024 * 1024
const SHARE = 32
/** Kept for the next that needs them. */
const SPARE_BYTES = 4 * 1024 * 1024

/** The bytes past the least that all share. */
export class BufferBudget {
  #leftBytes: number
  #spares = new Map<number, Buffer[]>()
  #spareBytes = 0

  constructor(sharedBytes = SHARED_BYTES) {
    this.#leftBytes = sharedBytes
  }

  get leftBytes(): number {
    return this.#leftBytes
  }

  /** A buffer of at most `wantedBytes`. It is given back by its length, once: `giveBack`, `spare`. */
  take(wantedBytes: number): Buffer {
    let bytes = wantedBytes
    while (bytes > LEAST_BYTES && bytes * SHARE > this.#leftBytes) bytes = Math.max(LEAST_BYTES, bytes / 2)
    if (bytes < LEAST_BYTES) return Buffer.allocUnsafe(bytes)
    if (bytes > LEAST_BYTES) this.#leftBytes -= bytes
    const spare = this.#spares.get(bytes)?.pop()
    if (spare === undefined) return pages(bytes)
    this.#spareBytes -= bytes
    return spare
  }

  /** Somebody may still see its bytes, but not for long. */
  giveBack(bytes: number): void {
    if (bytes > LEAST_BYTES) this.#leftBytes += bytes
  }

  /** Nobody sees its bytes any more: the next `take` may have it. */
  spare(buffer: Buffer): void {
    const { length } = buffer
    this.giveBack(length)
    if (length < LEAST_BYTES || this.#spareBytes + length > SPARE_BYTES) return
    this.#spareBytes += length
    const spares = this.#spares.get(length)
    if (spares === undefined) this.#spares.set(length, [buffer])
    else spares.push(buffer)
  }
}

/** The process's own. */
export const BUFFERS = new BufferBudget()

/**
 * Memory that goes back to the system once it is collected: an ArrayBuffer that may be resized is mapped by itself,
 * where another comes from malloc's heap, which keeps what lies under the last small piece in use.
 */
function pages(bytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(bytes, { maxByteLength: bytes }), 0, bytes)
}
