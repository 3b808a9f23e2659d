// What every outbound is: a destination in, a connected byte stream out.
import type { Duplex } from 'node:stream'
import type { BoundAddress, ProxyRequest } from '../protocol/request.ts'

export interface Dialled {
  readonly stream: Duplex
  /** The address from which this end is connected. */
  readonly bound: BoundAddress
}

/** What an outbound needs to know of a request; a ProxyRequest is one. */
export type DialRequest = Pick<ProxyRequest, 'destination' | 'mode' | 'identity' | 'signal'>

export interface Outbound {
  /**
   * Connects. Rejects with a GatewayError, at the latest after `dialMs` or when the request's signal ends.
   * The stream is the caller's to dispose of.
   */
  dial(request: DialRequest): Promise<Dialled>
  /** Ends what the outbound holds open. */
  destroy(): void
}
