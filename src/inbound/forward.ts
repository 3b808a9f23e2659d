// One absolute-form request: Node's HTTP client speaks to the near end of a pair, and the far end is what the
// pipeline relays to the origin. Rules: bodies stream in both directions, interim responses
// and trailers pass, and an answer that the origin cut off is cut off for the client too.
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { ERROR_ANSWERS, GatewayError, type ErrorCode } from '../errors.ts'
import { endToEndFields, endToEndTrailers, fieldValues } from '../protocol/http/fields.ts'
import { countForward } from '../protocol/http/max-forwards.ts'
import type { AbsoluteTarget } from '../protocol/http/target.ts'
import { abort } from '../transport/abort.ts'
import { splice } from '../transport/splice.ts'
import { refusalBody, refusalHeaders } from './context.ts'
import type { OpenOrigin, OriginPool, PooledOptions } from './origin-pool.ts'

/** Answers with one fixed refusal; what has gone out already is cut off instead. */
export function answerRefusal(response: ServerResponse, code: ErrorCode, reference: string): void {
  if (response.headersSent) return cutOff(response)
  const body = refusalBody({ code }, reference)
  response.sendDate = false
  // An unread body would be taken for the next request: the connection ends with the answer.
  const length = { 'content-length': String(Buffer.byteLength(body)) }
  response.writeHead(ERROR_ANSWERS[code].http, {
    ...refusalHeaders(code, reference),
    ...length,
    connection: 'close',
  })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

export interface ExchangeOptions {
  readonly pool: OriginPool
  /** Which origin connections of the pool this request may use. */
  readonly key: string
  /** Opens one through the pipeline, or answers the refusal itself and calls back with it. */
  readonly open: OpenOrigin
  /** Authorizes and counts a request on a connection that is open already. Throws what refuses it. */
  readonly again: () => void
  /** The origin did not answer as HTTP has it, or the gateway ended it before. */
  readonly failed: (code: ErrorCode) => void
  /** The client asks for WebSocket: after a 101 its bytes are the origin's. */
  readonly upgrade: boolean
}

/** Methods that may be sent twice (RFC 9110 section 9.2.2), if there is no body that would be lost. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** Sends the request on, and the answer back. Errors thrown: those of `again`. */
export function exchange(
  request: IncomingMessage,
  response: ServerResponse,
  target: AbsoluteTarget,
  options: ExchangeOptions,
): void {
  const { pool, key, open, failed } = options
  if (pool.hasIdle(key)) options.again()
  let refused = false
  const pooled: PooledOptions = {
    agent: pool,
    poolKey: key,
    open: (opened) =>
      open((error, near) => {
        refused = error !== null
        opened(error, near)
      }),
    method: request.method ?? 'GET',
    path: target.path,
    headers: requestFields(request, target, options.upgrade),
    setHost: false,
    setDefaultHeaders: false,
  }
  const outgoing = http.request(pooled)
  const sendsBody = hasBody(request)

  outgoing.on('continue', () => response.writeContinue())
  outgoing.on('information', (info) => {
    if (info.statusCode === 102) response.writeProcessing()
    else if (info.statusCode === 103)
      response.writeEarlyHints(info.headers as Record<string, string | string[]>)
  })
  let answer: IncomingMessage | undefined
  outgoing.on('response', (incoming) => {
    answer = incoming
    passResponse(incoming, response)
  })
  outgoing.on('upgrade', (incoming, near, head) => switchProtocols(incoming, near, head, request, response))
  outgoing.on('error', (error) => {
    // What the origin does behind a whole answer concerns its connection, not the answer (RFC 9112 section 6.3).
    if (refused || answer?.complete === true) return
    if (response.headersSent || request.socket.destroyed) return cutOff(response)
    // The origin may close a kept connection at any moment (RFC 9112 section 9.3.1): asked anew, once each.
    if (outgoing.reusedSocket && !sendsBody && IDEMPOTENT.has(request.method ?? '')) return retry()
    failed(whyEnded(error))
  })
  const retry = (): void => {
    try {
      exchange(request, response, target, options)
    } catch (thrown) {
      failed(whyEnded(thrown))
    }
  }
  response.on('close', () => {
    if (!response.writableFinished) outgoing.destroy()
  })
  if (!sendsBody) {
    request.resume()
    outgoing.end()
    return
  }
  // By hand, not with `pipe`, which would end before the trailers are set.
  request.on('data', (chunk: Buffer) => {
    if (!outgoing.write(chunk)) request.pause()
  })
  outgoing.on('drain', () => request.resume())
  request.on('end', () => {
    if (request.rawTrailers.length > 0) outgoing.addTrailers(pairs(endToEndTrailers(request.rawTrailers)))
    outgoing.end()
  })
}

/** True where a body follows the head. */
export function hasBody({ rawHeaders }: IncomingMessage): boolean {
  if (fieldValues(rawHeaders, 'transfer-encoding').length > 0) return true
  return fieldValues(rawHeaders, 'content-length').some((value) => Number(value) !== 0)
}

/** What the gateway ended it with; of what the origin did, no more than that it was no answer. */
function whyEnded(error: unknown): ErrorCode {
  const isOurs = error instanceof GatewayError && error.code !== 'connection-reset'
  return isOurs ? error.code : 'upstream-protocol-error'
}

function requestFields(request: IncomingMessage, target: AbsoluteTarget, upgrade: boolean): string[] {
  const passing = countForward(request.method ?? 'GET', endToEndFields(request.rawHeaders, ['host']))
  const fields = ['Host', target.authority, ...passing]
  if (fieldValues(request.rawHeaders, 'transfer-encoding').length > 0)
    fields.push('Transfer-Encoding', 'chunked')
  if (upgrade) fields.push('Connection', 'Upgrade', 'Upgrade', 'websocket')
  return fields
}

/** Passes the 101 on (RFC 9110 section 7.8); from there on both sides' bytes are not HTTP any more. */
function switchProtocols(
  incoming: IncomingMessage,
  near: Duplex,
  head: Buffer,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { socket } = request
  response.detachSocket(socket)
  const fields = [...endToEndFields(incoming.rawHeaders), 'Connection', 'Upgrade', 'Upgrade', 'websocket']
  const lines = pairs(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`)
  if (head.length > 0) near.unshift(head)
  splice(socket, near)
}

function passResponse(incoming: IncomingMessage, response: ServerResponse): void {
  response.sendDate = false
  const fields = endToEndFields(incoming.rawHeaders)
  response.writeHead(incoming.statusCode ?? 502, incoming.statusMessage ?? '', fields)
  response.flushHeaders()
  const { socket: near } = incoming
  incoming.on('data', (chunk: Buffer) => {
    if (response.write(chunk) || response.writableLength === 0) return
    incoming.pause()
    // Not only once the message's own buffer is full.
    near.pause()
  })
  response.on('drain', () => {
    incoming.resume()
    near.resume()
  })
  incoming.on('end', () => {
    if (!incoming.complete) return cutOff(response)
    if (incoming.rawTrailers.length > 0) response.addTrailers(pairs(endToEndTrailers(incoming.rawTrailers)))
    response.end()
  })
  incoming.on('error', () => cutOff(response))
  incoming.on('aborted', () => cutOff(response))
}

/** Ends an answer that is not whole: an HTTP/1.0 client takes any clean end of its connection for the end of the body. */
function cutOff(response: ServerResponse): void {
  if (response.socket === null) response.destroy()
  else abort(response.socket)
}

function pairs(fields: readonly string[]): Array<[string, string]> {
  const list: Array<[string, string]> = []
  for (let index = 0; index + 1 < fields.length; index += 2)
    list.push([fields[index] ?? '', fields[index + 1] ?? ''])
  return list
}
