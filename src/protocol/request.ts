// What every inbound makes and every outbound takes: the one request of the pipeline, whatever the protocol
// was. Pure types, no sockets.
import type { Duplex } from 'node:stream'
import type { GatewayError } from '../errors.ts'

/** How the client's bytes reach this process; the `mode` label of every metric. */
export const MODES = ['http-proxy', 'socks-proxy', 'https-proxy', 'tunnel', 'tunnel-client'] as const
export type Mode = (typeof MODES)[number]

export interface Destination {
  /** A DNS name (ASCII, no trailing dot) or an IP address literal without brackets. */
  readonly host: string
  /** 1 to 65535. */
  readonly port: number
}

/** Where a socket really ended up: what SOCKS replies and OPENED frames report. */
export interface BoundAddress {
  readonly address: string
  readonly port: number
}

/** How a client proved who it is. `name` is a secret to logs and metrics (they get a pseudonym). */
export interface Identity {
  readonly kind: 'user' | 'certificate'
  readonly name: string
}

/** As one string; a user and a certificate of the same name are two. */
export function keyOf({ kind, name }: Identity): string {
  return `${kind}:${name}`
}

/** What `keyOf` was given. */
export function identityOf(key: string): Identity {
  const at = key.indexOf(':')
  return { kind: key.slice(0, at) === 'user' ? 'user' : 'certificate', name: key.slice(at + 1) }
}

/**
 * One connection that a client asked for. Exactly one of `confirm` and `refuse` is called, once.
 * After `confirm` the pipeline relays between the client and the upstream.
 */
export interface ProxyRequest {
  readonly mode: Mode
  readonly destination: Destination
  readonly identity: Identity | undefined
  /** True where a credential crossed the client's link with this request (exposure metrics). */
  readonly sentCredential: boolean
  /** Ends when the client went away before it was answered. */
  readonly signal: AbortSignal
  /** Tells the client that the upstream stands, and gives the client's byte stream. */
  confirm(bound: BoundAddress): Duplex
  /** Tells the client why not, in its own protocol, with a reference that the log holds too. */
  refuse(error: GatewayError, reference: string): void
}

/** What is asked for, without how it is answered. */
export type AskedRequest = Omit<ProxyRequest, 'confirm' | 'refuse'>

/** The pipeline's entry, which the gateway gives to every inbound. Never rejects. */
export type ServeRequest = (request: ProxyRequest) => Promise<void>
