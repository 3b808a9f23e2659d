// Inbound for HTTP/1.1 proxy clients, on TCP or on TLS. Node's llhttp reads the requests; this file authorizes
// the credentials and makes a ProxyRequest of CONNECT and of absolute-form. Rules: a head has a deadline, what
// comes early after CONNECT is kept, and every refusal is a status with a short body.
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { ERROR_ANSWERS, GatewayError, toGatewayError, type ErrorCode } from '../errors.ts'
import { fieldValues } from '../protocol/http/fields.ts'
import { endsHere } from '../protocol/http/max-forwards.ts'
import { parseAbsoluteTarget, parseAuthority } from '../protocol/http/target.ts'
import type { Identity, Mode, ProxyRequest } from '../protocol/request.ts'
import { closed } from '../transport/closed.ts'
import { spreadMs } from '../transport/deadline.ts'
import { linkedPair } from '../transport/linked-pair.ts'
import { sourceOf } from '../transport/source.ts'
import { refusalBody, refusalHeaders, type InboundContext } from './context.ts'
import { answerRefusal, exchange, hasBody } from './forward.ts'
import { authorizeHttp, type ProvenClient } from './http-authorize.ts'
import { OriginPool } from './origin-pool.ts'
import { answerSettings } from './settings.ts'

/** Node keeps a thousand parsers of 10 KiB for the next connections, and so for good. */
http.setMaxIdleHTTPParsers(64)

export type HttpMode = Extract<Mode, 'http-proxy' | 'https-proxy' | 'tunnel-client'>

interface Connection {
  readonly client: ProvenClient | undefined
  readonly gone: AbortController
  deadline: NodeJS.Timeout | undefined
  /** It has asked for something. */
  asked: boolean
  /** Requests that have no complete answer yet. */
  active: number
  /** Origin connections that its absolute-form requests share. */
  origins: OriginPool | undefined
}

/** Why a request is given up. Without a reason Node makes an exception with a stack for each. */
const GONE = 'the client has gone'
/** How long a refused client has to read why. */
const LINGER_MS = 1_000

export class HttpInbound {
  #context: InboundContext
  #mode: HttpMode
  #server: http.Server
  #connections = new WeakMap<Duplex, Connection>()
  #origins = new Set<OriginPool>()
  /** Connections that have had an answer and may bring another request. */
  #idle = new Set<Duplex>()
  #stage: 'serving' | 'leaving' | 'draining' = 'serving'

