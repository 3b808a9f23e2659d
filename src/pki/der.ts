// A reader of DER (X.690) as far as a revocation list needs it: definite lengths and one-byte tags, walked
// without copying, because a list can hold a hundred thousand entries and Node has no parser for it.
// Rule: bytes that are not DER give GatewayError `pki-invalid`, never a wrong value.
import { GatewayError } from '../errors.ts'

export const DER_TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  context0: 0xa0,
} as const

export interface DerValue {
  readonly tag: number
  /** Tag, length and content: what a signature is taken over. */
  readonly raw: Uint8Array
  readonly content: Uint8Array
}

/** Takes the values of `bytes` one after the other. */
export class DerReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** The tag of the next value, or undefined at the end. */
  get tag(): number | undefined {
    return this.#bytes[this.#at]
  }

  /** The next value, which must have this tag. Throws `pki-invalid`. */
  take(tag: number): DerValue {
    if (this.tag !== tag) throw malformed(`tag ${this.tag ?? 'end'} stands where ${tag} was expected`)
    const start = this.#at
    const contentStart = start + 2 + this.#longLengthBytes(start + 1)
    const end = contentStart + this.#length(start + 1)
    if (end > this.#bytes.length) throw malformed('it ends too early')
    this.#at = end
    return { tag, raw: this.#bytes.subarray(start, end), content: this.#bytes.subarray(contentStart, end) }
  }

  /** The next value if it has this tag, else undefined and nothing is taken. */
  takeIf(tag: number): DerValue | undefined {
    return this.tag === tag ? this.take(tag) : undefined
  }

  /** Throws `pki-invalid` if bytes are left. */
  end(): void {
    if (this.tag !== undefined) throw malformed('something follows its end')
  }

  #longLengthBytes(at: number): number {
    const first = this.#bytes[at]
    if (first === undefined) throw malformed('it ends too early')
    if (first < 0x80) return 0
    const count = first & 0x7f
    if (count === 0 || count > 4) throw malformed('a length is indefinite or too long')
    return count
  }

  #length(at: number): number {
    const count = this.#longLengthBytes(at)
    if (count === 0) return this.#bytes[at] ?? 0
    let length = 0
    for (let index = 1; index <= count; index++) length = length * 256 + (this.#bytes[at + index] ?? 0)
    return length
  }
}

/** UTCTime or GeneralizedTime as RFC 5280 4.1.2.5 allows them: to the second, in UTC. Throws `pki-invalid`. */
export function derTime(value: DerValue): Date {
  const text = Buffer.from(value.content).toString('latin1')
  const digits = value.tag === DER_TAG.utcTime ? (text < '5' ? '20' : '19') + text : text
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(digits)
  if (!parts) throw malformed('a time is not written as RFC 5280 asks')
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1).map(Number)
  return new Date(Date.UTC(year, month - 1, day, hour, minute, second))
}

function malformed(what: string): GatewayError {
  return new GatewayError('pki-invalid', {
    detail: `the DER is not well formed: ${what}`,
    hint: 'copy the file again, whole and as it was made',
  })
}
