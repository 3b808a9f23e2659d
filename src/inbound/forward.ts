// One absolute-form request as a byte stream: Node's HTTP client speaks to the near end of a pair, and the far
// end is what the pipeline relays to the origin. Rules: bodies stream in both directions, interim responses
// and trailers pass, and an answer that the origin cut off is cut off for the client too.
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { ERROR_ANSWERS, type ErrorCode } from '../errors.ts'
import { endToEndFields, fieldValues } from '../protocol/http/fields.ts'
import type { AbsoluteTarget } from '../protocol/http/target.ts'
import { linkedPair } from '../transport/linked-pair.ts'
import { refusalBody, refusalHeaders } from './context.ts'

/** Answers with one fixed refusal; what has gone out already is cut off instead. */
export function answerRefusal(response: ServerResponse, code: ErrorCode, reference: string): void {
  if (response.headersSent) return void response.destroy()
  const body = refusalBody({ code }, reference)
  response.sendDate = false
  // An unread body would be taken for the next request: the connection ends with the answer.
  response.writeHead(ERROR_ANSWERS[code].http, { ...refusalHeaders(code, reference), connection: 'close' })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

/** Starts the exchange and gives the far end, whose bytes are the request as the origin must read it. */
export function startExchange(
  request: IncomingMessage,
  response: ServerResponse,
  target: AbsoluteTarget,
  failed: (code: ErrorCode) => void,
): Duplex {
  const [near, far] = linkedPair()
  const outgoing = http.request({
    // With `agent` set at all, Node would ignore this and dial by itself, past every rule.
    createConnection: () => near,
    method: request.method ?? 'GET',
    path: target.path,
    headers: requestFields(request, target),
    setHost: false,
    setDefaultHeaders: false,
  } as http.RequestOptions)

  outgoing.on('continue', () => response.writeContinue())
  outgoing.on('information', (info) => {
    if (info.statusCode === 102) response.writeProcessing()
    else if (info.statusCode === 103) response.writeEarlyHints(info.headers as Record<string, string | string[]>)
  })
  outgoing.on('response', (incoming) => passResponse(incoming, response))
  outgoing.on('error', () => {
    near.destroy()
    if (response.headersSent || request.socket.destroyed) response.destroy()
    else failed('upstream-protocol-error')
  })
  // Bodies by hand where trailers must follow; `pipe` would end before they are set.
  request.on('data', (chunk: Buffer) => {
    if (!outgoing.write(chunk)) request.pause()
  })
  outgoing.on('drain', () => request.resume())
  request.on('end', () => {
    if (request.rawTrailers.length > 0) outgoing.addTrailers(pairs(endToEndFields(request.rawTrailers)))
    outgoing.end()
  })
  response.on('close', () => {
    if (!response.writableFinished) outgoing.destroy()
  })
  return far
}

function requestFields(request: IncomingMessage, target: AbsoluteTarget): string[] {
  const fields = ['Host', target.authority, ...endToEndFields(request.rawHeaders, ['host'])]
  if (fieldValues(request.rawHeaders, 'transfer-encoding').length > 0) fields.push('Transfer-Encoding', 'chunked')
  fields.push('Connection', 'close')
  return fields
}

function passResponse(incoming: IncomingMessage, response: ServerResponse): void {
  response.sendDate = false
  const fields = endToEndFields(incoming.rawHeaders)
  response.writeHead(incoming.statusCode ?? 502, incoming.statusMessage ?? '', fields)
  response.flushHeaders()
  incoming.on('data', (chunk: Buffer) => {
    if (!response.write(chunk)) incoming.pause()
  })
  response.on('drain', () => incoming.resume())
  incoming.on('end', () => {
    if (!incoming.complete) return void response.destroy()
    if (incoming.rawTrailers.length > 0) response.addTrailers(pairs(endToEndFields(incoming.rawTrailers)))
    response.end()
  })
  incoming.on('error', () => response.destroy())
  incoming.on('aborted', () => response.destroy())
}

function pairs(fields: readonly string[]): Array<[string, string]> {
  const list: Array<[string, string]> = []
  for (let index = 0; index + 1 < fields.length; index += 2) list.push([fields[index] ?? '', fields[index + 1] ?? ''])
  return list
}
