// Ethernet, IP, TCP and UDP headers for bytes that were recorded without any: what a link between the two parties would
// have carried (RFC 791, 8200, 9293, 768). Rule: checksums and lengths are right, addresses and ports are those that the
// kernel reported; everything else is made up, and the file that holds them says so.
import { parseAddress } from '../../policy/ip-address.ts'
import { malformed } from '../dissect/byte-reader.ts'
import type { Endpoint, Transport } from '../capture.ts'

export interface TcpFields {
  readonly sequence: number
  /** Undefined in a SYN. */
  readonly acknowledged: number | undefined
  readonly syn?: boolean
  readonly fin?: boolean
  readonly reset?: boolean
}

export interface Parties {
  readonly from: Endpoint
  readonly to: Endpoint
}

/** What Ethernet carries of IP. */
const MTU = 1_500
const ETHERNET_BYTES = 14
const IPV4_BYTES = 20
const IPV6_BYTES = 40
const TCP_BYTES = 20
const UDP_BYTES = 8
const ETHERTYPE = { 4: 0x0800, 16: 0x86dd } as const
const PROTOCOL = { tcp: 6, udp: 17 } as const
const FLAG = { fin: 1, syn: 2, reset: 4, push: 8, acknowledge: 16 } as const
const TTL = 64
const DO_NOT_FRAGMENT = 0x4000
/** Scaled by 2^8: no sender that was recorded had to wait for these windows. */
const WINDOW = 0xffff
const WINDOW_SHIFT = 8

/** Bytes before the payload in a frame of that transport (of TCP: in one with data). */
export function headerBytes(transport: Transport, address: string): number {
  const ip = address.includes(':') ? IPV6_BYTES : IPV4_BYTES
  return ETHERNET_BYTES + ip + (transport === 'tcp' ? TCP_BYTES : UDP_BYTES)
}

/** The most data that a TCP segment carries on Ethernet. */
export function segmentBytes(address: string): number {
  return MTU + ETHERNET_BYTES - headerBytes('tcp', address)
}

/** Throws `bad-request` where the parties' addresses are not of one family. */
export function tcpFrame({ from, to }: Parties, fields: TcpFields, payload: Uint8Array): Buffer {
  const { sequence, acknowledged, syn = false, fin = false, reset = false } = fields
  const options = syn ? synOptions(from.address) : Buffer.alloc(0)
  const header = Buffer.alloc(TCP_BYTES)
  header.writeUInt16BE(from.port, 0)
  header.writeUInt16BE(to.port, 2)
  header.writeUInt32BE(sequence >>> 0, 4)
  header.writeUInt32BE((acknowledged ?? 0) >>> 0, 8)
  header.writeUInt8(((TCP_BYTES + options.length) / 4) << 4, 12)
  header.writeUInt8(
    (fin ? FLAG.fin : 0) +
      (syn ? FLAG.syn : 0) +
      (reset ? FLAG.reset : 0) +
      (payload.length > 0 ? FLAG.push : 0) +
      (acknowledged === undefined ? 0 : FLAG.acknowledge),
    13,
  )
  header.writeUInt16BE(WINDOW, 14)
  return frame({ from, to }, 'tcp', Buffer.concat([header, options, payload]), 16)
}

/** Errors as for `tcpFrame`. A payload above the MTU makes a frame above it: loopback, where it was recorded, carries those. */
export function udpFrame({ from, to }: Parties, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(UDP_BYTES)
  header.writeUInt16BE(from.port, 0)
  header.writeUInt16BE(to.port, 2)
  header.writeUInt16BE(UDP_BYTES + payload.length, 4)
  return frame({ from, to }, 'udp', Buffer.concat([header, payload]), 6)
}

/** Maximum segment size (RFC 9293 section 3.7.1) and window scale (RFC 7323 section 2.2). */
function synOptions(address: string): Buffer {
  const size = segmentBytes(address)
  return Buffer.from([2, 4, size >> 8, size & 0xff, 1, 3, 3, WINDOW_SHIFT])
}

/** Puts a segment whose checksum stands at `checksumAt` into IP and Ethernet. */
function frame(parties: Parties, protocol: Transport, segment: Buffer, checksumAt: number): Buffer {
  const from = parseAddress(parties.from.address) ?? []
  const to = parseAddress(parties.to.address) ?? []
  if (from.length !== to.length || (from.length !== 4 && from.length !== 16))
    throw malformed('the ends of a connection are not two addresses of one family')
  const pseudo = [...from, ...to, 0, PROTOCOL[protocol], segment.length >> 8, segment.length & 0xff]
  const checksum = internetChecksum(Uint8Array.from(pseudo), segment)
  // RFC 768: 0 would mean that there is none.
  segment.writeUInt16BE(protocol === 'udp' && checksum === 0 ? 0xffff : checksum, checksumAt)
  const ip = from.length === 4 ? ipv4Header : ipv6Header
  const type = ETHERTYPE[from.length]
  return Buffer.concat([
    Uint8Array.of(...hardwareAddress(to), ...hardwareAddress(from), type >> 8, type & 0xff),
    ip([...from, ...to], protocol, segment.length),
    segment,
  ])
}

function ipv4Header(addresses: readonly number[], protocol: Transport, length: number): Buffer {
  const header = Buffer.alloc(IPV4_BYTES)
  header.writeUInt8(0x45, 0)
  header.writeUInt16BE(IPV4_BYTES + length, 2)
  header.writeUInt16BE(DO_NOT_FRAGMENT, 6)
  header.writeUInt8(TTL, 8)
  header.writeUInt8(PROTOCOL[protocol], 9)
  header.set(addresses, 12)
  header.writeUInt16BE(internetChecksum(header), 10)
  return header
}

function ipv6Header(addresses: readonly number[], protocol: Transport, length: number): Buffer {
  const header = Buffer.alloc(IPV6_BYTES)
  header.writeUInt8(0x60, 0)
  header.writeUInt16BE(length, 4)
  header.writeUInt8(PROTOCOL[protocol], 6)
  header.writeUInt8(TTL, 7)
  header.set(addresses, 8)
  return header
}

/** A locally administered address that shows the IP address, or its end. */
function hardwareAddress(address: readonly number[]): readonly number[] {
  return [0x02, 0, ...address.slice(-4)]
}

/** RFC 1071, over the parts one after the other; all but the last have an even length. */
function internetChecksum(...parts: readonly Uint8Array[]): number {
  let sum = 0
  for (const part of parts) {
    for (let at = 0; at < part.length; at += 2) sum += ((part[at] ?? 0) << 8) + (part[at + 1] ?? 0)
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000)
  return ~sum & 0xffff
}
