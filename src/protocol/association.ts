// An association (RFC 1928 section 7): a client's datagrams to any number of destinations, for as long as the
// stream lives that asked for it. What an inbound makes and the pipeline serves, whatever the protocol was. Pure
// types. Rule: a datagram is passed on at once or dropped, never held.
import type { ErrorCode, GatewayError } from '../errors.ts'
import type { BoundAddress, Destination, ProxyRequest } from './request.ts'

/** Why a datagram went nowhere; the `reason` label of sightline_datagrams_dropped_total. */
export const DATAGRAM_DROPS = [
  /** Not from the client that asked for the association. */
  'wrong-source',
  /** Part of a fragmented datagram, which is not served (RFC 1928 section 7 leaves it to the server). */
  'fragment',
  'malformed',
  'too-large',
  'destination-denied',
  'name-not-resolved',
  'too-many-destinations',
  /** More waits, in the socket or for a look-up, than an association may keep. */
  'queue-full',
  /** The other end of the tunnel takes no more of this association for now. */
  'no-credit',
  /** Its identity has used up its bytes of this second. */
  'rate-limited',
  'unreachable',
  /** From an address that the client has not sent to. */
  'unsolicited',
] as const
export type DatagramDrop = (typeof DATAGRAM_DROPS)[number]

/** The client's end of an association. */
export interface AssociationClient {
  /** Where the client sends its datagrams; undefined where they come over a tunnel's stream. */
  readonly relay: BoundAddress | undefined
  /** Gives the client a datagram that came from `from`. */
  send(from: BoundAddress, payload: Uint8Array): void
  /** Ends the association, and with it the connection that asked for it. Without effect when repeated. */
  close(error: GatewayError | undefined): void
}

/** What the client's end tells the pipeline, from `confirm` on. */
export interface AssociationEvents {
  /** The client's datagram; `payload` is the callee's to keep. */
  message(destination: Destination, payload: Uint8Array): void
  dropped(reason: DatagramDrop): void
  /** The connection that asked for it is over. Called once, also after `close`. */
  closed(outcome: ErrorCode | 'ok'): void
}

/** One association that a client asked for. Confirmed or refused exactly once, as a ProxyRequest is. */
export interface AssociationRequest extends Pick<
  ProxyRequest,
  'mode' | 'identity' | 'sentCredential' | 'signal' | 'refuse'
> {
  /**
   * Opens the client's end and tells the client where it is. Where that fails it rejects, and the request is still
   * to be refused. Errors: `udp-ports-exhausted`, `listen-failed`, `stream-cancelled`.
   */
  confirm(events: AssociationEvents): Promise<AssociationClient>
}

/** The pipeline's entry for associations. Never rejects. */
export type ServeAssociation = (request: AssociationRequest) => Promise<void>
