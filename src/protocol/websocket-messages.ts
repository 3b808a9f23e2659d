// Takes whole binary messages out of a WebSocket's bytes (RFC 6455 section 5) where they lie, and leaves everything else
// to the WebSocket itself: control frames, fragments, and what no sound peer sends. Pure. Rule: a frame is taken only
// where nothing about it is in question, nor about one before it; what is passed on is passed on whole and in order.
import { xor } from './websocket-mask.ts'

const FINAL_BINARY = 0x82
const FINAL_PING = 0x89
const FINAL_PONG = 0x8a
const OPCODE = 0x0f
const CLOSE = 0x08
const MOST_CONTROL_BYTES = 125
const IS_MASKED = 0x80
const MASK_BYTES = 4
/** In place of a length: it follows in two bytes, or in eight (section 5.2). */
const LENGTH_IN_TWO = 126
const LENGTH_IN_EIGHT = 127
/** Of a header: with a length of eight bytes and a mask. */
const MOST_HEADER_BYTES = 14

export interface MessageReaderOptions {
  /** Messages of a client are masked (section 5.3). */
  readonly isMasked: boolean
  /** Longer ones are left to the WebSocket, which refuses them. */
  readonly mostBytes: number
  /** One whole message. Its bytes are good for this call only. */
  readonly message: (payload: Uint8Array) => void
  /** Bytes of anything else, perhaps in pieces. Good for this call only. */
  readonly other: (bytes: Uint8Array) => void
}

interface Header {
  readonly bytes: number
  readonly payloadBytes: number
  readonly isTaken: boolean
}

export class MessageReader {
  #options: MessageReaderOptions
  /** A header of which not all has come. */
  #head = new Uint8Array(MOST_HEADER_BYTES)
  #headBytes = 0
  /** A message of which not all has come. */
  #message: Uint8Array | undefined
  #messageBytes = 0
  #key = new Uint8Array(MASK_BYTES)
  /** Still to be passed on of a frame that is not taken. */
  #otherBytes = 0
  /** There was a frame which the WebSocket may refuse, or with which a message of fragments began: it gets all that comes. */
  #isLeft = false
  /** Nothing counts any more that comes behind a close frame (section 5.5.1). */
  #isClosed = false

  constructor(options: MessageReaderOptions) {
    this.#options = options
  }

  /** Takes the next bytes, in which masked messages are unmasked. They are not used after the call. */
  push(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      if (this.#isClosed && this.#otherBytes === 0) return
      if (this.#otherBytes > 0) at = this.#passOn(bytes, at)
      else if (this.#message === undefined) at = this.#begin(bytes, at)
      else at = this.#goOn(this.#message, bytes, at)
    }
  }

  #passOn(bytes: Uint8Array, at: number): number {
    const end = Math.min(bytes.length, at + this.#otherBytes)
    this.#otherBytes -= end - at
    this.#options.other(bytes.subarray(at, end))
    return end
  }

  /** The next frame, from `at` on or from what has been kept of its header. */
  #begin(bytes: Uint8Array, at: number): number {
    if (this.#headBytes > 0) {
      const more = bytes.subarray(at, at + MOST_HEADER_BYTES - this.#headBytes)
      this.#head.set(more, this.#headBytes)
      const keptBytes = this.#headBytes
      const header = this.#read(this.#head, 0, keptBytes + more.length)
      if (header === undefined) this.#headBytes += more.length
      else {
        this.#headBytes = 0
        this.#start(header, this.#head, 0)
      }
      return at + (header === undefined ? more.length : header.bytes - keptBytes)
    }
    const header = this.#read(bytes, at, bytes.length)
    if (header === undefined) {
      this.#head.set(bytes.subarray(at))
      this.#headBytes = bytes.length - at
      return bytes.length
    }
    const start = at + header.bytes
    const end = start + header.payloadBytes
    if (!header.isTaken || end > bytes.length) {
      this.#start(header, bytes, at)
      return start
    }
    if (this.#options.isMasked) xor(bytes, start, end, bytes.slice(start - MASK_BYTES, start))
    this.#options.message(bytes.subarray(start, end))
    return end
  }

  /** The header at `at`, if it is there whole. */
  #read(bytes: Uint8Array, at: number, end: number): Header | undefined {
    const first = bytes[at]
    const second = bytes[at + 1]
    if (first === undefined || second === undefined || at + 2 > end) return undefined
    const isMasked = (second & IS_MASKED) !== 0
    const short = second & ~IS_MASKED
    const lengthBytes = short === LENGTH_IN_TWO ? 2 : short === LENGTH_IN_EIGHT ? 8 : 0
    const headerBytes = 2 + lengthBytes + (isMasked ? MASK_BYTES : 0)
    if (at + headerBytes > end) return undefined
    let payloadBytes = lengthBytes === 0 ? short : 0
    for (let index = at + 2; index < at + 2 + lengthBytes; index += 1)
      payloadBytes = payloadBytes * 256 + (bytes[index] ?? 0)
    const isShortest = lengthBytes === 0 || (lengthBytes === 2 && payloadBytes >= LENGTH_IN_TWO)
    const { mostBytes } = this.#options
    const isMessage = first === FINAL_BINARY && isShortest && payloadBytes > 0 && payloadBytes <= mostBytes
    const isPing = (first === FINAL_PING || first === FINAL_PONG) && payloadBytes <= MOST_CONTROL_BYTES
    if (isMasked !== this.#options.isMasked || !(isMessage || isPing)) this.#isLeft = true
    const isTaken = isMessage && !this.#isLeft
    return { bytes: headerBytes, payloadBytes, isTaken }
  }

  /** Begins a frame that is not here whole, or not taken, whose header is. */
  #start(header: Header, bytes: Uint8Array, at: number): void {
    if (!header.isTaken) {
      this.#otherBytes = header.payloadBytes
      this.#isClosed = ((bytes[at] ?? 0) & OPCODE) === CLOSE
      return this.#options.other(bytes.subarray(at, at + header.bytes))
    }
    this.#message = new Uint8Array(header.payloadBytes)
    this.#messageBytes = 0
    if (this.#options.isMasked)
      this.#key.set(bytes.subarray(at + header.bytes - MASK_BYTES, at + header.bytes))
  }

  #goOn(message: Uint8Array, bytes: Uint8Array, at: number): number {
    const end = Math.min(bytes.length, at + message.length - this.#messageBytes)
    message.set(bytes.subarray(at, end), this.#messageBytes)
    this.#messageBytes += end - at
    if (this.#messageBytes < message.length) return end
    this.#message = undefined
    if (this.#options.isMasked) xor(message, 0, message.length, this.#key)
    this.#options.message(message)
    return end
  }
}
