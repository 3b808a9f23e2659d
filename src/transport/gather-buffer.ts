// Where the bytes of one stream are put together that come in pieces, to be passed on together: chunks lie one behind the
// other in memory that is used again once nobody can see them. Rules: who has nothing to pass on holds no memory, and
// chunks that wait cost little more than their bytes, in whatever pieces these came.
import type { BufferBudget } from './buffer-budget.ts'

const FIRST_BYTES = 2 * 1024
const MOST_BYTES = 256 * 1024
const GROWTH = 8
/** Full buffers past these are left to be collected. */
const MOST_KEPT = 8
const NONE: Buffer = Buffer.alloc(0)

/** The buffers of one stream: `put` and `take` in turn; when the turn of the event loop is over, `rest`. */
export class GatherBuffer {
  #budget: BufferBudget
  #buffer = NONE
  /** Between the two lies what was put and not taken. */
  #start = 0
  #end = 0
  #takenOffset = 0
  /** What was taken before it nobody sees any more. */
  #freeOffset = 0
  /** Full ones, each with the offset of its end. */
  #kept: Array<{ readonly buffer: Buffer; readonly endOffset: number }> = []
  #wantedBytes = FIRST_BYTES
  /** Put since the last rest. */
  #turnBytes = 0

  constructor(budget: BufferBudget) {
    this.#budget = budget
  }

  /** How many bytes wait to be taken. */
  get bytes(): number {
    return this.#end - this.#start
  }

  /** How many have ever been taken. */
  get takenOffset(): number {
    return this.#takenOffset
  }

  /** What was put has to be taken before more can be put. */
  get isFull(): boolean {
    return this.bytes > 0 && this.#end === this.#buffer.length
  }

  /** Copies as many of `bytes` as there is room for, and says how many. Not while it is full. */
  put(bytes: Uint8Array): number {
    if (this.#end === this.#buffer.length) this.#renew()
    const piece = bytes.subarray(0, this.#buffer.length - this.#end)
    this.#buffer.set(piece, this.#end)
    this.#end += piece.length
    this.#turnBytes += piece.length
    return piece.length
  }

  /** All that was put, as one chunk. */
  take(): Buffer {
    const chunk = this.#buffer.subarray(this.#start, this.#end)
    this.#start = this.#end
    this.#takenOffset += chunk.length
    return chunk
  }

  /** Nobody sees any more what was taken before `offset`. */
  free(offset: number): void {
    this.#freeOffset = offset
    while (this.#kept[0] !== undefined && this.#kept[0].endOffset <= offset) {
      this.#budget.spare(this.#kept[0].buffer)
      this.#kept.shift()
    }
  }

  /** The turn is over: memory that nobody sees goes to others. */
  rest(): void {
    if (this.#turnBytes < this.#wantedBytes / GROWTH)
      this.#wantedBytes = Math.max(FIRST_BYTES, this.#wantedBytes / GROWTH)
    this.#turnBytes = 0
    if (this.bytes === 0 && this.#freeOffset === this.#takenOffset) this.#spare()
  }

  close(): void {
    for (const { buffer } of this.#kept.splice(0)) this.#budget.giveBack(buffer.length)
    this.#budget.giveBack(this.#buffer.length)
    this.#buffer = NONE
    this.#start = this.#end = 0
  }

  #spare(): void {
    this.#budget.spare(this.#buffer)
    this.#buffer = NONE
    this.#start = this.#end = 0
  }

  /** The buffer is full, or there is none. */
  #renew(): void {
    const isFree = this.#freeOffset === this.#takenOffset
    if (this.#buffer !== NONE) {
      this.#wantedBytes = Math.min(this.#wantedBytes * GROWTH, MOST_BYTES)
      if (isFree && this.#buffer.length >= this.#wantedBytes) {
        this.#start = this.#end = 0
        return
      }
      if (isFree) this.#spare()
      else this.#keep()
    }
    this.#buffer = this.#budget.take(this.#wantedBytes)
    this.#start = this.#end = 0
  }

  #keep(): void {
    this.#kept.push({ buffer: this.#buffer, endOffset: this.#takenOffset })
    if (this.#kept.length <= MOST_KEPT) return
    this.#budget.giveBack(this.#kept.shift()?.buffer.length ?? 0)
  }
}
