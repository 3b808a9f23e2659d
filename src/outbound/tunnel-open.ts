// Opens one stream on a tunnel connection that stands. Rules: it is settled once, by an answer, by the client leaving or
// by a deadline; and a gateway that says nothing at all while it is asked is not waited for to the end of that deadline.
import { GatewayError, toGatewayError } from '../errors.ts'
import type { Destination } from '../protocol/request.ts'
import { StreamSocket } from '../transport/stream-socket.ts'
import type { TunnelConnection } from '../transport/tunnel-connection.ts'
import type { Dialled } from './outbound.ts'

export interface OpenOptions {
  readonly signal: AbortSignal
  readonly withinMs: number
  /** For a first byte from the gateway, whatever it says. */
  readonly heardWithinMs: number
}

/**
 * Errors: those that the gateway gives, `dial-timeout`, `stream-cancelled`, `too-many-streams`, and `tunnel-dead` where
 * the gateway cannot be heard: nothing has been sent to the destination then, and another connection may be asked.
 */
export function openStream(
  connection: TunnelConnection,
  destination: Destination,
  { signal, withinMs, heardWithinMs }: OpenOptions,
): Promise<Dialled> {
  return new Promise((resolve, reject) => {
    const stop = (error: GatewayError): void => {
      settle()
      socket.destroy(error)
      reject(error)
    }
    const cancelled = (): void => stop(new GatewayError('stream-cancelled', { side: 'client' }))
    const timer = setTimeout(() => stop(new GatewayError('dial-timeout', { side: 'upstream' })), withinMs)
    const unwatch = connection.watch(
      () => stop(new GatewayError('tunnel-dead', { side: 'upstream' })),
      heardWithinMs,
    )
    const settle = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', cancelled)
      unwatch()
    }
    let socket: StreamSocket
    try {
      const noEvents = { opened() {}, refused() {}, data() {}, fin() {}, reset() {} }
      const stream = connection.session.open('tcp', destination, noEvents)
      socket = new StreamSocket(stream, {
        opened: (bound) => {
          settle()
          resolve({ stream: socket, bound })
        },
        refused: (error) => {
          settle()
          reject(error)
        },
      })
      socket.on('error', () => {})
      signal.addEventListener('abort', cancelled)
    } catch (thrown) {
      settle()
      reject(toGatewayError(thrown, 'upstream'))
    }
  })
}
