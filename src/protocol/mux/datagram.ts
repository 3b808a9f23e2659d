// One datagram as the DATA of a stream of kind udp carries it (docs/protocol.md, section 3): the address that it goes to
// or came from, then its bytes to the end of the frame. Rule: a datagram is whole or it is nothing.
import type { Destination } from '../request.ts'
import { encodeAddress, readAddress } from './address.ts'
import { INITIAL_WINDOW_BYTES, type StreamKind } from './frame.ts'

export interface Datagram {
  /** From the client where it goes to; from the gateway where it came from. */
  readonly peer: Destination
  /** A view of what was decoded; may be empty. */
  readonly payload: Uint8Array
}

/**
 * Credit that each direction of a new stream starts with, in bytes. Twice as much for datagrams: three quarters of a
 * window are granted whenever nothing is on its way, and the largest datagram has to fit into them.
 */
export function firstWindow(kind: StreamKind): number {
  return kind === 'udp' ? 2 * INITIAL_WINDOW_BYTES : INITIAL_WINDOW_BYTES
}

/** Errors: `bad-request` for a host that an address cannot carry. */
export function encodeDatagram(peer: Destination, payload: Uint8Array): Uint8Array {
  const address = encodeAddress(peer.host, peer.port)
  const bytes = new Uint8Array(address.length + payload.length)
  bytes.set(address)
  bytes.set(payload, address.length)
  return bytes
}

/** Errors: `frame-malformed`; `address-type-unsupported`. */
export function decodeDatagram(bytes: Uint8Array): Datagram {
  const { host, port, end } = readAddress(bytes)
  return { peer: { host, port }, payload: bytes.subarray(end) }
}
