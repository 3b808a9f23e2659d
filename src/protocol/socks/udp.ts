// The header that stands before each datagram between a SOCKS5 client and its relay (RFC 1928 section 7):
// RSV(2) FRAG ATYP ADDR PORT, then the payload. Rule: a datagram is whole or it is nothing, so a decoder gives a
// message or throws a GatewayError, and never asks for more.
import { GatewayError } from '../../errors.ts'
import type { BoundAddress, Destination } from '../request.ts'
import { formatAddress, readName, socks5HostLength } from './messages.ts'
import { addressBytes, portBytes } from './reply.ts'

const ADDRESS_AT = 4
const NAME = 3

export interface UdpMessage {
  /** FRAG: 0 where the datagram stands alone. */
  readonly fragment: number
  readonly destination: Destination
  /** A view of what was decoded. */
  readonly payload: Uint8Array
}

/**
 * Reads one datagram of a client. Errors: `address-type-unsupported`; `bad-request` for one that is cut short, a
 * reserved field that is not 0, an empty or unprintable name, port 0.
 */
export function decodeUdpMessage(bytes: Uint8Array): UdpMessage {
  const [reserved1, reserved2, fragment, addressType] = bytes
  if (fragment === undefined || addressType === undefined) throw malformed('is shorter than its header')
  if (reserved1 !== 0 || reserved2 !== 0) throw malformed('has a reserved field that is not 0')
  const hostAt = addressType === NAME ? ADDRESS_AT + 1 : ADDRESS_AT
  const portAt = hostAt + (socks5HostLength(addressType, bytes[ADDRESS_AT]) ?? bytes.length)
  const payloadAt = portAt + 2
  if (bytes.length < payloadAt) throw malformed('is shorter than its header')
  const hostBytes = bytes.subarray(hostAt, portAt)
  const port = bytes[portAt]! * 256 + bytes[portAt + 1]!
  if (port === 0) throw malformed('is for port 0')
  const host = addressType === NAME ? readName(hostBytes) : formatAddress(hostBytes)
  return { fragment, destination: { host, port }, payload: bytes.subarray(payloadAt) }
}

/** The header of a datagram that came from `from`: 10 bytes for IPv4, also where it is mapped, and 22 for IPv6. */
export function encodeUdpHeader(from: BoundAddress): Uint8Array {
  const address = addressBytes(from.address)
  return Uint8Array.from([0, 0, 0, address.length === 4 ? 1 : 4, ...address, ...portBytes(from.port)])
}

function malformed(detail: string): GatewayError {
  return new GatewayError('bad-request', { side: 'client', detail: `the UDP datagram ${detail}` })
}
