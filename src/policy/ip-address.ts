// IP addresses as bytes: strict text to bytes and back, prefixes, and the IPv4 addresses that an IPv6 address
// holds. Rule: an address is read the way the kernel's inet_pton reads it, since that is who dials it. So
// IPv4 is four plain decimals (looser spellings are host.ts's matter) and a dotted tail of IPv6 is taken bit
// by bit (ipaddr.js would read `::1.2.3.4` as the mapped `::ffff:1.2.3.4`).
import ipaddr from 'ipaddr.js'
import { quadBytes } from '../protocol/dotted-quad.ts'

/** 4 bytes for IPv4, 16 for IPv6, network order. */
export type AddressBytes = readonly number[]

export interface Prefix {
  readonly bytes: AddressBytes
  readonly bits: number
}

/** How an IPv6 address holds an IPv4 one. */
type HeldForm = 'mapped' | 'compatible' | 'translated' | 'nat64' | '6to4' | 'teredo' | 'isatap'

interface HeldAddress {
  readonly form: HeldForm
  readonly bytes: AddressBytes
}

const MAX_ADDRESS_CHARS = 45

/**
 * Bytes of an IPv4 (dotted quad) or IPv6 (RFC 4291 §2.2) address without zone; undefined for anything else.
 */
export function parseAddress(text: string): AddressBytes | undefined {
  if (text.length > MAX_ADDRESS_CHARS) return undefined
  if (!text.includes(':')) return quadBytes(text)
  const tailAt = text.lastIndexOf(':') + 1
  const tail = text.slice(tailAt)
  let hex = text
  if (tail.includes('.')) {
    const quad = parseAddress(tail)
    if (quad === undefined) return undefined
    hex = text.slice(0, tailAt) + hexGroups(quad)
  }
  if (!/^[0-9a-f:]+$/i.test(hex) || !ipaddr.IPv6.isValid(hex)) return undefined
  return ipaddr.IPv6.parse(hex).toByteArray()
}

/** The canonical text of an address: dotted quad, or RFC 5952. */
export function formatAddress(bytes: AddressBytes): string {
  return bytes.length === 4 ? bytes.join('.') : new ipaddr.IPv6([...bytes]).toRFC5952String()
}

/** `ADDRESS/BITS`, or an address alone (all its bits); undefined where either part is malformed. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/')
  const bytes = parseAddress(slash < 0 ? text : text.slice(0, slash))
  if (bytes === undefined) return undefined
  if (slash < 0) return { bytes, bits: bytes.length * 8 }
  const length = text.slice(slash + 1)
  if (!/^(?:0|[1-9]\d{0,2})$/.test(length) || Number(length) > bytes.length * 8) return undefined
  return { bytes, bits: Number(length) }
}

/** The prefix with every bit after its length cleared. */
export function maskPrefix({ bytes, bits }: Prefix): Prefix {
  return { bytes: bytes.map((byte, index) => byte & maskByte(bits, index)), bits }
}

/** True where the address is of the prefix's family and begins with it. */
export function inPrefix(address: AddressBytes, { bytes, bits }: Prefix): boolean {
  if (address.length !== bytes.length) return false
  return address.every((byte, index) => ((byte ^ bytes[index]!) & maskByte(bits, index)) === 0)
}

export function sameAddress(one: AddressBytes, other: AddressBytes): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index])
}

const HOLDERS: readonly (Prefix & { readonly form: HeldForm; readonly offsets: readonly number[] })[] = [
  { ...prefix('::ffff:0:0/96'), form: 'mapped', offsets: [12] }, // RFC 4291 §2.5.5.2
  { ...prefix('::/96'), form: 'compatible', offsets: [12] }, // RFC 4291 §2.5.5.1
  { ...prefix('::ffff:0:0:0/96'), form: 'translated', offsets: [12] }, // RFC 2765 §2.1
  { ...prefix('64:ff9b::/96'), form: 'nat64', offsets: [12] }, // RFC 6052 §2.1
  { ...prefix('2002::/16'), form: '6to4', offsets: [2] }, // RFC 3056 §2
  { ...prefix('2001::/32'), form: 'teredo', offsets: [4, 12] }, // RFC 4380 §4: server, client
]

/**
 * Every IPv4 address that an IPv6 address holds. Teredo gives two: the server, and the client with the
 * inverted bits of RFC 4380 §4 put right. ISATAP (RFC 5214 §6.1) can stand under any prefix, so also under
 * another form's.
 */
export function heldAddresses(address: AddressBytes): readonly HeldAddress[] {
  const held: HeldAddress[] = []
  if (address.length !== 16) return held
  for (const holder of HOLDERS) {
    if (!inPrefix(address, holder)) continue
    for (const offset of holder.offsets) {
      const inverted = holder.form === 'teredo' && offset === 12
      const bytes = address.slice(offset, offset + 4).map((byte) => (inverted ? byte ^ 0xff : byte))
      held.push({ form: holder.form, bytes })
    }
  }
  const [first, second, third, fourth] = address.slice(8, 12)
  if ((first! & 0xfc) === 0 && second === 0 && third === 0x5e && fourth === 0xfe) {
    held.push({ form: 'isatap', bytes: address.slice(12) })
  }
  return held
}

/** An IPv4-mapped address as the IPv4 that a socket really reaches by it; any other address as it is. */
export function unmapAddress(address: AddressBytes): AddressBytes {
  return heldAddresses(address).find((held) => held.form === 'mapped')?.bytes ?? address
}

/** The prefix that the text means; for tables in this folder, whose text is known to be well formed. */
export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text)
  if (parsed === undefined) throw new TypeError(`${text} is not an address prefix`)
  return parsed
}

function hexGroups(quad: AddressBytes): string {
  const [a, b, c, d] = quad
  return `${((a! << 8) | b!).toString(16)}:${((c! << 8) | d!).toString(16)}`
}

function maskByte(bits: number, index: number): number {
  const kept = Math.min(8, Math.max(0, bits - index * 8))
  return (0xff << (8 - kept)) & 0xff
}
