// Every failure that a peer, an operator or a log can see has a stable code, and this file is the one place
// that says what each code means in each protocol. Rule: no other file chooses an HTTP status, a SOCKS reply
// or a mux error number.

/** What one error code becomes in each protocol that can carry it. */
export interface ErrorAnswer {
  /** HTTP status code (RFC 9110 section 15). */
  readonly http: number
  /** SOCKS5 reply field (RFC 1928 section 6). SOCKS4 knows only granted (90) and rejected (91). */
  readonly socks5: number
  /** Error number in REFUSED, RESET and GOAWAY frames (docs/protocol.md). Never reused, never 0. */
  readonly mux: number
  /** Level at which the gateway logs it. */
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  /** One sentence for the peer, without any value of its own. */
  readonly text: string
}

// prettier-ignore
export const ERROR_ANSWERS = {
  'bad-request':                { http: 400, socks5: 0x01, mux: 1,  level: 'info',  text: 'the request is not well formed' },
  'head-too-large':             { http: 431, socks5: 0x01, mux: 2,  level: 'info',  text: 'the request head is too large' },
  'handshake-timeout':          { http: 408, socks5: 0x01, mux: 3,  level: 'info',  text: 'the request did not arrive in time' },
  'command-unsupported':        { http: 501, socks5: 0x07, mux: 4,  level: 'info',  text: 'this command is not supported' },
  'address-type-unsupported':   { http: 400, socks5: 0x08, mux: 5,  level: 'info',  text: 'this address type is not supported' },
  'auth-required':              { http: 407, socks5: 0x02, mux: 6,  level: 'info',  text: 'a user name and password are required' },
  'auth-failed':                { http: 407, socks5: 0x02, mux: 7,  level: 'info',  text: 'the user name or password is wrong' },
  'source-denied':              { http: 403, socks5: 0x02, mux: 8,  level: 'info',  text: 'this gateway does not serve your address' },
  'destination-denied':         { http: 403, socks5: 0x02, mux: 9,  level: 'info',  text: 'the egress rules refuse this destination' },
  'name-not-found':             { http: 502, socks5: 0x04, mux: 10, level: 'info',  text: 'the destination name does not exist' },
  'name-lookup-failed':         { http: 502, socks5: 0x04, mux: 11, level: 'warn',  text: 'the destination name could not be looked up' },
  'connection-refused':         { http: 502, socks5: 0x05, mux: 12, level: 'info',  text: 'the destination refused the connection' },
  'host-unreachable':           { http: 502, socks5: 0x04, mux: 13, level: 'info',  text: 'the destination host is unreachable' },
  'network-unreachable':        { http: 502, socks5: 0x03, mux: 14, level: 'info',  text: 'the destination network is unreachable' },
  'dial-timeout':               { http: 504, socks5: 0x06, mux: 15, level: 'info',  text: 'the destination did not answer in time' },
  'dial-failed':                { http: 502, socks5: 0x01, mux: 16, level: 'warn',  text: 'the destination could not be reached' },
  'connection-reset':           { http: 502, socks5: 0x01, mux: 17, level: 'debug', text: 'the connection was reset' },
  'upstream-protocol-error':    { http: 502, socks5: 0x01, mux: 18, level: 'info',  text: 'the destination sent something that is not HTTP' },
  'idle-timeout':               { http: 504, socks5: 0x01, mux: 19, level: 'debug', text: 'nothing was sent for too long' },
  'too-many-connections':       { http: 503, socks5: 0x01, mux: 20, level: 'warn',  text: 'the gateway has no room for another connection' },
  'too-many-streams':           { http: 503, socks5: 0x01, mux: 21, level: 'warn',  text: 'this tunnel has no room for another stream' },
  'tunnel-unavailable':         { http: 503, socks5: 0x01, mux: 22, level: 'warn',  text: 'the tunnel to the gateway is down' },
  'shutting-down':              { http: 503, socks5: 0x01, mux: 23, level: 'info',  text: 'the gateway is shutting down' },
  'certificate-required':       { http: 403, socks5: 0x02, mux: 24, level: 'info',  text: 'a client certificate is required' },
  'certificate-untrusted':      { http: 403, socks5: 0x02, mux: 25, level: 'info',  text: 'the client certificate was not issued by this gateway\'s authority' },
  'certificate-expired':        { http: 403, socks5: 0x02, mux: 26, level: 'info',  text: 'the client certificate has expired' },
  'certificate-not-yet-valid':  { http: 403, socks5: 0x02, mux: 27, level: 'info',  text: 'the client certificate is not valid yet' },
  'certificate-wrong-usage':    { http: 403, socks5: 0x02, mux: 28, level: 'info',  text: 'the certificate is not meant for clients' },
  'certificate-revoked':        { http: 403, socks5: 0x02, mux: 29, level: 'info',  text: 'the client certificate has been revoked' },
  'revocation-list-unusable':   { http: 503, socks5: 0x01, mux: 30, level: 'info',  text: 'the gateway\'s revocation list has expired or cannot be read' },
  'tls-version':                { http: 400, socks5: 0x01, mux: 31, level: 'info',  text: 'TLS 1.3 is required' },
  'tls-failed':                 { http: 400, socks5: 0x01, mux: 32, level: 'info',  text: 'the TLS handshake failed' },
  'gateway-untrusted':          { http: 502, socks5: 0x01, mux: 33, level: 'error', text: 'the gateway\'s certificate does not verify' },
  'frame-malformed':            { http: 400, socks5: 0x01, mux: 34, level: 'warn',  text: 'a tunnel frame is malformed' },
  'frame-unknown':              { http: 400, socks5: 0x01, mux: 35, level: 'warn',  text: 'a tunnel frame has an unknown type' },
  'frame-too-large':            { http: 400, socks5: 0x01, mux: 36, level: 'warn',  text: 'a tunnel frame is too large' },
  'stream-id-invalid':          { http: 400, socks5: 0x01, mux: 37, level: 'warn',  text: 'a tunnel frame names a stream that cannot be' },
  'credit-exceeded':            { http: 400, socks5: 0x01, mux: 38, level: 'warn',  text: 'the peer sent more than it had credit for' },
  'tunnel-dead':                { http: 503, socks5: 0x01, mux: 39, level: 'warn',  text: 'the peer of the tunnel stopped answering' },
  'stream-cancelled':           { http: 502, socks5: 0x01, mux: 40, level: 'debug', text: 'the peer gave the stream up' },
  'config-invalid':             { http: 500, socks5: 0x01, mux: 41, level: 'error', text: 'the configuration is not valid' },
  'address-in-use':             { http: 500, socks5: 0x01, mux: 42, level: 'error', text: 'the address to listen on is in use' },
  'listen-failed':              { http: 500, socks5: 0x01, mux: 43, level: 'error', text: 'the address cannot be listened on' },
  'pki-invalid':                { http: 500, socks5: 0x01, mux: 44, level: 'error', text: 'a certificate, key or list is not usable' },
  'file-unusable':              { http: 500, socks5: 0x01, mux: 45, level: 'error', text: 'a file cannot be read or written' },
  'upgrade-required':           { http: 426, socks5: 0x01, mux: 46, level: 'info',  text: 'this address speaks WebSocket with subprotocol sightline.v1' },
  'not-found':                  { http: 404, socks5: 0x01, mux: 47, level: 'info',  text: 'there is nothing at this path' },
  'udp-ports-exhausted':        { http: 503, socks5: 0x01, mux: 48, level: 'warn',  text: 'the gateway has no UDP port free for another association' },
  'too-many-associations':      { http: 503, socks5: 0x01, mux: 49, level: 'warn',  text: 'the gateway has no room for another association' },
  'rate-limited':               { http: 429, socks5: 0x01, mux: 50, level: 'info',  text: 'too much came at once; try again in a moment' },
  'too-many-from-source':       { http: 429, socks5: 0x01, mux: 51, level: 'info',  text: 'too many connections are open from your address' },
  'too-many-for-identity':      { http: 429, socks5: 0x01, mux: 52, level: 'info',  text: 'too much is open at once under your name' },
  'quota-exceeded':             { http: 429, socks5: 0x02, mux: 53, level: 'info',  text: 'the bytes of this day are used up; they are counted anew at midnight UTC' },
  'lifetime-exceeded':          { http: 503, socks5: 0x01, mux: 54, level: 'debug', text: 'the connection was open for as long as this gateway allows' },
  'proxy-header-invalid':       { http: 400, socks5: 0x01, mux: 55, level: 'warn',  text: 'the balancer sent no PROXY header, or one that is not well formed' },
  'upstream-unavailable':       { http: 502, socks5: 0x01, mux: 56, level: 'warn',  text: 'the upstream proxy cannot be reached, or did not answer as one' },
  'upstream-auth-failed':       { http: 502, socks5: 0x01, mux: 57, level: 'error', text: 'the upstream proxy does not accept this gateway\'s credentials' },
  'upstream-untrusted':         { http: 502, socks5: 0x01, mux: 58, level: 'error', text: 'the upstream proxy\'s certificate does not verify' },
  'user-removed':               { http: 403, socks5: 0x02, mux: 80, level: 'info',  text: 'this user has been removed, or has another password now' },
  'state-unavailable':          { http: 503, socks5: 0x01, mux: 82, level: 'warn',  text: 'what the gateways share cannot be reached' },
  'state-invalid':              { http: 503, socks5: 0x01, mux: 83, level: 'error', text: 'what the gateways share holds something that cannot be relied on' },
  'state-auth-failed':          { http: 503, socks5: 0x01, mux: 84, level: 'error', text: 'what the gateways share does not accept this gateway\'s credentials' },
  'state-untrusted':            { http: 503, socks5: 0x01, mux: 85, level: 'error', text: 'the certificate of what the gateways share does not verify' },
  'usage-store-unavailable':    { http: 503, socks5: 0x01, mux: 90, level: 'warn',  text: 'the store of usage cannot be read or written' },
  'usage-store-invalid':        { http: 500, socks5: 0x01, mux: 91, level: 'error', text: 'the store of usage is damaged, or is none of this version' },
  'internal-error':             { http: 500, socks5: 0x01, mux: 255, level: 'error', text: 'the gateway failed; its log has the reference' },
} as const satisfies Record<string, ErrorAnswer>

