// Reads the fixed and length-prefixed pieces of a SOCKS stream and notes them as fields. Rule: once a piece
// has not arrived whole, nothing after it is read either, so a prefix of a handshake gives a prefix of its
// fields.
import type { Field } from './field.ts'

export class SocksCursor {
  readonly fields: Field[] = []
  readonly #bytes: Uint8Array
  #at = 0
  #ended = false

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Offset of the next byte to read. */
  get at(): number {
    return this.#at
  }

  /** `length` bytes, or undefined when the stream (or an earlier piece) ends first. */
  bytes(length: number | undefined): Uint8Array | undefined {
    if (length === undefined || this.#ended || this.#at + length > this.#bytes.length) {
      this.#ended = true
      return undefined
    }
    const piece = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return piece
  }

  /** A big-endian number of `length` bytes, noted under `name` where one is given. */
  number(name: string | undefined, length: 1 | 2): number | undefined {
    const piece = this.bytes(length)
    if (piece === undefined) return undefined
    const value = piece.reduce((sum, byte) => sum * 0x100 + byte, 0)
    if (name !== undefined) this.noteAt(name, String(value), this.#at - length, length)
    return value
  }

  /** Text behind a length of one byte. */
  text8(name: string): string | undefined {
    return this.#text(name, this.bytes(this.number(undefined, 1)), 0)
  }

  /** Text that a zero byte ends. */
  text0(name: string): string | undefined {
    const end = this.#bytes.indexOf(0, this.#at)
    const piece = this.bytes(end === -1 ? undefined : end - this.#at + 1)
    return this.#text(name, piece, 1)
  }

  noteAt(name: string, value: string, offset: number, length: number): void {
    this.fields.push({ name, value, offset, length })
  }

  #text(name: string, piece: Uint8Array | undefined, terminator: number): string | undefined {
    if (piece === undefined) return undefined
    const length = piece.length - terminator
    const value = Buffer.from(piece.subarray(0, length)).toString('utf8')
    this.noteAt(name, value, this.#at - piece.length, length)
    return value
  }
}
