// Reads domain names out of DNS messages, compression undone (RFC 1035 sections 3.1 and 4.1.4). Rule: it always ends: a
// pointer leads to bytes before the labels that it ends, a name has at most 255 octets, and all names of a message
// together at most 64 KiB, however often pointers repeat them (a pointer counts as one octet).
import { malformed } from './byte-reader.ts'

export interface DnsName {
  /**
   * As in a zone file (RFC 1035 section 5.1): no final dot, the root as `.`; a dot or backslash within a label has a
   * backslash before it, what is not printable ASCII stands as `\DDD`. Case as it was sent.
   */
  readonly text: string
  /** First octet after the name where it stands: behind its pointer, if it ends in one. */
  readonly end: number
}

const MAX_NAME_OCTETS = 255
const MAX_MESSAGE_NAME_OCTETS = 64 * 1024
/** The two high bits of a length octet; 01 and 10 have no meaning any more (RFC 6891 section 5). */
const LABEL_KIND = 0xc0
const POINTER = 0xc0

/** Reads the names of one message, and counts what they take when written out. */
export class DnsNames {
  readonly #message: Uint8Array
  #octets = 0

  constructor(message: Uint8Array) {
    this.#message = message
  }

  /** The name at `offset`. Throws `bad-request` where none is, or where it breaks a limit above. */
  read(offset: number): DnsName {
    const labels: string[] = []
    let octets = 0
    let end: number | undefined
    let start = offset
    let at = offset
    for (;;) {
      const length = this.#octet(at)
      if ((length & LABEL_KIND) === POINTER) {
        const target = (length & ~LABEL_KIND) * 0x100 + this.#octet(at + 1)
        end ??= at + 2
        this.#octets += 1
        if (target >= start) throw malformed(`the DNS name at offset ${offset} points forward or at itself`)
        start = target
        at = target
        continue
      }
      if ((length & LABEL_KIND) !== 0)
        throw malformed(`the DNS name at offset ${offset} has no label at ${at}`)
      octets += 1 + length
      this.#octets += 1 + length
      if (octets > MAX_NAME_OCTETS)
        throw malformed(`the DNS name at offset ${offset} is longer than 255 octets`)
      if (this.#octets > MAX_MESSAGE_NAME_OCTETS)
        throw malformed('the names of the DNS message take more than 64 KiB written out')
      at += 1
      if (length === 0) return { text: labels.length === 0 ? '.' : labels.join('.'), end: end ?? at }
      if (at + length > this.#message.length) throw malformed('the DNS message ends within a name')
      labels.push(labelText(this.#message.subarray(at, at + length)))
      at += length
    }
  }

  #octet(at: number): number {
    const octet = this.#message[at]
    if (octet === undefined) throw malformed('the DNS message ends within a name')
    return octet
  }
}

function labelText(label: Uint8Array): string {
  let text = ''
  for (const octet of label) {
    const character = String.fromCharCode(octet)
    if (octet <= 0x20 || octet >= 0x7f) text += `\\${String(octet).padStart(3, '0')}`
    else text += character === '.' || character === '\\' ? `\\${character}` : character
  }
  return text
}
