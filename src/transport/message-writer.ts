// Writes mux frames as WebSocket messages (RFC 6455 section 5), one behind the other, into memory that is used again
// once it is sent. Rules: what is made in one turn leaves in one piece, which TLS encrypts where it lies; DATA is cut so
// that its message ends where a TLS record does, and so arrives in one piece too; bytes are copied once, masked ones twice.
import { randomFillSync } from 'node:crypto'
import type { FrameParts } from '../protocol/mux/frame.ts'
import { xor } from '../protocol/websocket-mask.ts'
import type { BufferBudget } from './buffer-budget.ts'

export const RECORD_BYTES = 16 * 1024
/** A buffer holds what one turn made, if it is not more than this. */
export const MOST_BYTES = 256 * 1024
const FIRST_BYTES = 2 * 1024
/** What stands in place of a length that does not fit 7 bits, by how many bytes behind it say it (section 5.2). */
const LENGTH_IN_TWO = 126
const LENGTH_IN_EIGHT = 127
const TWO_BYTES_MOST = 0xffff
/** Header of all but the shortest and the longest messages, without the mask. */
const HEADER_BYTES = 4
const MASK_BYTES = 4
/** With less room than this a frame goes on into the next record. */
const WORTH_BYTES = 512
const FINAL_BINARY = 0x82
const IS_MASKED = 0x80
const NONE: Buffer = Buffer.alloc(0)

export class MessageWriter {
  #budget: BufferBudget
  #maskBytes: number
  #write: (bytes: Buffer, sent: () => void) => void
  #buffer = NONE
  /** It came from the budget, and goes back there. */
  #isCounted = false
  #length = 0
  #wantedBytes = FIRST_BYTES

  /** Messages of a client are masked (section 5.3). `write` may keep `bytes` until it calls `sent`. */
  constructor(budget: BufferBudget, isClient: boolean, write: (bytes: Buffer, sent: () => void) => void) {
    this.#budget = budget
    this.#maskBytes = isClient ? MASK_BYTES : 0
    this.#write = write
  }

  /** How long the next frame should be at most, to end with its record. */
  get room(): number {
    const inRecord = RECORD_BYTES - (this.#length % RECORD_BYTES) - HEADER_BYTES - this.#maskBytes
    return inRecord < WORTH_BYTES ? inRecord + RECORD_BYTES : inRecord
  }

  /** Adds a frame; gives the length of its message. */
  add({ head, payload }: FrameParts): number {
    const bytes = head.length + (payload?.length ?? 0)
    const headerBytes = headerBytesOf(bytes) + this.#maskBytes
    this.#makeRoom(headerBytes + bytes)
    const buffer = this.#buffer
    const start = this.#length + headerBytes
    const isMasked = this.#maskBytes > 0
    writeHeader(buffer, this.#length, bytes, isMasked ? IS_MASKED : 0)
    if (isMasked) setMasked(buffer, start, head, payload)
    else {
      buffer.set(head, start)
      if (payload !== undefined) buffer.set(payload, start + head.length)
    }
    this.#length = start + bytes
    return headerBytes + bytes
  }

  /** Sends what was added. */
  flush(): void {
    if (this.#length === 0) return
    if (this.#length < this.#wantedBytes / 4) this.#wantedBytes = Math.max(this.#wantedBytes / 2, FIRST_BYTES)
    this.#send()
  }

  #makeRoom(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    if (this.#length > 0) {
      this.#wantedBytes = Math.min(this.#wantedBytes * 2, MOST_BYTES)
      this.#send()
    }
    while (this.#wantedBytes < bytes) this.#wantedBytes *= 2
    this.#buffer = this.#budget.take(this.#wantedBytes)
    this.#isCounted = this.#buffer.length >= bytes
    if (this.#isCounted) return
    // The budget is short: a buffer for this message alone, which it does not count.
    this.#budget.spare(this.#buffer)
    this.#buffer = Buffer.allocUnsafe(bytes)
  }

  #send(): void {
    const buffer = this.#buffer
    const isCounted = this.#isCounted
    const bytes = buffer.subarray(0, this.#length)
    this.#buffer = NONE
    this.#length = 0
    this.#write(bytes, () => {
      if (isCounted) this.#budget.spare(buffer)
    })
  }
}

function headerBytesOf(bytes: number): number {
  return bytes < LENGTH_IN_TWO ? 2 : bytes <= TWO_BYTES_MOST ? HEADER_BYTES : 10
}

/** The header of a final binary message of `bytes`, but for its mask. */
function writeHeader(buffer: Buffer, at: number, bytes: number, isMasked: number): void {
  buffer[at] = FINAL_BINARY
  if (bytes < LENGTH_IN_TWO) buffer[at + 1] = bytes | isMasked
  else if (bytes <= TWO_BYTES_MOST) {
    buffer[at + 1] = LENGTH_IN_TWO | isMasked
    buffer.writeUInt16BE(bytes, at + 2)
  } else {
    buffer[at + 1] = LENGTH_IN_EIGHT | isMasked
    buffer.writeBigUInt64BE(BigInt(bytes), at + 2)
  }
}

const random = new Uint8Array(4 * 1024)
let randomUsed = random.length

/** Where bytes are masked: see websocket-mask.ts. */
let masking = Buffer.allocUnsafeSlow(RECORD_BYTES)

/** Puts a frame at `start`, masked with four new random bytes, which it puts before `start`. */
function setMasked(buffer: Buffer, start: number, head: Uint8Array, payload: Uint8Array = NONE): void {
  if (randomUsed === random.length) {
    randomFillSync(random)
    randomUsed = 0
  }
  const key = random.subarray(randomUsed, randomUsed + MASK_BYTES)
  randomUsed += MASK_BYTES
  const bytes = head.length + payload.length
  if (bytes > masking.length) masking = Buffer.allocUnsafeSlow(bytes)
  masking.set(head)
  masking.set(payload, head.length)
  xor(masking, 0, bytes, key)
  buffer.set(key, start - MASK_BYTES)
  buffer.set(masking.subarray(0, bytes), start)
}