  constructor(context: InboundContext, mode: HttpMode) {
    this.#context = context
    this.#mode = mode
    const { headBytes, keepAliveMs } = context.limits
    // Head deadlines are ours: Node checks its own only on servers that listen themselves.
    this.#server = http.createServer({
      maxHeaderSize: headBytes,
      keepAliveTimeout: keepAliveMs,
      requestTimeout: 0,
      // Missing, it is refused like all else: counted, and with a reference.
      requireHostHeader: false,
      shouldUpgradeCallback: (request) => isWebSocketUpgrade(request),
    })
    this.#server.on('connect', (request, socket, head) => void this.#connect(request, socket, head))
    this.#server.on('request', (request, response) => void this.#forward(request, response))
    this.#server.on('checkContinue', (request, response) => void this.#forward(request, response))
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket as Socket, head))
    this.#server.on('clientError', (error, socket) => this.#clientError(error, socket))
  }

  /** Serves one connection. `client` is what its TLS handshake proved, if anything. */
  serve(socket: Duplex, client?: ProvenClient): void {
    const connection: Connection = {
      client,
      gone: new AbortController(),
      deadline: undefined,
      asked: false,
      active: 0,
      origins: undefined,
    }
    this.#connections.set(socket, connection)
    socket.on('close', () => {
      clearTimeout(connection.deadline)
      this.#idle.delete(socket)
      connection.gone.abort(GONE)
      connection.origins?.close()
      if (connection.origins !== undefined) this.#origins.delete(connection.origins)
    })
    this.#awaitHead(socket, this.#context.limits.handshakeMs)
    this.#server.emit('connection', socket)
    // A socket that was paused to peek at it stays so, whatever Node's server attaches.
    socket.resume()
  }

  /** From here on each answer is the last of its connection, so that clients connect elsewhere. */
  leave(): void {
    if (this.#stage === 'serving') this.#stage = 'leaving'
  }

  /** Ends the connections, on both sides, that wait for another request; the others end with their answer. */
  drain(): void {
    this.#stage = 'draining'
    for (const origins of this.#origins) origins.close()
    for (const socket of this.#idle) socket.destroy()
  }

  #awaitHead(socket: Duplex, withinMs: number): void {
    const connection = this.#connections.get(socket)
    if (connection === undefined) return
    clearTimeout(connection.deadline)
    connection.deadline = setTimeout(() => this.#end(socket, 'handshake-timeout'), spreadMs(withinMs)).unref()
  }

  #answered(socket: Duplex): void {
    if (this.#stage === 'draining') return void socket.destroy()
    if (!socket.destroyed) this.#idle.add(socket)
    this.#awaitHead(socket, this.#context.limits.keepAliveMs)
  }

  #headArrived(socket: Duplex): Connection {
    const connection = this.#connections.get(socket)
    if (connection === undefined) throw new GatewayError('internal-error')
    clearTimeout(connection.deadline)
    this.#idle.delete(socket)
    if (!connection.asked) this.#context.handshaken(this.#mode, socket)
    connection.asked = true
    return connection
  }

  #clientError(error: NodeJS.ErrnoException, socket: Duplex): void {
    if (error.code === 'ECONNRESET' || socket.destroyed) return void socket.destroy()
    // What comes behind a refusal is not looked at any more.
    if (socket.writableEnded) return
    const code: ErrorCode = error.code === 'HPE_HEADER_OVERFLOW' ? 'head-too-large' : 'bad-request'
    this.#end(socket, code)
  }

  /** Refuses on the bare socket, where there is no response object (any more). */
  #end(socket: Duplex, code: ErrorCode, reference = this.#refused(code)): void {
    if (!socket.writable) return void socket.destroy()
    const body = refusalBody({ code }, reference)
    const fields = Object.entries(refusalHeaders(code, reference)).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    )
    socket.end(
      `HTTP/1.1 ${ERROR_ANSWERS[code].http} ${http.STATUS_CODES[ERROR_ANSWERS[code].http] ?? 'Refused'}\r\n` +
        `${fields.join('')}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    )
    // A close while the client's bytes are unread would be a reset, which can overtake the answer.
    const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref()
    socket.once('close', () => clearTimeout(timer))
    socket.once('end', () => socket.destroy())
    socket.removeAllListeners('data')
    socket.resume()
  }

  #refused(code: ErrorCode): string {
    const reference = this.#context.newReference()
    this.#context.refused(this.#mode, code, reference)
    return reference
  }

  /** Who asks: the certificate of the connection or the password in the request. Errors: `auth-*`. */
  #authorize(request: IncomingMessage, connection: Connection): Promise<Identity | undefined> {
    const [value, ...more] = fieldValues(request.rawHeaders, 'proxy-authorization')
    if (more.length > 0) throw new GatewayError('bad-request', { side: 'client' })
    return authorizeHttp(this.#context, value, connection.client, sourceOf(request.socket))
  }

  #request(
    request: IncomingMessage,
    connection: Connection,
    destination: ProxyRequest['destination'],
    identity: Identity | undefined,
  ): Pick<ProxyRequest, 'mode' | 'destination' | 'identity' | 'sentCredential' | 'signal'> {
    const sentCredential =
      connection.client !== undefined || fieldValues(request.rawHeaders, 'proxy-authorization').length > 0
    return { mode: this.#mode, destination, identity, sentCredential, signal: connection.gone.signal }
  }

  async #connect(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const connection = this.#headArrived(socket)
    if (head.length > 0) socket.unshift(head)
    try {
      checkHead(request)
      const destination = parseAuthority(request.url ?? '')
      const identity = await this.#authorize(request, connection)
      if (socket.destroyed) return
      await this.#context.serve({
        ...this.#request(request, connection, destination, identity),
        confirm: () => {
          socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
          return socket
        },
        refuse: (error, reference) => this.#end(socket, error.code, reference),
      })
    } catch (thrown) {
      this.#end(socket, toGatewayError(thrown, 'client').code)
    }
  }

  async #forward(request: IncomingMessage, response: ServerResponse, upgrade = false): Promise<void> {
    const connection = this.#headArrived(request.socket)
    connection.active += 1
    if (this.#stage !== 'serving') response.shouldKeepAlive = false
    this.#context.underWay(closed(response))
    response.on('finish', () => {
      connection.active -= 1
      if (connection.active === 0) this.#answered(request.socket)
    })
    try {
      checkHead(request)
      if (request.url?.startsWith('/') === true) return this.#ofItself(request, response, upgrade)
      const target = parseAbsoluteTarget(request.url ?? '', request.method ?? 'GET')
      const identity = await this.#authorize(request, connection)
      if (endsHere(request.method ?? 'GET', request.rawHeaders)) return this.#endHere(request, response)
      const gone = new AbortController()
      response.on('close', () => gone.abort(GONE))
      const asked = {
        ...this.#request(request, connection, target.destination, identity),
        signal: gone.signal,
      }
      const { host, port } = target.destination
      exchange(request, response, target, {
        pool: this.#originsOf(connection),
        key: `${identity?.name ?? ''} ${host.toLowerCase()} ${port}`,
        upgrade,
        again: () => this.#context.again(asked),
        failed: (code) => answerRefusal(response, code, this.#refused(code)),
        open: (opened) =>
          void this.#context.serve({
            ...asked,
            confirm: () => {
              const [near, far] = linkedPair()
              opened(null, near)
              return far
            },
            refuse: (error, reference) => {
              answerRefusal(response, error.code, reference)
              opened(error)
            },
          }),
      })
    } catch (thrown) {
      const { code } = toGatewayError(thrown, 'client')
      answerRefusal(response, code, this.#refused(code))
    }
  }

  /** Asked for itself: the settings that lead here, and nothing else. Throws `not-found`. */
  #ofItself(request: IncomingMessage, response: ServerResponse, upgrade: boolean): void {
    const { method = '', url: path = '', rawHeaders } = request
    const bare = !upgrade && !hasBody(request) && fieldValues(rawHeaders, 'expect').length === 0
    const [host] = fieldValues(rawHeaders, 'host')
    const answer = bare ? answerSettings({ method, path, host }, () => this.#context.settings()) : undefined
    if (answer === undefined) throw new GatewayError('not-found', { side: 'client' })
    response.writeHead(200, answer.headers)
    response.end(method === 'HEAD' ? undefined : answer.body)
  }

  /** Max-Forwards is used up: OPTIONS says that this proxy is there, TRACE would say what the request held. */
  #endHere(request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== 'OPTIONS') throw new GatewayError('command-unsupported', { side: 'client' })
    request.resume()
    response.writeHead(200, { 'content-length': '0' })
    response.end()
  }

  #originsOf(connection: Connection): OriginPool {
    if (connection.origins === undefined) {
      connection.origins = new OriginPool()
      this.#origins.add(connection.origins)
    }
    return connection.origins
  }

  /** WebSocket through the proxy: an exchange like any other, until the origin answers 101. */
  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    if (head.length > 0) socket.unshift(head)
    const response = new http.ServerResponse(request)
    response.shouldKeepAlive = false
    response.assignSocket(socket)
    response.on('finish', () => socket.destroySoon())
    void this.#forward(request, response, true)
  }
}

/** Others (h2c, or with a body) are not offered to the origin: then the field concerns this hop alone. */
function isWebSocketUpgrade(request: IncomingMessage): boolean {
  const { upgrade, 'content-length': length, 'transfer-encoding': coding } = request.headers
  return (
    request.method === 'GET' &&
    upgrade?.toLowerCase() === 'websocket' &&
    length === undefined &&
    coding === undefined
  )
}

/**
 * What llhttp lets pass: a version that is not HTTP/1 (RFC 9110 section 2.5), two Host fields, or none in HTTP/1.1 (RFC
 * 9112 section 3.2). CONNECT without one is too usual to refuse. Errors: `bad-request`.
 */
function checkHead({ httpVersion, method, rawHeaders }: IncomingMessage): void {
  const hosts = fieldValues(rawHeaders, 'host').length
  const mayBeWithout = httpVersion === '1.0' || method === 'CONNECT'
  const isSpoken = httpVersion === '1.1' || httpVersion === '1.0'
  if (!isSpoken || hosts > 1 || (hosts === 0 && !mayBeWithout))
    throw new GatewayError('bad-request', { side: 'client' })
}
