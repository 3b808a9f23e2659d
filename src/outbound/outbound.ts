// What every outbound is: a destination in, a connected byte stream out; and for datagrams, an association in, a
// way for each of them out.
import type { Duplex } from 'node:stream'
import type { GatewayError } from '../errors.ts'
import type { DatagramDrop } from '../protocol/association.ts'
import type { BoundAddress, Destination, ProxyRequest } from '../protocol/request.ts'

export interface Dialled {
  readonly stream: Duplex
  /** The address from which this end is connected. */
  readonly bound: BoundAddress
  /** A name server was asked for this very dial; what is remembered or written down asks nobody. */
  readonly lookedUp?: boolean
}

/** What an outbound needs to know of a request; a ProxyRequest is one. */
export type DialRequest = Pick<ProxyRequest, 'destination' | 'mode' | 'identity' | 'signal'>

export interface Outbound {
  /**
   * Connects. Rejects with a GatewayError, at the latest after `dialMs` or when the request's signal ends.
   * The stream is the caller's to dispose of.
   */
  dial(request: DialRequest): Promise<Dialled>
  /**
   * Opens a way for one association's datagrams. Left out where an outbound carries none. Rejects with a
   * GatewayError. What it gives is the caller's to close.
   */
  openUdp?(request: UdpRequest, events: UdpEvents): Promise<UdpOutbound>
  /** Ends what the outbound holds open. */
  destroy(): void
}

/** What an outbound needs to know of an association. */
export interface UdpRequest extends Pick<ProxyRequest, 'mode' | 'identity' | 'signal'> {
  /** Destinations at once, and addresses that may answer. */
  readonly maxDestinations: number
  /**
   * Called by whoever sends from this machine: first without `address`, before a name is looked up, then for each
   * address before it is sent to. Throws `destination-denied`, and `bad-request` for a host that is none.
   */
  readonly judge: (destination: Destination, address?: string) => void
  /** Called with all addresses of a name, before each of them is judged. Throws `destination-denied`. */
  readonly judgeAnswer: (destination: Destination, addresses: readonly string[]) => void
}

/** What an outbound tells of an association. */
export interface UdpEvents {
  /** A datagram is on its way. `payload` is not to be kept. */
  sent(destination: Destination, payload: Uint8Array): void
  /** A datagram for the client, from an address that it has sent to. `payload` is the callee's to keep. */
  message(from: BoundAddress, payload: Uint8Array): void
  /** A datagram, in either direction, went nowhere; `failure` says more where a rule or a look-up was why. */
  dropped(reason: DatagramDrop, failure?: GatewayError): void
  /** The way is gone, and nothing will come any more. Not called after `close`. */
  closed(failure: GatewayError): void
}

/** The way of one association's datagrams: sockets of this machine, or one stream of a tunnel. */
export interface UdpOutbound {
  /** Sends, or drops and says so by `dropped`; never waits. `payload` is the callee's to keep. */
  send(destination: Destination, payload: Uint8Array): void
  /** Without effect when repeated. */
  close(): void
}
