// The header with which a balancer says for whom it connects: PROXY protocol versions 1 and 2 (haproxy's
// doc/proxy-protocol.txt, sections 2.1 and 2.2). Pure. Rules: a byte that cannot belong to a header ends it at once,
// at most MAX_HEADER_BYTES are looked at, and nothing is guessed: what is not exactly a header is refused.
import ipaddr from 'ipaddr.js'
import { GatewayError } from '../errors.ts'
import type { BoundAddress } from './request.ts'

export interface ProxyHeader {
  /** How many bytes it is long; what follows is the client's. */
  readonly length: number
  /** Who connected to the balancer; undefined where the balancer speaks for itself (LOCAL) or does not say (UNKNOWN). */
  readonly source: BoundAddress | undefined
}

const V1_PREFIX = new TextEncoder().encode('PROXY ')
const V1_MAX_BYTES = 107
const V2_SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a)
const V2_FIXED_BYTES = 16
const V2_VERSION = 2
const V2_LOCAL = 0
const V2_PROXY = 1
/** Addresses of each family: source, destination, and their ports. */
const V2_INET_BYTES = 12
const V2_INET6_BYTES = 36
const V2_UNIX_BYTES = 216
const CR = 0x0d
const LF = 0x0a

/** Room for addresses and for the TLVs of a balancer that ends TLS. */
export const MAX_HEADER_BYTES = 4_096

/** Reads the header at the front of `bytes`; undefined for "need more". Errors: `proxy-header-invalid`. */
export function decodeProxyHeader(bytes: Uint8Array): ProxyHeader | undefined {
  if (bytes.length === 0) return undefined
  if (bytes[0] === V2_SIGNATURE[0]) return decodeBinary(bytes)
  return decodeText(bytes)
}

/** `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n` (section 2.1). */
function decodeText(bytes: Uint8Array): ProxyHeader | undefined {
  expectStart(bytes, V1_PREFIX)
  const end = bytes.indexOf(LF)
  if (end < 0 && bytes.length < V1_MAX_BYTES) return undefined
  if (end < 0 || end >= V1_MAX_BYTES || bytes[end - 1] !== CR) throw invalid('its line does not end')
  const length = end + 1
  const line = String.fromCharCode(...bytes.subarray(V1_PREFIX.length, end - 1))
  // A receiver has to ignore whatever stands behind UNKNOWN.
  if (line === 'UNKNOWN' || line.startsWith('UNKNOWN ')) return { length, source: undefined }
  const [family, source = '', destination = '', sourcePort = '', destinationPort = '', ...more] =
    line.split(' ')
  const isAddress = family === 'TCP4' ? isIpv4 : family === 'TCP6' ? isIpv6 : () => false
  if (!isAddress(source) || !isAddress(destination) || more.length > 0)
    throw invalid('its addresses are not well formed')
  if (!isPort(sourcePort) || !isPort(destinationPort)) throw invalid('its ports are not well formed')
  return { length, source: { address: source, port: Number(sourcePort) } }
}

/** Signature, version and command, family and transport, length, addresses, TLVs (section 2.2). */
function decodeBinary(bytes: Uint8Array): ProxyHeader | undefined {
  expectStart(bytes, V2_SIGNATURE)
  const versionAndCommand = bytes[12]
  if (versionAndCommand === undefined) return undefined
  const command = versionAndCommand & 0x0f
  if (versionAndCommand >> 4 !== V2_VERSION || command > V2_PROXY)
    throw invalid('its version or command is unknown')
  if (bytes.length < V2_FIXED_BYTES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const addressBytes = view.getUint16(14)
  const length = V2_FIXED_BYTES + addressBytes
  if (length > MAX_HEADER_BYTES) throw invalid('it is too long')
  // With LOCAL, family and addresses are to be ignored, whatever they are.
  const needed = command === V2_LOCAL ? 0 : neededBytes(bytes[13]!)
  if (addressBytes < needed) throw invalid('it has no room for its addresses')
  if (bytes.length < length) return undefined
  const addresses = bytes.subarray(V2_FIXED_BYTES)
  if (needed === V2_INET_BYTES)
    return { length, source: { address: formatBytes(addresses, 4), port: view.getUint16(24) } }
  if (needed === V2_INET6_BYTES)
    return { length, source: { address: formatBytes(addresses, 16), port: view.getUint16(48) } }
  return { length, source: undefined }
}

/** Bytes of the addresses of this family and transport. Only the listed values may be accepted. */
function neededBytes(familyAndTransport: number): number {
  switch (familyAndTransport) {
    case 0x00:
      return 0
    case 0x11:
    case 0x12:
      return V2_INET_BYTES
    case 0x21:
    case 0x22:
      return V2_INET6_BYTES
    case 0x31:
    case 0x32:
      return V2_UNIX_BYTES
    default:
      throw invalid('its address family is unknown')
  }
}

function expectStart(bytes: Uint8Array, start: Uint8Array): void {
  const length = Math.min(bytes.length, start.length)
  for (let index = 0; index < length; index += 1)
    if (bytes[index] !== start[index]) throw invalid('there is none')
}

function formatBytes(bytes: Uint8Array, count: number): string {
  return ipaddr.fromByteArray([...bytes.subarray(0, count)]).toString()
}

function isIpv4(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) && !/(^|\.)0\d/.test(text)
}

function isIpv6(text: string): boolean {
  // A tail in dotted form is IPv4 by its own rule, which ipaddr.js would let slip here (`::ffff:02.2.2.1`).
  const tail = text.slice(text.lastIndexOf(':') + 1)
  return /^[0-9a-fA-F:.]+$/.test(text) && ipaddr.IPv6.isValid(text) && (!tail.includes('.') || isIpv4(tail))
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535
}

function invalid(why: string): GatewayError {
  return new GatewayError('proxy-header-invalid', { side: 'client', detail: `PROXY header: ${why}` })
}