export type ErrorCode = keyof typeof ERROR_ANSWERS

/** Who caused it: the client of this process, the server that it dialled, or this process. */
export type ErrorSide = 'client' | 'upstream' | 'self'

const CODE_BY_MUX = new Map<number, ErrorCode>(
  (Object.keys(ERROR_ANSWERS) as ErrorCode[]).map((code) => [ERROR_ANSWERS[code].mux, code]),
)

/** The code that a peer's error number stands for; a number from a newer peer reads as `dial-failed`. */
export function errorCodeFromMux(number: number): ErrorCode {
  return CODE_BY_MUX.get(number) ?? 'dial-failed'
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_ANSWERS, value)
}

interface GatewayErrorOptions {
  readonly side?: ErrorSide
  readonly cause?: unknown
  /** Says more than the code's own text. Shown on this machine only: it may name a file or a setting. */
  readonly detail?: string
  /** How to mend it, for a person at this machine. */
  readonly hint?: string
  /** Reference that a peer gave for the same failure, so that both logs can be joined. */
  readonly reference?: string
}

/** The one error class: told apart by `code`, never by subclass or message. */
export class GatewayError extends Error {
  readonly code: ErrorCode
  readonly side: ErrorSide
  readonly hint: string | undefined
  readonly reference: string | undefined

