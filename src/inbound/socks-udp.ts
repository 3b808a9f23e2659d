// The client's end of a SOCKS5 association (RFC 1928 sections 6 and 7): a UDP socket on the address at which the
// control connection arrived. Rules: it takes datagrams of that connection's client only, and of one port of it;
// fragments are dropped; it ends with the control connection, and the control connection with it.
import type { Socket } from 'node:net'
import type { PortRange } from '../config/address.ts'
import { GatewayError } from '../errors.ts'
import { formatAddress, parseAddress, unmapAddress } from '../policy/ip-address.ts'
import type { AssociationClient, AssociationEvents } from '../protocol/association.ts'
import type { BoundAddress, Destination } from '../protocol/request.ts'
import { decodeUdpMessage, encodeUdpHeader, type UdpMessage } from '../protocol/socks/udp.ts'
import { sourceOf } from '../transport/source.ts'
import { bindUdpInRange } from '../transport/udp-ports.ts'
import type { UdpSocket } from '../transport/udp-socket.ts'

export interface SocksRelayOptions {
  readonly control: Socket
  /** DST.ADDR and DST.PORT of the request: from where the client means to send. */
  readonly announced: Destination
  readonly ports: PortRange | undefined
  /** 0 to 1: where in `ports` to begin. */
  readonly random: () => number
}

/**
 * Opens the relay; the reply is the caller's to send. Errors: `udp-ports-exhausted`, `listen-failed` …, and
 * `stream-cancelled` where the control connection is gone.
 */
export async function openSocksRelay(
  options: SocksRelayOptions,
  events: AssociationEvents,
): Promise<SocksRelay> {
  const { localAddress } = options.control
  // Behind a balancer, the address that its PROXY header gave: datagrams do not come through it.
  const source = sourceOf(options.control)
  if (localAddress === undefined || source === '') throw cancelled()
  const client = unmapped(source)
  const relay = new SocksRelay(options.control, client, announcedPort(options.announced, client), events)
  const toRelay = { message: (bytes: Buffer, from: BoundAddress): void => relay.received(bytes, from) }
  const socket = await bindUdpInRange(unmapped(localAddress), options.ports, options.random, toRelay)
  if (options.control.destroyed) {
    socket.close()
    throw cancelled()
  }
  relay.start(socket)
  return relay
}

export class SocksRelay implements AssociationClient {
  #control: Socket
  #client: string
  #port: number | undefined
  #events: AssociationEvents
  #socket: UdpSocket | undefined

  constructor(control: Socket, client: string, port: number | undefined, events: AssociationEvents) {
    this.#control = control
    this.#client = client
    this.#port = port
    this.#events = events
  }

  get relay(): BoundAddress {
    if (this.#socket === undefined) throw new GatewayError('internal-error')
    return this.#socket.address
  }

  /** Takes the bound socket, and watches the control connection; what the client says there is discarded. */
  start(socket: UdpSocket): void {
    this.#socket = socket
    this.#control.on('end', this.#onEnd)
    this.#control.on('close', this.#onClose)
    this.#control.resume()
  }

  received(bytes: Uint8Array, from: BoundAddress): void {
    if (from.address !== this.#client || (this.#port !== undefined && from.port !== this.#port)) {
      return this.#events.dropped('wrong-source')
    }
    let message: UdpMessage
    try {
      message = decodeUdpMessage(bytes)
    } catch {
      return this.#events.dropped('malformed')
    }
    if (message.fragment !== 0) return this.#events.dropped('fragment')
    // The first datagram that is one says which of the client's ports it is.
    this.#port = from.port
    this.#events.message(message.destination, message.payload)
  }

  send(from: BoundAddress, payload: Uint8Array): void {
    // Nothing can have been asked before the client's first datagram.
    if (this.#port === undefined) return this.#events.dropped('unsolicited')
    const to = { address: this.#client, port: this.#port }
    this.#socket?.send(to, [encodeUdpHeader(from), payload], (why) => {
      if (why !== undefined) this.#events.dropped(why)
    })
  }

  close(): void {
    this.#socket?.close()
    this.#control.end()
    this.#control.destroySoon()
  }

  #onEnd = (): void => this.#events.closed('ok')
  #onClose = (hadError: boolean): void => this.#events.closed(hadError ? 'connection-reset' : 'ok')
}

/**
 * The port that the client said it sends from. An address that is not the one it came from means that it is behind
 * an address translator, or named its destination as some clients do: its port says nothing then.
 */
function announcedPort({ host, port }: Destination, client: string): number | undefined {
  const bytes = parseAddress(host)
  if (port === 0 || bytes === undefined) return undefined
  const isOwn = bytes.every((byte) => byte === 0) || unmapped(host) === client
  return isOwn ? port : undefined
}

/** IPv4 as IPv4, whatever kind of listener it came through; everything else as the kernel spells it. */
function unmapped(address: string): string {
  const bytes = parseAddress(address)
  if (bytes === undefined) return address
  const plain = unmapAddress(bytes)
  return plain.length === bytes.length ? address : formatAddress(plain)
}

function cancelled(): GatewayError {
  return new GatewayError('stream-cancelled', { side: 'client' })
}
