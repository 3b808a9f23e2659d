// Who sends an HTTP proxy request: the certificate of its connection or the password in its head (RFC 7617).
import { GatewayError, type ErrorCode } from '../errors.ts'
import { parseBasicCredentials } from '../protocol/http/fields.ts'
import type { Identity } from '../protocol/request.ts'
import type { InboundContext } from './context.ts'

/** What a connection's client certificate proved. */
export interface ProvenClient {
  readonly identity: Identity
  /** What speaks against it by now: a list that is past due ends no connection, but nothing new begins on it. */
  problem(): ErrorCode | undefined
}

/**
 * `authorization`: the value of Proxy-Authorization, if any. `source`: where its connection comes from. Errors: `auth-*`,
 * `rate-limited`, and those of `problem`.
 */
export async function authorizeHttp(
  context: InboundContext,
  authorization: string | undefined,
  ofConnection: ProvenClient | undefined,
  source: string,
): Promise<Identity | undefined> {
  const problem = ofConnection?.problem()
  if (problem !== undefined) throw new GatewayError(problem, { side: 'client' })
  if (!context.requiresPassword) return ofConnection?.identity
  if (authorization === undefined) throw new GatewayError('auth-required', { side: 'client' })
  const credentials = parseBasicCredentials(authorization)
  const identity = credentials && (await context.authenticate(credentials.name, credentials.password, source))
  if (identity === undefined) throw new GatewayError('auth-failed', { side: 'client' })
  return identity
}
