// Ends a byte stream so that its peer can tell it from a clean end: RST on TCP, also under TLS, and RESET on a mux
// stream. Rule: a TLS socket is never just destroyed to break it off: Node says close_notify even then, which to
// the peer is a whole file (RFC 8446 section 6.1).
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'

const carriers = new WeakMap<Duplex, Socket>()

/** Says which TCP socket carries `secured`: a break has to be told there. */
export function setCarrier(secured: TLSSocket, carrier: Socket): void {
  carriers.set(secured, carrier)
}

export function abort(stream: Duplex, error?: Error): void {
  if (stream.destroyed) return
  const carrier = carriers.get(stream)
  if (carrier !== undefined) {
    // The carrier may be TLS too: to a gateway through a proxy that is itself reached by TLS.
    abort(carrier)
    stream.destroy(error)
  } else if (stream instanceof Socket && !(stream instanceof TLSSocket)) reset(stream, error)
  else stream.destroy(error)
}

function reset(socket: Socket, error?: Error): void {
  if (socket.connecting) socket.destroy(error)
  else socket.resetAndDestroy()
}
