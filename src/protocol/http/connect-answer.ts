// What an upstream proxy's answer to CONNECT means (RFC 9110 section 9.3.6). Pure. Rule: what an upstream says of us
// (its credentials, its room, its address lists) is never passed to our client as if it were said of them.
import { isErrorCode, type ErrorCode } from '../../errors.ts'
import { fieldValues, type RawFields } from './fields.ts'

/** Codes of another Sightline that are about the destination: they stay what they are. */
const ABOUT_DESTINATION: ReadonlySet<ErrorCode> = new Set([
  'destination-denied',
  'name-not-found',
  'name-lookup-failed',
  'connection-refused',
  'host-unreachable',
  'network-unreachable',
  'dial-timeout',
  'dial-failed',
  'connection-reset',
])

const CODE_BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  401: 'upstream-auth-failed',
  403: 'destination-denied',
  407: 'upstream-auth-failed',
  429: 'upstream-unavailable',
  501: 'upstream-unavailable',
  503: 'upstream-unavailable',
  504: 'dial-timeout',
}

/** squid answers 503 for whatever went wrong beyond it, and says what in a field of its own: `ERR_CONNECT_FAIL 111`. */
const CODE_BY_SQUID_ERROR: ReadonlyMap<string, ErrorCode> = new Map([
  ['ERR_ACCESS_DENIED 0', 'destination-denied'],
  ['ERR_DNS_FAIL 0', 'name-not-found'],
  ['ERR_CONNECT_FAIL 101', 'network-unreachable'],
  ['ERR_CONNECT_FAIL 110', 'dial-timeout'],
  ['ERR_CONNECT_FAIL 111', 'connection-refused'],
  ['ERR_CONNECT_FAIL 113', 'host-unreachable'],
])

/** Undefined for a tunnel that stands (any 2xx); otherwise why there is none. */
export function readConnectAnswer(status: number, fields: RawFields): ErrorCode | undefined {
  if (status >= 200 && status < 300) return undefined
  if (status === 407 || status === 401) return 'upstream-auth-failed'
  const [own] = fieldValues(fields, 'sightline-error')
  if (isErrorCode(own)) {
    if (ABOUT_DESTINATION.has(own)) return own
    return own === 'upstream-auth-failed' ? own : 'upstream-unavailable'
  }
  const [squid] = fieldValues(fields, 'x-squid-error')
  if (squid !== undefined) return CODE_BY_SQUID_ERROR.get(squid) ?? 'dial-failed'
  return CODE_BY_STATUS[status] ?? (status >= 500 ? 'dial-failed' : 'upstream-unavailable')
}
