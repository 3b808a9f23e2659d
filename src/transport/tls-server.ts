// TLS 1.3 on accepted sockets. Rules: nothing older than 1.3 is spoken (1.2 shows client certificates in
// clear), a client certificate is judged by us on every connection, resumed ones too, and a peer that is not
// let in is told why in one fixed answer before a byte of HTTP is read.
import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import tls, { type TLSSocket } from 'node:tls'
import { ERROR_ANSWERS, GatewayError, toGatewayError, type ErrorCode } from '../errors.ts'
import type { ClientIdentity, ClientTrust } from '../pki/judge.ts'
import { setCarrier } from './abort.ts'
import { awaitClientHello } from './client-hello.ts'
import { followSource } from './source.ts'

export interface ServerCredentials {
  /** PEM: the leaf, then what stands between it and the authority. */
  readonly certificate: string
  readonly key: string
  /** What client certificates are judged by; without it none is asked for. */
  readonly clientTrust?: ClientTrust
  /** PEM of the authorities named in the request for a client certificate. */
  readonly clientAuthority?: string
}

export interface TlsServerOptions {
  readonly credentials: ServerCredentials
  readonly handshakeMs: number
  readonly alpn: readonly string[]
  /** A client may come without a certificate; one that it shows is judged all the same. */
  readonly certificateOptional: boolean
  /** Clients may resume a TLS session: they save a handshake, and are judged like all others. */
  readonly sessionTickets: boolean
  /** 48 bytes: several processes that have the same take each other's tickets. Left out, each makes its own. */
  readonly ticketKeys?: Buffer | undefined
  readonly secured: (socket: TLSSocket, peer: ClientIdentity | undefined) => void
  /** A handshake failed or a certificate was refused. The socket is taken care of. */
  readonly refused: (code: ErrorCode, reference: string) => void
  readonly newReference: () => string
  /** The lab's: NSS key log lines. Never set by `serve`. */
  readonly onKeylog?: (line: Buffer) => void
  /** The lab's: an older version, to show what it shows. Never set by `serve`. */
  readonly version?: 'TLSv1.2' | undefined
}

/** One that has said hello holds some 130 KiB, most of it OpenSSL's. */
const UNFINISHED_MAX = 256
/** No handshake is given up sooner, however many there are: after a restart every client comes at once. */
const UNFINISHED_LEAST_MS = 2_000
const REFUSAL_LINGER_MS = 2_000
const REFUSAL_LINGER_BYTES = 64 * 1024

export class TlsServer {
  #server: tls.Server
  #options: TlsServerOptions
  #credentials: ServerCredentials
  /** By their peer: the event of a finished handshake names only the TLS socket, not what carries it. */
  #carriers = new Map<string, Socket>()
  /** Handshakes under way, and since when; the oldest first. */
  #unfinished = new Map<Socket, number>()

