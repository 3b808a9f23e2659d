// Who sends an HTTP proxy request: the certificate of its connection or the password in its head (RFC 7617).
import { GatewayError } from '../errors.ts'
import { parseBasicCredentials } from '../protocol/http/fields.ts'
import type { Identity } from '../protocol/request.ts'
import type { InboundContext } from './context.ts'

/** `authorization`: the value of Proxy-Authorization, if any. `source`: where its connection comes from. Errors: `auth-*`, `rate-limited`. */
export async function authorizeHttp(
  context: InboundContext,
  authorization: string | undefined,
  ofConnection: Identity | undefined,
  source: string,
): Promise<Identity | undefined> {
  if (!context.requiresPassword) return ofConnection
  if (authorization === undefined) throw new GatewayError('auth-required', { side: 'client' })
  const credentials = parseBasicCredentials(authorization)
  const identity = credentials && (await context.authenticate(credentials.name, credentials.password, source))
  if (identity === undefined) throw new GatewayError('auth-failed', { side: 'client' })
  return identity
}
