// Where a connection comes from: the peer of its TCP socket, or whom a balancer's PROXY header named; and since when it is
// here. Rule: it is told once, before anything is served, and follows the connection into TLS. Never logged.
import type { Duplex } from 'node:stream'
import { Socket } from 'node:net'

interface Source {
  readonly address: string
  /** When the connection was accepted, by `performance.now()`; undefined for what is carried by another. */
  readonly acceptedMs: number | undefined
}

const sources = new WeakMap<Duplex, Source>()

/** Says where `socket`, and whatever is carried by it, really comes from. */
export function setSource(socket: Duplex, address: string, acceptedMs?: number): void {
  sources.set(socket, { address, acceptedMs })
}

/** `socket` is what `carrier` carries: the same source, since the same moment. */
export function followSource(socket: Duplex, carrier: Duplex): void {
  const source = sources.get(carrier)
  if (source !== undefined) sources.set(socket, source)
}

/** An IP address; empty where the socket has none any more. */
export function sourceOf(socket: Duplex): string {
  return sources.get(socket)?.address ?? (socket instanceof Socket ? (socket.remoteAddress ?? '') : '')
}

/** Milliseconds since it was accepted; undefined where that is not known. */
export function ageMs(socket: Duplex): number | undefined {
  const acceptedMs = sources.get(socket)?.acceptedMs
  return acceptedMs === undefined ? undefined : performance.now() - acceptedMs
}