  constructor(options: TlsServerOptions) {
    this.#options = options
    this.#credentials = options.credentials
    this.#server = tls.createServer({
      ...contextOptions(options.credentials, options),
      allowHalfOpen: true,
      requestCert: options.credentials.clientTrust !== undefined,
      rejectUnauthorized: false,
      handshakeTimeout: options.handshakeMs,
      ALPNProtocols: [...options.alpn],
    })
    this.#server.on('secureConnection', (socket) => this.#secured(socket))
    this.#server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      socket.destroy()
      const old =
        error.code === 'ERR_SSL_UNSUPPORTED_PROTOCOL' || error.code === 'ERR_SSL_WRONG_VERSION_NUMBER'
      const slow = error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT'
      options.refused(slow ? 'handshake-timeout' : old ? 'tls-version' : 'tls-failed', options.newReference())
    })
    if (options.onKeylog !== undefined) this.#server.on('keylog', options.onKeylog)
  }

  /** Starts TLS on a socket whose first byte has not been read. */
  accept(socket: Socket): void {
    const peer = peerKey(socket)
    this.#carriers.set(peer, socket)
    socket.on('close', () => {
      if (this.#carriers.get(peer) === socket) this.#carriers.delete(peer)
    })
    this.#makeRoom()
    this.#unfinished.set(socket, performance.now())
    socket.on('close', () => this.#unfinished.delete(socket))
    // Who ends in the middle of a handshake has nothing more to say, and must not keep its place until the deadline.
    socket.allowHalfOpen = false
    const { handshakeMs, refused, newReference } = this.#options
    const refuse = (code: ErrorCode): void => {
      refused(code, newReference())
      socket.destroy()
    }
    awaitClientHello(socket, handshakeMs, {
      whole: () => this.#server.emit('connection', socket),
      late: () => refuse('handshake-timeout'),
      gone: () => refuse('tls-failed'),
    })
  }

  /** Past so many unfinished handshakes one that has had its time goes for one that is new: a flood stays small. */
  #makeRoom(): void {
    if (this.#unfinished.size < UNFINISHED_MAX) return
    const [oldest] = this.#unfinished
    if (oldest === undefined || performance.now() - oldest[1] < UNFINISHED_LEAST_MS) return
    this.#unfinished.delete(oldest[0])
    oldest[0].resetAndDestroy()
  }

  /** New connections use what is given here beside what was before; open ones are the caller's to judge again. */
  reload(fresh: Partial<ServerCredentials>): void {
    const before = this.#credentials
    const now = { ...before, ...fresh }
    this.#credentials = now
    // A new context has new ticket keys, and every client a whole handshake to make: not for a revocation list.
    const isSame =
      now.certificate === before.certificate &&
      now.key === before.key &&
      now.clientAuthority === before.clientAuthority
    if (!isSame) this.#server.setSecureContext(contextOptions(now, this.#options))
  }

  /** Its revocation list cannot be read: nobody new is let in until `reload` brings one that can. */
  distrust(): void {
    const { clientTrust } = this.#credentials
    if (clientTrust !== undefined) this.reload({ clientTrust: clientTrust.withoutLists() })
  }

  get credentials(): ServerCredentials {
    return this.#credentials
  }

  /** What now speaks against a client that was let in; undefined where nothing does. */
  judgeAgain(peer: ClientIdentity): ErrorCode | undefined {
    return this.#credentials.clientTrust?.judgeAgain(peer, new Date())
  }

  #secured(socket: TLSSocket): void {
    const { newReference, refused, secured } = this.#options
    socket.on('error', () => {})
    socket.allowHalfOpen = true
    const carrier = this.#carriers.get(peerKey(socket))
    if (carrier !== undefined) {
      setCarrier(socket, carrier)
      followSource(socket, carrier)
      this.#unfinished.delete(carrier)
    }
    const { clientTrust } = this.#credentials
    if (clientTrust === undefined) return secured(socket, undefined)
    const certificate = socket.getPeerX509Certificate()
    if (certificate === undefined && this.#options.certificateOptional) return secured(socket, undefined)
    let peer: ClientIdentity
    try {
      peer = clientTrust.judge(certificate, new Date())
    } catch (thrown) {
      const error = toGatewayError(thrown, 'client', 'certificate-untrusted')
      const reference = newReference()
      refused(error.code, reference)
      return turnAway(socket, error.code, reference)
    }
    secured(socket, peer)
  }
}

/** One listener's connections differ in these. */
function peerKey({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`
}

/** Throws `pki-invalid` where certificate and key cannot be used together: before anything is changed for them. */
export function checkCredentials(credentials: ServerCredentials): void {
  contextOptions(credentials)
}

function contextOptions(
  credentials: ServerCredentials,
  {
    sessionTickets = true,
    ticketKeys,
    version,
  }: Partial<Pick<TlsServerOptions, 'sessionTickets' | 'ticketKeys' | 'version'>> = {},
): tls.SecureContextOptions & Pick<tls.TlsOptions, 'ticketKeys'> {
  try {
    const options: ReturnType<typeof contextOptions> = {
      // Without tickets TLS 1.3 would keep sessions here, and Node keeps none: nothing can be resumed.
      ...(!sessionTickets && { secureOptions: constants.SSL_OP_NO_TICKET }),
      ...(ticketKeys && { ticketKeys }),
      cert: credentials.certificate,
      key: credentials.key,
      ca: credentials.clientAuthority,
      minVersion: version ?? 'TLSv1.3',
      maxVersion: version ?? 'TLSv1.3',
    }
    // Made once here so that a key that does not fit its certificate is found at start, with a name.
    tls.createSecureContext(options)
    return options
  } catch (cause) {
    throw new GatewayError('pki-invalid', {
      cause,
      detail: 'the certificate and its key cannot be used together',
      hint: 'check that both files belong to the same name; `sightline pki list` shows what was issued',
    })
  }
}

/** The fixed answer to a peer that is not let in; its own bytes are thrown away, up to a bound. */
function turnAway(socket: TLSSocket, code: ErrorCode, reference: string): void {
  const answer = ERROR_ANSWERS[code]
  const body = `error: ${answer.text}; code: ${code}; reference: ${reference}\n`
  socket.end(
    `HTTP/1.1 ${answer.http} Refused\r\ncontent-type: text/plain\r\ncontent-length: ${body.length}\r\n` +
      `sightline-error: ${code}\r\nsightline-reference: ${reference}\r\nconnection: close\r\n\r\n${body}`,
  )
  let discarded = 0
  socket.on('data', (chunk: Buffer) => {
    discarded += chunk.length
    if (discarded > REFUSAL_LINGER_BYTES) socket.destroy()
  })
  const timer = setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS).unref()
  socket.on('end', () => socket.destroy())
  socket.on('close', () => clearTimeout(timer))
}
