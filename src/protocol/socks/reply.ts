// What a SOCKS server answers, as bytes: SOCKS5 replies (RFC 1928 §6) and SOCKS4 replies. Rule: which reply
// an error becomes is read from the one table in errors.ts; SOCKS4 knows only granted (90) and rejected (91).
import ipaddr from 'ipaddr.js'
import { ERROR_ANSWERS, type ErrorCode } from '../../errors.ts'
import { quadBytes } from '../dotted-quad.ts'
import type { BoundAddress } from '../request.ts'

const NOWHERE: BoundAddress = { address: '0.0.0.0', port: 0 }

/**
 * VER REP RSV ATYP BND.ADDR BND.PORT (RFC 1928 §6), 10 bytes for IPv4 and 22 for IPv6. A mapped IPv4 address
 * is written as the IPv4 it is, and one that is no IP address as 0.0.0.0: the field is a courtesy, never
 * worth a failure.
 */
export function encodeSocks5Reply(reply: number, bound: BoundAddress): Uint8Array {
  const address = addressBytes(bound.address)
  const type = address.length === 4 ? 1 : 4
  return Uint8Array.from([5, reply, 0, type, ...address, ...portBytes(bound.port)])
}

/**
 * VN CD DSTPORT DSTIP, 8 bytes; VN is 0 in a reply, CD 90 or 91. IPv6 has no place here and becomes 0.0.0.0.
 */
export function encodeSocks4Reply(granted: boolean, bound: BoundAddress): Uint8Array {
  const address = addressBytes(bound.address)
  const fitting = address.length === 4 ? address : [0, 0, 0, 0]
  return Uint8Array.from([0, granted ? 0x5a : 0x5b, ...portBytes(bound.port), ...fitting])
}

/** The reply that tells a client of this SOCKS version why its request was refused. */
export function socksRefusal(version: 4 | 5, code: ErrorCode): Uint8Array {
  if (version === 4) return encodeSocks4Reply(false, NOWHERE)
  return encodeSocks5Reply(ERROR_ANSWERS[code].socks5, NOWHERE)
}

/** 4 bytes for IPv4, 16 for IPv6; what is no address is 0.0.0.0. */
export function addressBytes(text: string): readonly number[] {
  const quad = quadBytes(text)
  if (quad !== undefined) return quad
  const [address = ''] = text.split('%')
  return ipaddr.isValid(address) ? ipaddr.process(address).toByteArray() : [0, 0, 0, 0]
}

export function portBytes(port: number): readonly [number, number] {
  return [(port >> 8) & 0xff, port & 0xff]
}
