// Ends a byte stream so that its peer can tell it from a clean end: RST on TCP, RESET on a mux stream, a
// missing close_notify on TLS (RFC 8446 section 6.1).
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'

export function abort(stream: Duplex, error?: Error): void {
  if (stream.destroyed) return
  if (stream instanceof Socket && !(stream instanceof TLSSocket) && !stream.connecting) stream.resetAndDestroy()
  else stream.destroy(error)
}
