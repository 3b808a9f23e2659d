// Opens one inbound of the config: a TCP listener, TLS where it is asked for, and the protocol on top. This is
// the only place that knows which inbound type is which class.
import { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import os from 'node:os'
import { TLSSocket } from 'node:tls'
import type { InboundConfig } from '../config/schema.ts'
import { inCidrs, parseCidr, parseListenAddress, type Cidr } from '../config/address.ts'
import { GatewayError, type ErrorCode } from '../errors.ts'
import type { ClientIdentity } from '../pki/judge.ts'
import type { BoundAddress, Mode } from '../protocol/request.ts'
import { abort } from '../transport/abort.ts'
import { listenTcp, type Listener } from '../transport/listener.ts'
import { readProxyHeader } from '../transport/proxy-header.ts'
import { setSource } from '../transport/source.ts'
import { TlsServer, type ServerCredentials } from '../transport/tls-server.ts'
import type { InboundContext } from './context.ts'
import type { ProvenClient } from './http-authorize.ts'
import { HttpInbound } from './http.ts'
import { Http2Inbound } from './http2.ts'
import { JudgedPeers } from './judged-peers.ts'
import type { ListenerFacts } from './settings-facts.ts'
import { serveSocks } from './socks.ts'
import { TunnelInbound, type TunnelInboundEvents } from './tunnel.ts'
import { TurnAway } from './turn-away.ts'

export interface InboundHost extends TunnelInboundEvents {
  readonly context: InboundContext
  /**
   * Takes a place among all connections and, where it is known already, among those of a source; or says why there is none.
   * Both are given back by `left`.
   */
  entered(mode: Mode, source: string | undefined): ErrorCode | undefined | Promise<ErrorCode | undefined>
  /** Takes a place among those of one source, for who has one among all. */
  enteredFrom(source: string): ErrorCode | undefined | Promise<ErrorCode | undefined>
  /** Gives back a place among those of a source alone. */
  leftSource(source: string): void
  /** `source` only where a place was taken for it. */
  left(mode: Mode, source: string | undefined): void
  /** Of all processes that listen at the same address; undefined where it is one. */
  ticketKeys(config: InboundConfig): Buffer | undefined
  /** The lab's: key log lines, and a tunnel without TLS to show what then is seen. `serve` sets neither. */
  readonly onKeylog?: ((line: Buffer) => void) | undefined
  /** The lab's: an older version, to show what it shows. */
  readonly tlsVersion?: 'TLSv1.2' | undefined
}

/** A connection's place among all, and in the count of its source, once it has one. */
interface Place {
  taken: boolean
  source: string | undefined
  readonly acceptedMs: number
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
  #balancers: readonly Cidr[]
  #turnAway: TurnAway
  #http: HttpInbound | undefined
  #http2: Http2Inbound | undefined
  #tunnel: TunnelInbound | undefined
  #tls: TlsServer | undefined
  #certificate: X509Certificate | undefined
  #listener: Listener | undefined
  #sockets = new Set<Socket>()
  #judged = new JudgedPeers((peer) => this.#tls?.judgeAgain(peer))
  /** Its listener is another inbound's now, or closed: told when its last connection has ended. */
  #retired: (() => void) | undefined

  constructor(
    config: InboundConfig,
    mode: Mode,
    credentials: ServerCredentials | undefined,
    host: InboundHost,
  ) {
    this.config = config
    this.#mode = mode
    this.#host = host
    this.#sources = config.auth?.sources && parseCidrs(config.auth.sources)
    this.#balancers = parseCidrs(config.proxyProtocol ?? [])
    this.#turnAway = new TurnAway(credentials === undefined && config.type !== 'tunnel' ? config.type : 'tls')
    if (config.type === 'tunnel') this.#tunnel = new TunnelInbound(host.context, host, this.#judged)
    if (config.type === 'http' || config.type === 'mixed') {
      this.#http = new HttpInbound(
        host.context,
        mode === 'https-proxy' || mode === 'tunnel-client' ? mode : 'http-proxy',
      )
    }
    if (config.type === 'http' && credentials !== undefined) {
      this.#http2 = new Http2Inbound({
        context: host.context,
        serveHttp1: (connection, client) => this.#http?.serve(connection, client),
      })
    }
    if (credentials !== undefined) {
      this.#certificate = readCertificate(credentials.certificate)
      this.#tls = new TlsServer({
        credentials,
        handshakeMs: host.context.limits.handshakeMs,
        alpn: config.type === 'http' ? ['h2', 'http/1.1'] : ['http/1.1'],
        certificateOptional: config.tls?.clientCertificate === 'optional',
        sessionTickets: config.tls?.sessionTickets !== false,
        ticketKeys: host.ticketKeys(config),
        newReference: () => host.context.newReference(),
        refused: (code, reference) => host.context.refused(mode, code, reference),
        secured: (socket, peer) => this.#serve(socket, peer),
        ...(host.onKeylog && { onKeylog: host.onKeylog }),
        version: config.type === 'tunnel' ? host.tlsVersion : undefined,
      })
    }
  }

  get address(): BoundAddress {
    if (this.#listener === undefined) throw new GatewayError('internal-error')
    return this.#listener.address
  }

  /** What clients may know of it; undefined before it listens, and for a tunnel. */
  get facts(): ListenerFacts | undefined {
    const { type, tls, auth } = this.config
    if (type === 'tunnel' || this.#listener === undefined) return undefined
    return {
      type,
      secure: this.#tls !== undefined,
      needsPassword: auth?.users !== undefined,
      needsCertificate: tls?.clientAuthority !== undefined && tls.clientCertificate === 'required',
      ...this.#listener.address,
    }
  }

  /** True for a DNS name that stands for it: this machine's, and those of its certificate. */
  ownsName(name: string): boolean {
    return name === os.hostname().toLowerCase() || this.#certificate?.checkHost(name) !== undefined
  }

  async listen(): Promise<void> {
    const where = parseListenAddress(this.config.listen)
    if (where === undefined)
      throw new GatewayError('config-invalid', { detail: `${this.config.listen} is no address` })
    this.#listener = await listenTcp(where, (socket) => this.#accept(socket))
  }

  /** Accepts on the socket of another inbound from now on, whose open connections stay its own. */
  takeListener(from: Inbound): void {
    this.#listener = from.#listener
    from.#listener = undefined
    this.#listener?.handTo((socket) => this.#accept(socket))
  }

  /** For good: open connections go on, tunnels are sent elsewhere. `gone` when the last one has ended. */
  retire(gone: () => void): void {
    void this.#listener?.close()
    this.leave()
    this.#tunnel?.leave()
    this.#http2?.drain()
    this.#retired = () => {
      this.#tunnel?.destroy()
      this.#judged.close()
      gone()
    }
    if (this.#sockets.size === 0) this.#retired()
  }

  /** Goes on accepting; HTTP answers say that their connection ends with them. */
  leave(): void {
    this.#http?.leave()
  }

  /** New connections use what is given here; those that are open are judged again by it. */
  reload(fresh: Partial<ServerCredentials>): void {
    this.#tls?.reload(fresh)
    if (fresh.certificate !== undefined) this.#certificate = readCertificate(fresh.certificate)
    this.#judged.judgeAgain()
  }

  /** Its revocation list cannot be read: nobody new is let in until `reload` brings one that can. */
  distrust(): void {
    this.#tls?.distrust()
  }

  /** What TLS shows and judges by now; undefined on a listener without. */
  get credentials(): ServerCredentials | undefined {
    return this.#tls?.credentials
  }

  /** Stops accepting, and tells tunnel clients to go elsewhere. Open connections go on. */
  drain(): void {
    void this.#listener?.close()
    this.#tunnel?.drain()
    this.#http?.drain()
    this.#http2?.drain()
  }

  /** Ends the connections that are left when no request is: they wait for another one. */
  endIdle(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Ends everything at once. What is cut off is reset: a clean end would make half a file look whole. */
  destroy(): void {
    void this.#listener?.close()
    if (this.#tunnel === undefined) for (const socket of this.#sockets) abort(socket)
    // A tunnel says GOAWAY, which a reset would overtake; its client resets the streams itself.
    this.#tunnel?.destroy()
    this.#judged.close()
    this.endIdle()
  }

  #accept(socket: Socket): void {
    const address = socket.remoteAddress ?? ''
    const isBalancer = inCidrs(address, this.#balancers)
    if (!isBalancer && this.#isDenied(address)) return this.#deny(socket)
    const source = isBalancer ? undefined : address
    const place: Place = { taken: false, source, acceptedMs: performance.now() }
    this.#sockets.add(socket)
    socket.on('close', () => {
      if (place.taken) this.#host.left(this.#mode, place.source)
      this.#forget(socket)
    })
    const full = this.#host.entered(this.#mode, place.source)
    if (full instanceof Promise) void full.then((code) => this.#enter(socket, address, place, code))
    else this.#enter(socket, address, place, full)
  }

  #enter(socket: Socket, address: string, place: Place, full: ErrorCode | undefined): void {
    if (full !== undefined) {
      this.#forget(socket)
      return this.#refuse(socket, full)
    }
    // It may have left while somebody was asked.
    if (socket.closed) return this.#host.left(this.#mode, place.source)
    place.taken = true
    if (socket.destroyed) return
    if (place.source !== undefined) return this.#admit(socket, address, place)
    readProxyHeader(socket, this.#host.context.limits.handshakeMs, {
      read: (source = address) =>
        this.#isDenied(source) ? this.#deny(socket) : this.#enterFrom(socket, source, place),
      failed: (error) => this.#refuse(socket, error.code),
    })
  }

  #forget(socket: Socket): void {
    if (this.#sockets.delete(socket) && this.#sockets.size === 0) this.#retired?.()
  }

  /** A balancer has said who connects. */
  #enterFrom(socket: Socket, source: string, place: Place): void {
    const enter = (full: ErrorCode | undefined): void => {
      if (full !== undefined) return this.#refuse(socket, full)
      if (socket.closed) return this.#host.leftSource(source)
      place.source = source
      this.#admit(socket, source, place)
    }
    const full = this.#host.enteredFrom(source)
    if (full instanceof Promise) void full.then(enter)
    else enter(full)
  }

  /** From here on it is known who connects, through a balancer or not. */
  #admit(socket: Socket, source: string, place: Place): void {
    setSource(socket, source, place.acceptedMs)
    if (this.#tls !== undefined) this.#tls.accept(socket)
    else this.#serve(socket, undefined)
  }

  #isDenied(source: string): boolean {
    return this.#sources !== undefined && !inCidrs(source, this.#sources)
  }

  #deny(socket: Socket): void {
    this.#host.context.refused(this.#mode, 'source-denied', this.#host.context.newReference())
    socket.resetAndDestroy()
  }

  #refuse(socket: Socket, code: ErrorCode): void {
    const reference = this.#host.context.newReference()
    this.#host.context.refused(this.#mode, code, reference)
    this.#turnAway.refuse(socket, code, reference)
  }

  #serve(socket: Socket, peer: ClientIdentity | undefined): void {
    switch (this.config.type) {
      case 'tunnel':
        return this.#tunnel?.serve(socket, peer)
      case 'http':
        return this.#serveHttp(socket, peer)
      case 'socks':
        return this.#serveSocks(socket)
      case 'mixed':
        return this.#peek(socket)
    }
  }

  #serveHttp(socket: Socket, peer: ClientIdentity | undefined): void {
    const client: ProvenClient | undefined = peer && {
      identity: { kind: 'certificate', name: peer.identity },
      problem: () => this.#judged.problemOf(peer),
    }
    if (peer !== undefined) {
      this.#judged.entered(socket, peer, (code) => {
        this.#host.context.refused(this.#mode, code, this.#host.context.newReference())
        abort(socket)
      })
      socket.on('close', () => this.#judged.left(socket))
    }
    if (socket instanceof TLSSocket && socket.alpnProtocol === 'h2') this.#http2?.serve(socket, client)
    else this.#http?.serve(socket, client)
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
    // What stood behind a PROXY header was put back, and the socket paused.
    socket.resume()
  }
}

/** Its names, where they can be read; TLS itself says what is wrong with it. */
function readCertificate(certificate: string): X509Certificate | undefined {
  try {
    return new X509Certificate(certificate)
  } catch {
    return undefined
  }
}

function parseCidrs(texts: readonly string[]): Cidr[] {
  return texts.map(parseCidr).filter((range) => range !== undefined)
}
