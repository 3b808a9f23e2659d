// Where captured bytes stand in the capture file: the number of the packet and the offset in it, as Wireshark counts them.
// Rule: the same connections always give the same numbers, for a file is written from them too.
import type { CapturedConnection, Direction, Frame } from '../capture.ts'
import { headerBytes } from './headers.ts'
import { packetsOf } from './packets.ts'

/**
 * The connections of one capture file, their chunks cut as its packets carry them, and numbered as its packets are:
 * from 1, with those between them that carry nothing (a handshake, acknowledgements, ends).
 */
export function joinCapture(connections: readonly CapturedConnection[]): CapturedConnection[] {
  const frames = new Map<CapturedConnection, Frame[]>(connections.map((connection) => [connection, []]))
  for (const [index, packet] of packetsOf(connections).entries()) {
    const { connection, atMs, direction, payload: bytes, streamOffset } = packet
    if (bytes.length === 0 && connection.transport === 'tcp') continue
    frames.get(connection)?.push({ number: index + 1, atMs, direction, bytes, streamOffset })
  }
  return connections.map((connection) => ({ ...connection, frames: frames.get(connection) ?? [] }))
}

/**
 * The packet that holds the byte at `offset` of a direction's stream, and where in it, from the first byte of its
 * Ethernet header. Undefined behind the stream's end. Takes a connection that `joinCapture` gave.
 */
export function frameAt(
  connection: CapturedConnection,
  direction: Direction,
  offset: number,
): { readonly frame: number; readonly offset: number } | undefined {
  for (const frame of connection.frames) {
    if (frame.direction !== direction) continue
    const within = offset - frame.streamOffset
    if (within < 0 || within >= frame.bytes.length) continue
    const before = headerBytes(connection.transport, connection.from.address)
    return { frame: frame.number, offset: before + within }
  }
  return undefined
}
