// What the gateway gives every inbound: where requests go, who may come in, and what to count. An inbound turns
// bytes into a ProxyRequest and knows nothing of what happens to it.
import type { Duplex } from 'node:stream'
import type { PortRange } from '../config/address.ts'
import type { Limits } from '../config/schema.ts'
import { ERROR_ANSWERS, type ErrorCode, type GatewayError } from '../errors.ts'
import type { ServeAssociation } from '../protocol/association.ts'
import type { AskedRequest, Identity, Mode, ServeRequest } from '../protocol/request.ts'
import type { SettingsFacts } from './settings-facts.ts'

/** The limits that an inbound keeps itself; the others are kept by the gateway. */
export const INBOUND_LIMITS = ['headBytes', 'handshakeMs', 'keepAliveMs', 'streamsPerTunnel'] as const
export type InboundLimits = Pick<Limits, (typeof INBOUND_LIMITS)[number]>

export interface InboundContext {
  readonly serve: ServeRequest
  /** Authorizes and counts a request that an open connection carries. Throws what refuses it, by code. */
  again(request: AskedRequest): void
  readonly associate: ServeAssociation
  /** Where UDP relays may be bound; undefined for any free port. */
  readonly udpPorts: PortRange | undefined
  readonly limits: InboundLimits
  /** True where a name and password are needed. */
  readonly requiresPassword: boolean
  /**
   * Undefined where the password is wrong. Takes as long for an unknown name as for a wrong password, and longer for
   * a source that was wrong before. Errors: `rate-limited`, `too-many-connections`.
   */
  authenticate(name: string, password: string, source: string): Promise<Identity | undefined>
  /** What clients may know of this process's listeners. */
  settings(): SettingsFacts
  /** A random reference for one refusal: in the client's answer and in the log. */
  newReference(): string
  /** A connection has asked for something for the first time, or become a tunnel. */
  handshaken(mode: Mode, connection: Duplex): void
  /** Something has begun that a drain waits for, until `over` resolves. */
  underWay(over: Promise<void>): void
  /** Something was refused before it became a request. */
  refused(mode: Mode, code: ErrorCode, reference: string): void
}

/** The short body of an HTTP refusal. */
export function refusalBody(error: Pick<GatewayError, 'code'>, reference: string): string {
  return `error: ${ERROR_ANSWERS[error.code].text}; code: ${error.code}; reference: ${reference}\n`
}

/** The fields of an HTTP refusal that programs read. */
export function refusalHeaders(code: ErrorCode, reference: string): Record<string, string> {
  const headers: Record<string, string> = {
    'content-type': 'text/plain; charset=utf-8',
    'sightline-error': code,
    'sightline-reference': reference,
  }
  if (ERROR_ANSWERS[code].http === 407)
    headers['proxy-authenticate'] = 'Basic realm="sightline", charset="UTF-8"'
  return headers
}
