// Opens one WebSocket to a gateway: TLS 1.3, our certificate shown, the gateway's verified against the given
// authority only. Rule: whatever goes wrong ends in the code that says which it was.
import net, { type Socket } from 'node:net'
import tls, { TLSSocket } from 'node:tls'
import { WebSocket } from 'ws'
import { GatewayError, isErrorCode, toGatewayError, type ErrorCode } from '../errors.ts'
import { SUBPROTOCOL } from '../protocol/mux/frame.ts'
import { WEBSOCKET_LIMITS } from '../transport/tunnel-connection.ts'
import { setCarrier } from '../transport/abort.ts'
import { openCarrier, type CarrierOptions, type TunnelGateway } from './tunnel-carrier.ts'

interface TunnelCredentials {
  /** PEM. */
  readonly certificate?: string | undefined
  readonly key?: string | undefined
  /** PEM of the authority that the gateway's certificate must come from. */
  readonly authority: string
}

export interface TunnelDialOptions extends CarrierOptions {
  readonly credentials: TunnelCredentials
  readonly handshakeMs: number
  /** The lab's: NSS key log lines. */
  readonly onKeylog?: ((line: Buffer) => void) | undefined
  /** The lab's: an older version, to show what it shows. */
  readonly tlsVersion?: 'TLSv1.2' | undefined
}

/** What a reload may put in the place of what was. */
export type TunnelAccess = Pick<TunnelDialOptions, 'credentials' | 'proxy'>

/** What was negotiated, for a person to read. */
export interface TunnelFacts {
  readonly protocol: string
  readonly cipher: string
  readonly group: string
}

export interface TunnelLink {
  readonly webSocket: WebSocket
  readonly socket: Socket
  readonly facts: TunnelFacts
}

const VERIFY_ERRORS =
  /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_|ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_)/
/** OpenSSL's reason stands in the message alone: the errno of each is EPROTO. */
const TLS_REASON = /SSL routines:[^:]*:([^:]+):/
const VERSION_REASONS = /unsupported protocol|protocol version|wrong version number/

/** Resolves once the upgrade is done. Rejects with a GatewayError within `handshakeMs`, or when `signal` ends. */
export async function dialTunnel(
  gateway: TunnelGateway,
  options: TunnelDialOptions,
  signal: AbortSignal,
): Promise<TunnelLink> {
  const startedMs = performance.now()
  const carrier = await openCarrier(gateway, options, signal)
  const withinMs = Math.max(1, options.handshakeMs - (performance.now() - startedMs))
  return upgrade(carrier, gateway, { ...options, handshakeMs: withinMs }, signal)
}

function upgrade(
  carrier: Socket,
  { url, host }: TunnelGateway,
  { credentials, handshakeMs, onKeylog, tlsVersion }: TunnelDialOptions,
  signal: AbortSignal,
): Promise<TunnelLink> {
  const secure = (): Socket => {
    if (!url.startsWith('wss:')) return carrier
    const secured = tls.connect({
      socket: carrier,
      host,
      ...(net.isIP(host) === 0 && { servername: host }),
      cert: credentials.certificate,
      key: credentials.key,
      ca: credentials.authority,
      minVersion: tlsVersion ?? 'TLSv1.3',
      maxVersion: tlsVersion ?? 'TLSv1.3',
    })
    setCarrier(secured, carrier)
    if (onKeylog !== undefined) secured.on('keylog', onKeylog)
    return secured
  }
  return new Promise((resolve, reject) => {
    let webSocket: WebSocket
    try {
      webSocket = new WebSocket(url, SUBPROTOCOL, {
        createConnection: secure,
        perMessageDeflate: false,
        skipUTF8Validation: true,
        ...WEBSOCKET_LIMITS,
        followRedirects: false,
      })
    } catch (thrown) {
      carrier.destroy()
      return reject(toGatewayError(thrown, 'self', 'pki-invalid'))
    }
    let socket: Socket | undefined
    webSocket.once('upgrade', (response) => (socket = response.socket))
    webSocket.once('unexpected-response', (request, response) => {
      const code = response.headers['sightline-error']
      const reference = response.headers['sightline-reference']
      request.destroy()
      fail(
        new GatewayError(isErrorCode(code) ? code : 'tunnel-unavailable', {
          side: 'upstream',
          ...(isErrorCode(code)
            ? {}
            : { detail: `the address answered ${response.statusCode}, not a tunnel` }),
          ...(typeof reference === 'string' && { reference }),
        }),
      )
    })
    const cancel = (): void => fail(new GatewayError('stream-cancelled'))
    const late = (): void =>
      fail(
        new GatewayError('tunnel-unavailable', {
          side: 'upstream',
          detail: 'the gateway took the connection, and did not answer in time',
        }),
      )
    const timer = setTimeout(late, handshakeMs)
    const settle = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', cancel)
    }
    const fail = (error: unknown): void => {
      settle()
      webSocket.off('error', fail)
      webSocket.on('error', () => {})
      webSocket.terminate()
      carrier.destroy()
      reject(classify(error))
    }
    webSocket.on('error', fail)
    if (signal.aborted) return cancel()
    signal.addEventListener('abort', cancel)
    webSocket.once('open', () => {
      settle()
      webSocket.off('error', fail)
      if (socket === undefined) return fail(new GatewayError('tunnel-unavailable'))
      resolve({ webSocket, socket, facts: factsOf(socket) })
    })
  })
}

function factsOf(socket: Socket): TunnelFacts {
  if (!(socket instanceof TLSSocket)) return { protocol: 'none', cipher: 'none', group: 'none' }
  const group = socket.getEphemeralKeyInfo()
  const name = group !== null && 'name' in group && typeof group.name === 'string' ? group.name : 'unknown'
  return { protocol: socket.getProtocol() ?? 'unknown', cipher: socket.getCipher().name, group: name }
}

function classify(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown
  const errno = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
  const text = thrown instanceof Error ? thrown.message.trim() : ''
  const reason = TLS_REASON.exec(text)?.[1]
  let code: ErrorCode = 'tunnel-unavailable'
  if (VERIFY_ERRORS.test(errno)) code = 'gateway-untrusted'
  else if (reason !== undefined && VERSION_REASONS.test(reason)) code = 'tls-version'
  else if (errno.startsWith('ERR_SSL') || errno === 'EPROTO') code = 'tls-failed'
  const known = toGatewayError(thrown, 'upstream', code)
  const detail = text === '' ? undefined : (reason ?? text)
  return new GatewayError(known.code, {
    side: 'upstream',
    cause: thrown,
    ...(detail !== undefined && { detail }),
  })
}
