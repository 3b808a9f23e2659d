// Inbound for tunnel clients: a judged TLS connection upgrades to WebSocket (RFC 6455) and every stream that
// its mux session opens becomes a ProxyRequest. Rule: a session lives no longer than its certificate is good, and no
// stream starts on one whose certificate is not.
import http, { type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { ERROR_ANSWERS, type ErrorCode, type GatewayError } from '../errors.ts'
import type { ClientIdentity } from '../pki/judge.ts'
import { TokenBucket } from '../policy/token-bucket.ts'
import { SESSION_HEADER, SUBPROTOCOL, TUNNEL_PATH } from '../protocol/mux/frame.ts'
import type { MuxStream } from '../protocol/mux/stream.ts'
import type { BoundAddress, Identity, ProxyRequest } from '../protocol/request.ts'
import { closed } from '../transport/closed.ts'
import { StreamSocket } from '../transport/stream-socket.ts'
import { TunnelConnection, WEBSOCKET_LIMITS } from '../transport/tunnel-connection.ts'
import { refusalBody, refusalHeaders, type InboundContext } from './context.ts'
import type { JudgedPeers } from './judged-peers.ts'
import { tunnelAssociation } from './tunnel-udp.ts'

const OVER_CHECK_MS = 2_000

/** What one session makes the pipeline do. */
interface Load {
  /** Requests that are not over. */
  served: number
  /** Streams that may be reset before they are answered: each has cost a dial. */
  readonly givenUp: TokenBucket
}

const GIVEN_UP_PER_SECOND = 100
const GIVEN_UP_AT_ONCE = 1_000

export interface TunnelInboundEvents {
  /** Takes a place among the sessions of an identity, or says why there is none. */
  sessionEntered(identity: Identity | undefined): ErrorCode | undefined | Promise<ErrorCode | undefined>
  /** Gives it back. */
  sessionLeft(identity: Identity | undefined): void
  sessionOpened(identity: Identity | undefined): void
  sessionClosed(code: ErrorCode): void
  newSessionId(): string
}

export class TunnelInbound {
  #context: InboundContext
  #events: TunnelInboundEvents
  #http: http.Server
  #webSockets: WebSocketServer
  #peers = new WeakMap<Duplex, ClientIdentity>()
  #deadlines = new WeakMap<Duplex, NodeJS.Timeout>()
  #sessions = new Map<TunnelConnection, Duplex>()
  #judged: JudgedPeers
  #stage: 'serving' | 'leaving' | 'draining' = 'serving'
  #overCheck: NodeJS.Timeout | undefined

  constructor(context: InboundContext, events: TunnelInboundEvents, judged: JudgedPeers) {
    this.#context = context
    this.#events = events
    this.#judged = judged
    this.#http = http.createServer({ maxHeaderSize: context.limits.headBytes, requestTimeout: 0 })
    this.#webSockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      ...WEBSOCKET_LIMITS,
      skipUTF8Validation: true,
      handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    })
    this.#webSockets.on('headers', (headers) => headers.push(`${SESSION_HEADER}: ${events.newSessionId()}`))
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    this.#http.on('request', (request, response) => {
      const code = request.url === TUNNEL_PATH ? 'upgrade-required' : 'not-found'
      const reference = this.#refused(code)
      response.writeHead(ERROR_ANSWERS[code].http, {
        ...refusalHeaders(code, reference),
        upgrade: 'websocket',
        connection: 'close, upgrade',
      })
      response.end(refusalBody({ code }, reference))
    })
    this.#http.on('clientError', (_error, socket) => {
      this.#refused('bad-request')
      socket.end(
        'HTTP/1.1 400 Bad Request\r\nsightline-error: bad-request\r\nconnection: close\r\n\r\n',
        () => socket.destroy(),
      )
    })
  }

  get sessionCount(): number {
    return this.#sessions.size
  }

  serve(socket: Socket, peer: ClientIdentity | undefined): void {
    if (peer !== undefined) this.#peers.set(socket, peer)
    const deadline = setTimeout(() => {
      this.#refused('handshake-timeout')
      socket.destroy()
    }, this.#context.limits.handshakeMs).unref()
    this.#deadlines.set(socket, deadline)
    socket.on('close', () => clearTimeout(deadline))
    this.#http.emit('connection', socket)
  }

  /** Another inbound has taken this one's place: sessions are sent there, late ones once they stand. */
  leave(): void {
    if (this.#stage === 'serving') this.#stage = 'leaving'
    this.#sendElsewhere()
  }

  #sendElsewhere(): void {
    for (const { session } of this.#sessions.keys()) if (!session.draining) session.goaway('shutting-down')
    this.#overCheck ??= setInterval(() => this.#endOver(), OVER_CHECK_MS).unref()
  }

  /** Clients end them themselves, or should. */
  #endOver(): void {
    for (const connection of this.#sessions.keys()) {
      if (connection.session.streamCount === 0) connection.destroy('shutting-down')
    }
  }

  /** Takes no new sessions and no new streams; the streams that are open go on. */
  drain(): void {
    this.#stage = 'draining'
    this.#sendElsewhere()
    // What the last stream brought is with the client only when that has closed the connection.
    for (const [{ session }, socket] of this.#sessions)
      if (session.streamCount > 0) this.#context.underWay(closed(socket))
  }

  destroy(): void {
    clearInterval(this.#overCheck)
    for (const connection of this.#sessions.keys()) connection.destroy('shutting-down')
  }

  #refused(code: ErrorCode): string {
    const reference = this.#context.newReference()
    this.#context.refused('tunnel', code, reference)
    return reference
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    clearTimeout(this.#deadlines.get(socket))
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())
    const draining = this.#stage === 'draining'
    if (request.url !== TUNNEL_PATH || !offered.includes(SUBPROTOCOL) || draining) {
      const code = draining ? 'shutting-down' : request.url === TUNNEL_PATH ? 'upgrade-required' : 'not-found'
      return this.#refuseUpgrade(socket, code)
    }
    const peer = this.#peers.get(socket)
    const identity: Identity | undefined = peer && { kind: 'certificate', name: peer.identity }
    const full = this.#events.sessionEntered(identity)
    const enter = (code: ErrorCode | undefined): void => {
      if (code !== undefined) return this.#refuseUpgrade(socket, code)
      if (this.#stage === 'draining') {
        this.#events.sessionLeft(identity)
        return this.#refuseUpgrade(socket, 'shutting-down')
      }
      this.#open({ request, socket, head }, peer, identity)
    }
    if (full instanceof Promise) void full.then(enter)
    else enter(full)
  }

  /** For who has a place among the sessions of its identity. */
  #open(
    { request, socket, head }: { request: IncomingMessage; socket: Duplex; head: Buffer },
    peer: ClientIdentity | undefined,
    identity: Identity | undefined,
  ): void {
    let opened = false
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      opened = true
      const load: Load = {
        served: 0,
        givenUp: new TokenBucket(GIVEN_UP_PER_SECOND, performance.now(), GIVEN_UP_AT_ONCE),
      }
      const connection = new TunnelConnection(
        webSocket,
        socket as Socket,
        { role: 'gateway', maxStreams: this.#context.limits.streamsPerTunnel },
        {
          open: (stream) => this.#serveStream({ connection, peer, load }, stream),
          refused: (code) => this.#refused(code),
          closed: (error) => {
            this.#sessions.delete(connection)
            this.#judged.left(connection)
            this.#events.sessionClosed(error.code)
            this.#events.sessionLeft(identity)
          },
        },
      )
      this.#sessions.set(connection, socket)
      if (peer !== undefined) {
        this.#judged.entered(connection, peer, (code) => {
          this.#refused(code)
          connection.destroy(code)
        })
      }
      this.#events.sessionOpened(identity)
      this.#context.handshaken('tunnel', socket)
      if (this.#stage === 'leaving') connection.session.goaway('shutting-down')
    })
    if (!opened) this.#events.sessionLeft(identity)
  }

  #refuseUpgrade(socket: Duplex, code: ErrorCode): void {
    const reference = this.#refused(code)
    const body = refusalBody({ code }, reference)
    const answer = `HTTP/1.1 ${ERROR_ANSWERS[code].http} Refused\r\nsightline-error: ${code}\r\n`
    socket.end(
      `${answer}sightline-reference: ${reference}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
    )
  }

  #serveStream(
    {
      connection,
      peer,
      load,
    }: { connection: TunnelConnection; peer: ClientIdentity | undefined; load: Load },
    stream: MuxStream,
  ): void {
    const { session } = connection
    const problem = peer && this.#judged.problemOf(peer)
    if (problem !== undefined) return session.refuse(stream, problem, this.#refused(problem))
    // A stream that was opened and reset at once is over for the session, but not yet for what was begun for it.
    if (load.served >= session.maxStreams)
      return session.refuse(stream, 'too-many-streams', this.#refused('too-many-streams'))
    load.served += 1
    const over = (): void => void (load.served -= 1)
    const identity: Identity | undefined = peer && { kind: 'certificate', name: peer.identity }
    if (stream.kind === 'udp')
      return void this.#context.associate(tunnelAssociation(session, stream, identity)).then(over)
    const gone = new AbortController()
    const socket = new StreamSocket(stream)
    socket.on('error', () => {})
    const onClose = (): void => {
      gone.abort()
      if (connection.closed || load.givenUp.take(performance.now())) return
      this.#refused('rate-limited')
      connection.destroy('rate-limited')
    }
    socket.on('close', onClose)
    const request: ProxyRequest = {
      mode: 'tunnel',
      destination: stream.destination,
      identity,
      sentCredential: identity !== undefined,
      signal: gone.signal,
      confirm: (bound: BoundAddress) => {
        socket.off('close', onClose)
        session.accept(stream, bound)
        return socket
      },
      refuse: (error: GatewayError, reference: string) => {
        socket.off('close', onClose)
        session.refuse(stream, error.code, reference)
        socket.destroy()
      },
    }
    void this.#context.serve(request).then(over)
  }
}
