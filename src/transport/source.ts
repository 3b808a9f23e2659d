// Where a connection comes from: the peer of its TCP socket, or whom a balancer's PROXY header named. Rule: it is told
// once, before anything is served, and follows the connection into TLS. Never logged.
import type { Duplex } from 'node:stream'
import { Socket } from 'node:net'

const sources = new WeakMap<Duplex, string>()

/** Says where `socket`, and whatever is carried by it, really comes from. */
export function setSource(socket: Duplex, address: string): void {
  sources.set(socket, address)
}

/** An IP address; empty where the socket has none any more. */
export function sourceOf(socket: Duplex): string {
  return sources.get(socket) ?? (socket instanceof Socket ? (socket.remoteAddress ?? '') : '')
}
