// Opens one inbound of the config: a TCP listener, TLS where it is asked for, and the protocol on top. This is
// the only place that knows which inbound type is which class.
import type { Socket } from 'node:net'
import type { InboundConfig } from '../config/schema.ts'
import { inCidrs, parseCidr, parseListenAddress, type Cidr } from '../config/address.ts'
import { GatewayError, type ErrorCode } from '../errors.ts'
import type { BoundAddress, Mode } from '../protocol/request.ts'
import { listenTcp, type Listener } from '../transport/listener.ts'
import { TlsServer, type PeerCertificate, type ServerCredentials } from '../transport/tls-server.ts'
import type { InboundContext } from './context.ts'
import { HttpInbound } from './http.ts'
import { serveSocks } from './socks.ts'
import { TunnelInbound } from './tunnel.ts'

export interface InboundHost {
  readonly context: InboundContext
  /** Takes a place among the connections, or refuses. A place is given back by `left`. */
  entered(mode: Mode): boolean
  left(mode: Mode): void
  sessionOpened(): void
  sessionClosed(code: ErrorCode): void
  newSessionId(): string
  /** The lab's: key log lines, and a tunnel without TLS to show what then is seen. `serve` sets neither. */
  readonly onKeylog?: ((line: Buffer) => void) | undefined
}

const SOCKS_FIRST_BYTES = new Set([4, 5])

/** The mode label of what comes in here. */
export function modeOf(config: InboundConfig, toTunnel: boolean): Mode {
  if (config.type === 'tunnel') return 'tunnel'
  if (toTunnel) return 'tunnel-client'
  if (config.type === 'socks') return 'socks-proxy'
  return config.tls === undefined ? 'http-proxy' : 'https-proxy'
}

export class Inbound {
  readonly config: InboundConfig
  #host: InboundHost
  #mode: Mode
  #sources: readonly Cidr[] | undefined
  #http: HttpInbound | undefined
  #tunnel: TunnelInbound | undefined
  #tls: TlsServer | undefined
  #listener: Listener | undefined
  #sockets = new Set<Socket>()

  constructor(config: InboundConfig, mode: Mode, credentials: ServerCredentials | undefined, host: InboundHost) {
    this.config = config
    this.#mode = mode
    this.#host = host
    this.#sources = config.auth?.sources?.map(parseCidr).filter((range) => range !== undefined)
    if (config.type === 'tunnel') this.#tunnel = new TunnelInbound(host.context, host)
    if (config.type === 'http' || config.type === 'mixed') {
      this.#http = new HttpInbound(host.context, mode === 'https-proxy' || mode === 'tunnel-client' ? mode : 'http-proxy')
    }
    if (credentials !== undefined) {
      this.#tls = new TlsServer({
        credentials,
        handshakeMs: host.context.limits.handshakeMs,
        alpn: ['http/1.1'],
        newReference: () => host.context.newReference(),
        refused: (code, reference) => host.context.refused(mode, code, reference),
        secured: (socket, peer) => this.#serve(socket, peer),
        ...(host.onKeylog && { onKeylog: host.onKeylog }),
      })
    }
  }

  get address(): BoundAddress {
    if (this.#listener === undefined) throw new GatewayError('internal-error')
    return this.#listener.address
  }

  async listen(): Promise<void> {
    const where = parseListenAddress(this.config.listen)
    if (where === undefined) throw new GatewayError('config-invalid', { detail: `${this.config.listen} is no address` })
    this.#listener = await listenTcp(where, (socket) => this.#accept(socket))
  }

  /** New connections use `credentials`; tunnels are judged again by them. */
  reload(credentials: ServerCredentials): void {
    this.#tls?.reload(credentials)
    const trust = credentials.clientTrust
    if (trust === undefined) return
    this.#tunnel?.judgeAgain((peer) => (trust.isRevoked(peer.serial) ? 'certificate-revoked' : undefined))
  }

  /** Stops accepting, and tells tunnel clients to go elsewhere. Open connections go on. */
  drain(): void {
    void this.#listener?.close()
    this.#tunnel?.drain()
  }

  destroy(): void {
    void this.#listener?.close()
    this.#tunnel?.destroy()
    for (const socket of this.#sockets) socket.destroy()
  }

  #accept(socket: Socket): void {
    if (this.#sources !== undefined && !inCidrs(socket.remoteAddress ?? '', this.#sources)) {
      this.#host.context.refused(this.#mode, 'source-denied', this.#host.context.newReference())
      return void socket.resetAndDestroy()
    }
    if (!this.#host.entered(this.#mode)) {
      this.#host.context.refused(this.#mode, 'too-many-connections', this.#host.context.newReference())
      return void socket.resetAndDestroy()
    }
    this.#sockets.add(socket)
    socket.on('close', () => {
      this.#sockets.delete(socket)
      this.#host.left(this.#mode)
    })
    if (this.#tls !== undefined) this.#tls.accept(socket)
    else this.#serve(socket, undefined)
  }

  #serve(socket: Socket, peer: PeerCertificate | undefined): void {
    switch (this.config.type) {
      case 'tunnel':
        return this.#tunnel?.serve(socket, peer)
      case 'http':
        return this.#http?.serve(socket, peer && { kind: 'certificate', name: peer.identity })
      case 'socks':
        return this.#serveSocks(socket)
      case 'mixed':
        return this.#peek(socket)
    }
  }

  #serveSocks(socket: Socket): void {
    serveSocks(socket, this.#host.context, this.#mode === 'tunnel-client' ? 'tunnel-client' : 'socks-proxy')
  }

  /** SOCKS or HTTP, by the first byte (RFC 1928 section 3 against a method name). */
  #peek(socket: Socket): void {
    const { context } = this.#host
    const timer = setTimeout(() => {
      context.refused(this.#mode, 'handshake-timeout', context.newReference())
      socket.destroy()
    }, context.limits.handshakeMs).unref()
    const gone = (): void => {
      clearTimeout(timer)
      socket.destroy()
    }
    socket.once('end', gone)
    socket.once('close', gone)
    socket.once('data', (first: Buffer) => {
      clearTimeout(timer)
      socket.off('end', gone)
      socket.off('close', gone)
      socket.pause()
      socket.unshift(first)
      if (SOCKS_FIRST_BYTES.has(first[0] ?? 0)) this.#serveSocks(socket)
      else this.#http?.serve(socket)
    })
  }
}