  constructor(code: ErrorCode, options: GatewayErrorOptions = {}) {
    super(options.detail ?? ERROR_ANSWERS[code].text, { cause: options.cause })
    this.name = 'GatewayError'
    this.code = code
    this.side = options.side ?? 'self'
    this.hint = options.hint
    this.reference = options.reference
  }
}

const CODE_BY_ERRNO: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'connection-refused',
  EHOSTUNREACH: 'host-unreachable',
  EHOSTDOWN: 'host-unreachable',
  ENETUNREACH: 'network-unreachable',
  EADDRNOTAVAIL: 'network-unreachable',
  ENETDOWN: 'network-unreachable',
  ETIMEDOUT: 'dial-timeout',
  ENOTFOUND: 'name-not-found',
  ENODATA: 'name-not-found',
  EAI_AGAIN: 'name-lookup-failed',
  EAI_FAIL: 'name-lookup-failed',
  ESERVFAIL: 'name-lookup-failed',
  ECONNRESET: 'connection-reset',
  ECONNABORTED: 'connection-reset',
  EPIPE: 'connection-reset',
  EMFILE: 'too-many-connections',
  ENFILE: 'too-many-connections',
  EADDRINUSE: 'address-in-use',
}

/**
 * Gives any thrown value a code: a GatewayError stays as it is, an errno is looked up, all else is
 * `fallback`. Shapes a system error never reach a peer, only its code does.
 */
export function toGatewayError(
  thrown: unknown,
  side: ErrorSide,
  fallback: ErrorCode = 'internal-error',
): GatewayError {
  if (thrown instanceof GatewayError) return thrown
  const errno = typeof thrown === 'object' && thrown !== null && 'code' in thrown ? String(thrown.code) : ''
  return new GatewayError(CODE_BY_ERRNO[errno] ?? fallback, { side, cause: thrown })
}
