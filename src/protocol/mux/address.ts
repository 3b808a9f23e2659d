// Addresses as OPEN and OPENED carry them: the form of SOCKS5 (RFC 1928 section 5) without its reserved byte:
// type (1 IPv4, 3 name, 4 IPv6), address, port in network order.
import ipaddr from 'ipaddr.js'
import { GatewayError } from '../../errors.ts'
import { quadBytes } from '../dotted-quad.ts'
import type { Destination } from '../request.ts'

const IPV4 = 1
const NAME = 3
const IPV6 = 4
const LATIN1 = new TextDecoder('latin1')
const PRINTABLE = /^[\x21-\x7e]+$/

function malformed(what: string): GatewayError {
  return new GatewayError('frame-malformed', { side: 'client', detail: `tunnel address: ${what}` })
}

/**
 * Writes `host` (IP literal without brackets, or a name of 1 to 255 printable ASCII characters) and `port`.
 * Errors: `bad-request` for a name that the reader would refuse, and with it the whole session.
 */
export function encodeAddress(host: string, port: number): Uint8Array {
  // Only IPv6 has zones; anything else with a % is no address, and the other end must see that.
  const bare = host.includes(':') && host.includes('%') ? host.slice(0, host.indexOf('%')) : host
  let type = NAME
  let address: number[] | Uint8Array
  const quad = quadBytes(bare)
  if (quad !== undefined) {
    type = IPV4
    address = quad
  } else if (bare.includes(':') && ipaddr.IPv6.isValid(bare)) {
    type = IPV6
    address = ipaddr.IPv6.parse(bare).toByteArray()
  } else {
    if (host.length > 255 || !PRINTABLE.test(host)) {
      throw new GatewayError('bad-request', {
        side: 'client',
        detail: 'the name is not 1 to 255 printable ASCII characters',
      })
    }
    address = Uint8Array.from([host.length, ...Buffer.from(host, 'latin1')])
  }
  const bytes = new Uint8Array(1 + address.length + 2)
  bytes[0] = type
  bytes.set(address, 1)
  new DataView(bytes.buffer).setUint16(1 + address.length, port)
  return bytes
}

/**
 * Reads an address that fills `bytes` exactly.
 * Errors: `frame-malformed`; `address-type-unsupported` for another type.
 */
export function decodeAddress(bytes: Uint8Array): Destination {
  const { host, port, end } = readAddress(bytes)
  if (end !== bytes.length) throw malformed('wrong length')
  return { host, port }
}

/** Reads the address at the front of `bytes`, and says where it ends. Errors: as above. */
export function readAddress(bytes: Uint8Array): Destination & { readonly end: number } {
  const type = bytes[0]
  const start = type === NAME ? 2 : 1
  const length = type === IPV4 ? 4 : type === IPV6 ? 16 : type === NAME ? (bytes[1] ?? 0) : -1
  if (length === -1) throw new GatewayError('address-type-unsupported', { side: 'client' })
  const end = start + length + 2
  if (bytes.length < end) throw malformed('wrong length')
  const raw = bytes.subarray(start, start + length)
  const port = ((bytes[start + length] ?? 0) << 8) | (bytes[start + length + 1] ?? 0)
  if (type === IPV4) return { host: raw.join('.'), port, end }
  if (type === IPV6) return { host: ipaddr.fromByteArray([...raw]).toString(), port, end }
  const host = LATIN1.decode(raw)
  if (!PRINTABLE.test(host)) throw malformed('a name has other than printable ASCII')
  return { host, port, end }
}
