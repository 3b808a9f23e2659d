// Sends an association's datagrams through a tunnel: one stream, each datagram with its address, and the gateway looks up,
// judges and sends. Rules: nothing is looked up or sent from here, and a datagram for which the tunnel has no room is
// dropped at once, never held.
import { GatewayError, toGatewayError } from '../errors.ts'
import { parseAddress } from '../policy/ip-address.ts'
import type { Destination } from '../protocol/request.ts'
import { StreamDatagrams } from '../transport/stream-datagrams.ts'
import type { TunnelConnection } from '../transport/tunnel-connection.ts'
import type { UdpEvents, UdpOutbound, UdpRequest } from './outbound.ts'

/** What OPEN says of an association, which has no destination. */
const NOWHERE: Destination = { host: '0.0.0.0', port: 0 }
const NO_EVENTS = { opened() {}, refused() {}, data() {}, fin() {}, reset() {} }

/**
 * Opens the association's stream. Errors: what the gateway refuses it with, `dial-timeout` where it does not answer,
 * `tunnel-dead` where the gateway cannot be heard, `stream-cancelled`, and those of MuxSession.open.
 */
export function openTunnelUdp(
  connection: TunnelConnection,
  { signal }: Pick<UdpRequest, 'signal'>,
  events: UdpEvents,
  { withinMs, heardWithinMs }: { readonly withinMs: number; readonly heardWithinMs: number },
): Promise<UdpOutbound> {
  return new Promise((resolve, reject) => {
    let answered = false
    const settle = (): void => {
      answered = true
      clearTimeout(timer)
      unwatch()
      signal.removeEventListener('abort', cancelled)
    }
    const stop = (error: GatewayError): void => {
      settle()
      datagrams.close(error.code)
      reject(error)
    }
    const cancelled = (): void => stop(new GatewayError('stream-cancelled', { side: 'client' }))
    const timer = setTimeout(() => stop(new GatewayError('dial-timeout', { side: 'upstream' })), withinMs)
    const unwatch = connection.watch(
      () => stop(new GatewayError('tunnel-dead', { side: 'upstream' })),
      heardWithinMs,
    )
    let datagrams: StreamDatagrams
    try {
      datagrams = new StreamDatagrams(connection.session.open('udp', NOWHERE, NO_EVENTS), {
        opened: () => {
          settle()
          resolve(new TunnelUdp(datagrams, events))
        },
        message: ({ host, port }, payload) => {
          // Only an address can have sent it.
          if (parseAddress(host) === undefined) events.dropped('malformed')
          else events.message({ address: host, port }, payload)
        },
        closed: (failure = new GatewayError('connection-reset', { side: 'upstream' })) => {
          if (answered) return events.closed(failure)
          settle()
          reject(failure)
        },
      })
      signal.addEventListener('abort', cancelled)
    } catch (thrown) {
      settle()
      reject(toGatewayError(thrown, 'upstream'))
    }
  })
}

class TunnelUdp implements UdpOutbound {
  #datagrams: StreamDatagrams
  #events: UdpEvents

  constructor(datagrams: StreamDatagrams, events: UdpEvents) {
    this.#datagrams = datagrams
    this.#events = events
  }

  send(destination: Destination, payload: Uint8Array): void {
    const drop = this.#datagrams.send(destination, payload)
    if (drop === undefined) this.#events.sent(destination, payload)
    else this.#events.dropped(drop)
  }

  close(): void {
    this.#datagrams.close()
  }
}
