// Request targets as proxies receive them (RFC 9112 section 3.2): authority-form of CONNECT and absolute-form.
// Pure. Rule: the path goes on as it came, byte for byte; nothing is decoded, normalized or guessed.
import { GatewayError } from '../../errors.ts'
import type { Destination } from '../request.ts'

function badTarget(what: string): GatewayError {
  return new GatewayError('bad-request', { side: 'client', detail: what })
}

/**
 * Reads `host:port`, `[v6]:port`, or, with a default port, `host`. The host is taken as it stands.
 * Errors: `bad-request`.
 */
export function parseAuthority(text: string, defaultPort?: number): Destination {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]@/?#\s]+))(?::(\d{0,5}))?$/.exec(text)
  if (match === null) throw badTarget('the target is not host:port')
  const host = match[1] ?? match[2] ?? ''
  const digits = match[3] ?? ''
  const port = digits === '' ? defaultPort : Number(digits)
  if (port === undefined) throw badTarget('the target has no port')
  if (port < 1 || port > 65535) throw badTarget('the port is not between 1 and 65535')
  return { host, port }
}

export interface AbsoluteTarget {
  readonly destination: Destination
  /** What the Host field must say (RFC 9112 section 3.2.2). */
  readonly authority: string
  /** Origin-form: path and query, at least "/". For OPTIONS without a path, "*". */
  readonly path: string
}

/** Reads the absolute-form `http://host[:port]/path?query`. Errors: `bad-request`, also for other schemes. */
export function parseAbsoluteTarget(target: string, method: string): AbsoluteTarget {
  const match = /^http:\/\/([^/?#]*)([^#]*)$/i.exec(target)
  if (match === null) throw badTarget('the target is not an http:// address')
  const [, authority = '', rest = ''] = match
  const destination = parseAuthority(authority, 80)
  if (rest === '') return { destination, authority, path: method === 'OPTIONS' ? '*' : '/' }
  return { destination, authority, path: rest.startsWith('/') ? rest : `/${rest}` }
}
