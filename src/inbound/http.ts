// Inbound for HTTP/1.1 proxy clients, on TCP or on TLS. Node's llhttp reads the requests; this file authorizes
// the credentials and makes a ProxyRequest of CONNECT and of absolute-form. Rules: a head has a deadline, what
// comes early after CONNECT is kept, and every refusal is a status with a short body.
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { ERROR_ANSWERS, GatewayError, toGatewayError, type ErrorCode } from '../errors.ts'
import { fieldValues, parseBasicCredentials } from '../protocol/http/fields.ts'
import { parseAbsoluteTarget, parseAuthority } from '../protocol/http/target.ts'
import type { Identity, Mode, ProxyRequest } from '../protocol/request.ts'
import { refusalBody, refusalHeaders, type InboundContext } from './context.ts'
import { answerRefusal, startExchange } from './forward.ts'

export type HttpMode = Extract<Mode, 'http-proxy' | 'https-proxy' | 'tunnel-client'>

interface Connection {
  readonly identity: Identity | undefined
  readonly gone: AbortController
  deadline: NodeJS.Timeout | undefined
  /** Requests that have no complete answer yet. */
  active: number
}

export class HttpInbound {
  #context: InboundContext
  #mode: HttpMode
  #server: http.Server
  #connections = new WeakMap<Duplex, Connection>()

  constructor(context: InboundContext, mode: HttpMode) {
    this.#context = context
    this.#mode = mode
    const { headBytes, keepAliveMs } = context.limits
    // Head deadlines are ours: Node checks its own only on servers that listen themselves.
    this.#server = http.createServer({ maxHeaderSize: headBytes, keepAliveTimeout: keepAliveMs, requestTimeout: 0 })
    this.#server.on('connect', (request, socket, head) => void this.#connect(request, socket, head))
    this.#server.on('request', (request, response) => void this.#forward(request, response))
    this.#server.on('checkContinue', (request, response) => void this.#forward(request, response))
    this.#server.on('clientError', (error, socket) => this.#clientError(error, socket))
  }

  /** Serves one connection. `identity` is what its TLS handshake proved, if anything. */
  serve(socket: Socket, identity?: Identity): void {
    const connection: Connection = { identity, gone: new AbortController(), deadline: undefined, active: 0 }
    this.#connections.set(socket, connection)
    socket.on('close', () => {
      clearTimeout(connection.deadline)
      connection.gone.abort()
    })
    this.#awaitHead(socket, this.#context.limits.handshakeMs)
    this.#server.emit('connection', socket)
    // A socket that was paused to peek at it stays so, whatever Node's server attaches.
    socket.resume()
  }

  #awaitHead(socket: Duplex, withinMs: number): void {
    const connection = this.#connections.get(socket)
    if (connection === undefined) return
    clearTimeout(connection.deadline)
    connection.deadline = setTimeout(() => this.#end(socket, 'handshake-timeout'), withinMs).unref()
  }

  #headArrived(socket: Duplex): Connection {
    const connection = this.#connections.get(socket)
    if (connection === undefined) throw new GatewayError('internal-error')
    clearTimeout(connection.deadline)
    return connection
  }

  #clientError(error: NodeJS.ErrnoException, socket: Duplex): void {
    if (error.code === 'ECONNRESET' || socket.destroyed) return void socket.destroy()
    const code: ErrorCode = error.code === 'HPE_HEADER_OVERFLOW' ? 'head-too-large' : 'bad-request'
    this.#end(socket, code)
  }

  /** Refuses on the bare socket, where there is no response object (any more). */
  #end(socket: Duplex, code: ErrorCode, reference = this.#refused(code)): void {
    if (!socket.writable) return void socket.destroy()
    const body = refusalBody({ code }, reference)
    const fields = Object.entries(refusalHeaders(code, reference)).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.end(
      `HTTP/1.1 ${ERROR_ANSWERS[code].http} ${http.STATUS_CODES[ERROR_ANSWERS[code].http] ?? 'Refused'}\r\n` +
        `${fields.join('')}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
      () => socket.destroy(),
    )
  }

  #refused(code: ErrorCode): string {
    const reference = this.#context.newReference()
    this.#context.refused(this.#mode, code, reference)
    return reference
  }

  /** Who asks: the certificate of the connection or the password in the request. Errors: `auth-*`. */
  async #authorize(request: IncomingMessage, connection: Connection): Promise<Identity | undefined> {
    if (!this.#context.requiresPassword) return connection.identity
    const [value, ...more] = fieldValues(request.rawHeaders, 'proxy-authorization')
    if (value === undefined) throw new GatewayError('auth-required', { side: 'client' })
    const credentials = more.length > 0 ? undefined : parseBasicCredentials(value)
    const identity = credentials && (await this.#context.authenticate(credentials.name, credentials.password))
    if (identity === undefined) throw new GatewayError('auth-failed', { side: 'client' })
    return identity
  }

  #request(
    request: IncomingMessage,
    connection: Connection,
    destination: ProxyRequest['destination'],
    identity: Identity | undefined,
  ): Pick<ProxyRequest, 'mode' | 'destination' | 'identity' | 'sentCredential' | 'signal'> {
    const sentCredential =
      connection.identity !== undefined || fieldValues(request.rawHeaders, 'proxy-authorization').length > 0
    return { mode: this.#mode, destination, identity, sentCredential, signal: connection.gone.signal }
  }

  async #connect(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const connection = this.#headArrived(socket)
    if (head.length > 0) socket.unshift(head)
    try {
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

  async #forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const connection = this.#headArrived(request.socket)
    connection.active += 1
    response.on('finish', () => {
      connection.active -= 1
      if (connection.active === 0) this.#awaitHead(request.socket, this.#context.limits.keepAliveMs)
    })
    try {
      if (fieldValues(request.rawHeaders, 'host').length > 1) throw new GatewayError('bad-request', { side: 'client' })
      if (request.url?.startsWith('/') === true) throw new GatewayError('not-found', { side: 'client' })
      const target = parseAbsoluteTarget(request.url ?? '', request.method ?? 'GET')
      const identity = await this.#authorize(request, connection)
      const gone = new AbortController()
      response.on('close', () => gone.abort())
      await this.#context.serve({
        ...this.#request(request, connection, target.destination, identity),
        signal: gone.signal,
        confirm: () => startExchange(request, response, target, (code) => answerRefusal(response, code, this.#refused(code))),
        refuse: (error, reference) => answerRefusal(response, error.code, reference),
      })
    } catch (thrown) {
      const { code } = toGatewayError(thrown, 'client')
      answerRefusal(response, code, this.#refused(code))
    }
  }
}
