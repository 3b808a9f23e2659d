// What a tap recorded, as a file that Wireshark reads. Rule: the bytes of a stream are exactly those that passed; the IP
// and TCP headers around them are reconstructed, and are no evidence of anything.
import { writeFile } from 'node:fs/promises'
import type { CapturedConnection, Direction, Endpoint } from '../../src/lab/capture.ts'

const LINKTYPE_RAW_IPV4 = 228
const SEGMENT_BYTES = 1_448
const SYN = 0x02
const ACK = 0x10
const PUSH_ACK = 0x18
const FIN_ACK = 0x11

/** Writes connections as a pcap file with a TCP handshake, segments and an end for each. */
export async function writePcap(file: string, connections: readonly CapturedConnection[]): Promise<void> {
  const header = Buffer.alloc(24)
  header.writeUInt32LE(0xa1b2c3d4, 0)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(4, 6)
  header.writeUInt32LE(0x40000, 16)
  header.writeUInt32LE(LINKTYPE_RAW_IPV4, 20)
  const packets = connections.flatMap((connection) => [...packetsOf(connection)])
  packets.sort((one, other) => one.atMs - other.atMs)
  await writeFile(
    file,
    Buffer.concat([header, ...packets.flatMap(({ atMs, bytes }) => [recordHeader(atMs, bytes), bytes])]),
  )
}

interface Packet {
  readonly atMs: number
  readonly bytes: Buffer
}

function* packetsOf(connection: CapturedConnection): Generator<Packet> {
  const { from, to, frames } = connection
  const next: Record<Direction, number> = { up: 1_000, down: 5_000 }
  let atMs = frames[0]?.atMs ?? 0
  const packet = (direction: Direction, flags: number, payload: Buffer = Buffer.alloc(0)): Packet => {
    const [source, target] = direction === 'up' ? [from, to] : [to, from]
    const acknowledged = flags === SYN ? 0 : next[direction === 'up' ? 'down' : 'up']
    const segment = tcpSegment(source, target, { sequence: next[direction], acknowledged, flags, payload })
    next[direction] += payload.length + (flags === PUSH_ACK || flags === ACK ? 0 : 1)
    return { atMs, bytes: segment }
  }
  yield packet('up', SYN)
  yield packet('down', SYN | ACK)
  yield packet('up', ACK)
  for (const frame of frames) {
    atMs = frame.atMs
    for (let at = 0; at < frame.bytes.length; at += SEGMENT_BYTES) {
      yield packet(frame.direction, PUSH_ACK, frame.bytes.subarray(at, at + SEGMENT_BYTES))
    }
  }
  yield packet('up', FIN_ACK)
  yield packet('down', FIN_ACK)
}

interface Segment {
  readonly sequence: number
  readonly acknowledged: number
  readonly flags: number
  readonly payload: Buffer
}

/** IPv4 (RFC 791) and TCP (RFC 9293) headers; checksums stay 0, which tshark does not look at. */
function tcpSegment(
  from: Endpoint,
  to: Endpoint,
  { sequence, acknowledged, flags, payload }: Segment,
): Buffer {
  const bytes = Buffer.alloc(40 + payload.length)
  bytes.writeUInt8(0x45, 0)
  bytes.writeUInt16BE(bytes.length, 2)
  bytes.writeUInt8(64, 8)
  bytes.writeUInt8(6, 9)
  bytes.set(from.address.split('.').map(Number), 12)
  bytes.set(to.address.split('.').map(Number), 16)
  bytes.writeUInt16BE(from.port, 20)
  bytes.writeUInt16BE(to.port, 22)
  bytes.writeUInt32BE(sequence, 24)
  bytes.writeUInt32BE(acknowledged, 28)
  bytes.writeUInt8(0x50, 32)
  bytes.writeUInt8(flags, 33)
  bytes.writeUInt16BE(0xffff, 34)
  bytes.set(payload, 40)
  return bytes
}

function recordHeader(atMs: number, bytes: Buffer): Buffer {
  const header = Buffer.alloc(16)
  header.writeUInt32LE(Math.floor(atMs / 1_000), 0)
  header.writeUInt32LE(Math.floor((atMs % 1_000) * 1_000), 4)
  header.writeUInt32LE(bytes.length, 8)
  header.writeUInt32LE(bytes.length, 12)
  return header
}
