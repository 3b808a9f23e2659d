// One spelling for every host that a client may name, before any rule looks at it. Rule: what would be
// dialled as an address is an address here (`2130706433`, `0x7f.1` and `[::ffff:127.0.0.1]` are all
// 127.0.0.1), and what could be read in two ways is refused.
import { GatewayError } from '../errors.ts'
import { quadBytes } from '../protocol/dotted-quad.ts'
import { formatAddress, parseAddress, unmapAddress } from './ip-address.ts'

export type Host =
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'name'; readonly name: string }

const MAX_NAME_CHARS = 253
// Without the u flag, i does not let the Kelvin sign pass as a k.
const LABEL = /^[a-z0-9_-]{1,63}$/i
const NUMERIC_LABEL = /^(?:\d+|0x[0-9a-f]*)$/

/**
 * The address or the lower-case name that a host means. IPv6 with or without brackets; IPv4 in every spelling
 * of inet_aton, and refused where its last label is a number but the whole is no address (WHATWG URL, "ends
 * in a number" and "IPv4 parser"); names of letters, digits, hyphens and underscores (RFC 1035 §2.3.1, RFC
 * 2181 §11), in punycode, with at most one trailing dot, which is dropped. Errors: `bad-request`, which never
 * repeats the host.
 */
export function normalizeHost(host: string): Host {
  if (host.startsWith('[') || host.endsWith(']')) {
    const inner = host.slice(1, -1)
    if (!host.startsWith('[') || !host.endsWith(']') || !inner.includes(':')) {
      throw refusal('brackets hold something that is not an IPv6 address')
    }
    return addressHost(inner)
  }
  if (host.includes(':')) return addressHost(host)
  if (quadBytes(host) !== undefined) return { kind: 'address', address: host }
  const name = host.endsWith('.') ? host.slice(0, -1) : host
  if (name === '') throw refusal('the host is empty')
  if (name.length > MAX_NAME_CHARS) throw refusal('the host name is longer than 253 characters')
  if (!name.split('.').every((label) => LABEL.test(label))) {
    throw refusal('the host name has an empty or too long label or a character that names cannot have')
  }
  const labels = name.toLowerCase().split('.')
  if (!NUMERIC_LABEL.test(labels.at(-1)!)) return { kind: 'name', name: labels.join('.') }
  return { kind: 'address', address: readInetAton(labels) }
}

function addressHost(text: string): Host {
  const bytes = parseAddress(text)
  if (bytes === undefined) throw refusal('the host is not a well-formed IPv6 address')
  return { kind: 'address', address: formatAddress(unmapAddress(bytes)) }
}

/**
 * One to four numbers, decimal, octal (leading 0) or hexadecimal (0x); the last one fills the bytes left
 * over.
 */
function readInetAton(labels: readonly string[]): string {
  const numbers = labels.map(readNumber)
  const last = numbers.pop()!
  const room = 256 ** (4 - numbers.length)
  if (numbers.length > 3 || !numbers.every((number) => number <= 255) || !(last < room)) {
    throw refusal('the host ends in a number but is not an IPv4 address')
  }
  const value = numbers.reduce((sum, number, index) => sum + number * 256 ** (3 - index), last)
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
}

/** NaN where the label is no number. */
function readNumber(label: string): number {
  if (/^0x[0-9a-f]*$/.test(label)) return label === '0x' ? 0 : Number(label)
  if (/^0[0-7]+$/.test(label)) return Number.parseInt(label, 8)
  return /^(?:0|[1-9]\d*)$/.test(label) ? Number(label) : Number.NaN
}

function refusal(detail: string): GatewayError {
  return new GatewayError('bad-request', {
    side: 'client',
    detail,
    hint: 'name the destination as a DNS name in ASCII (IDN in punycode) or as an IP address',
  })
}
