// Serial numbers as text. Rule: one spelling everywhere (index, revocation list, judge): lower-case hex
// without leading zeros, so that equal numbers are equal strings.
import { webcrypto } from 'node:crypto'

/** 128 random bits from webcrypto, never zero; DER adds the octet that keeps it positive (RFC 5280 4.1.2.2). */
export function randomSerial(): string {
  for (;;) {
    const serial = normaliseSerial(Buffer.from(webcrypto.getRandomValues(new Uint8Array(16))).toString('hex'))
    if (serial !== '0') return serial
  }
}

/** The one spelling of a serial given as hex digits of either case, as Node and OpenSSL print them. */
export function normaliseSerial(hex: string): string {
  return hex.toLowerCase().replace(/^0+(?=.)/, '')
}
