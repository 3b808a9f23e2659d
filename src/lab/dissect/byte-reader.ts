// Reads big-endian numbers and length-prefixed vectors from a message that is whole. Rule: a read past the
// end is `bad-request`, never `undefined` and never a RangeError.
import { GatewayError } from '../../errors.ts'

export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #what: string
  #at = 0

  /** `what` names the message in errors ("ClientHello"). */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes
    this.#what = what
  }

  get offset(): number {
    return this.#at
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  u8(): number {
    return this.take(1)[0] ?? 0
  }

  u16(): number {
    return this.u8() * 0x100 + this.u8()
  }

  u24(): number {
    return this.u16() * 0x100 + this.u8()
  }

  take(length: number): Uint8Array {
    if (length > this.remaining) throw malformed(`the ${this.#what} ends in the middle of a field`)
    const bytes = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return bytes
  }

  /** RFC 8446 section 3.4: bytes behind a length of one byte. */
  vector8(): Uint8Array {
    return this.take(this.u8())
  }

  vector16(): Uint8Array {
    return this.take(this.u16())
  }

  /** Throws where anything is left over. */
  end(): void {
    if (this.remaining > 0) throw malformed(`the ${this.#what} has ${this.remaining} bytes too many`)
  }
}

/** All 16-bit numbers of a vector; an odd byte is `bad-request`. */
export function numbers16(bytes: Uint8Array, what: string): number[] {
  const reader = new ByteReader(bytes, what)
  const numbers: number[] = []
  while (reader.remaining > 0) numbers.push(reader.u16())
  return numbers
}

/** The one error that a dissector throws at bytes that are not what they should be. */
export function malformed(detail: string): GatewayError {
  return new GatewayError('bad-request', { detail })
}
