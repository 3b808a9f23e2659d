// Opens one WebSocket to a gateway: TLS 1.3, our certificate shown, the gateway's verified against the given
// authority only. Rule: whatever goes wrong ends in the code that says which it was.
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { WebSocket } from 'ws'
import { GatewayError, isErrorCode, toGatewayError, type ErrorCode } from '../errors.ts'
import { MAX_FRAME_BYTES, SUBPROTOCOL } from '../protocol/mux/frame.ts'

export interface TunnelCredentials {
  /** PEM. */
  readonly certificate?: string | undefined
  readonly key?: string | undefined
  /** PEM of the authority that the gateway's certificate must come from. */
  readonly authority: string
}

export interface TunnelDialOptions {
  readonly url: string
  readonly credentials: TunnelCredentials
  readonly handshakeMs: number
  readonly localAddress?: string | undefined
  /** The lab's: NSS key log lines. */
  readonly onKeylog?: ((line: Buffer) => void) | undefined
}

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

/** Resolves once the upgrade is done. Rejects with a GatewayError within `handshakeMs`. */
export function dialTunnel(options: TunnelDialOptions): Promise<TunnelLink> {
  const { credentials } = options
  return new Promise((resolve, reject) => {
    let webSocket: WebSocket
    try {
      webSocket = new WebSocket(options.url, SUBPROTOCOL, {
        cert: credentials.certificate,
        key: credentials.key,
        ca: credentials.authority,
        minVersion: 'TLSv1.3',
        maxVersion: 'TLSv1.3',
        localAddress: options.localAddress,
        perMessageDeflate: false,
        skipUTF8Validation: true,
        maxPayload: MAX_FRAME_BYTES,
        handshakeTimeout: options.handshakeMs,
        followRedirects: false,
        finishRequest: (request) => {
          request.on('socket', (socket) => {
            const { onKeylog } = options
            if (onKeylog !== undefined) socket.on('keylog', onKeylog)
          })
          request.end()
        },
      })
    } catch (thrown) {
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
    const fail = (error: unknown): void => {
      webSocket.off('error', fail)
      webSocket.on('error', () => {})
      webSocket.terminate()
      reject(classify(error))
    }
    webSocket.on('error', fail)
    webSocket.once('open', () => {
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
