// Reads whole HTTP/1 messages from one direction of a captured connection: heads and their bodies, with
// chunked coding undone (RFC 9112 sections 6 and 7). Rule: a body that the capture cut short is given as far
// as it goes.
import { malformed } from './byte-reader.ts'
import type { Span } from './field.ts'
import {
  dissectHttpRequest,
  dissectHttpResponse,
  headerValue,
  type HttpHead,
  type HttpRequestHead,
  type HttpResponseHead,
} from './http-head.ts'

export interface HttpBody {
  /** Without chunked framing, still under its Content-Encoding. */
  readonly bytes: Uint8Array
  /** From `bytes` to the stream. */
  readonly spans: readonly Span[]
  /** First byte after the body in the stream. */
  readonly end: number
  /** False where the capture ended first. */
  readonly complete: boolean
}

export interface HttpMessage<Head extends HttpHead = HttpHead> {
  readonly head: Head
  readonly body: HttpBody
}

const MAX_CHUNK_LINE_BYTES = 1024
const CHUNK_LINE = /^([0-9A-Fa-f]{1,8})[\t ]*(?:;.*)?$/
const DIGITS = /^[0-9]{1,15}$/

/** The requests of a client's stream, up to the first that is not HTTP or that hands the stream over. */
export function readHttpRequests(bytes: Uint8Array, start = 0): HttpMessage<HttpRequestHead>[] {
  const messages: HttpMessage<HttpRequestHead>[] = []
  let at = start
  for (;;) {
    const head = dissectHttpRequest(bytes, at)
    if (head === undefined) return messages
    const body = readHttpBody(bytes, head)
    messages.push({ head, body })
    if (!body.complete || head.method === 'CONNECT' || headerValue(head, 'upgrade') !== undefined)
      return messages
    at = body.end
  }
}

/**
 * The responses of a server's stream. `methods` are those of the requests that they answer, in order: a
 * response to HEAD or CONNECT has no body (RFC 9110 section 6.4.1); where one is not given it is GET.
 */
export function readHttpResponses(
  bytes: Uint8Array,
  methods: readonly string[] = [],
  start = 0,
): HttpMessage<HttpResponseHead>[] {
  const messages: HttpMessage<HttpResponseHead>[] = []
  let at = start
  let answered = 0
  for (;;) {
    const head = dissectHttpResponse(bytes, at)
    if (head === undefined) return messages
    const method = methods[answered] ?? 'GET'
    const body = readHttpBody(bytes, head, method)
    messages.push({ head, body })
    const handsOver = head.statusCode === 101 || (method === 'CONNECT' && isSuccess(head.statusCode))
    if (!body.complete || handsOver) return messages
    if (head.statusCode >= 200) answered += 1
    at = body.end
  }
}

/**
 * The body behind `head` in `bytes`; for a response `method` is the request's. Throws `bad-request` where the
 * chunked framing or the Content-Length is not well formed.
 */
export function readHttpBody(bytes: Uint8Array, head: HttpHead, method = 'GET'): HttpBody {
  if (head.kind === 'response' && hasNoBody(head.statusCode, method)) return plainBody(bytes, head.end, 0)
  const coding = headerValue(head, 'transfer-encoding')?.toLowerCase()
  if (coding?.split(',').at(-1)?.trim() === 'chunked') return chunkedBody(bytes, head.end)
  const length = headerValue(head, 'content-length')
  if (length !== undefined) {
    if (!DIGITS.test(length)) throw malformed('the Content-Length is not a number')
    return plainBody(bytes, head.end, Number(length))
  }
  // RFC 9112 section 6.3: without either a response goes to the end of the connection, a request has no body.
  return plainBody(bytes, head.end, head.kind === 'response' ? bytes.length - head.end : 0)
}

function hasNoBody(statusCode: number, method: string): boolean {
  if (statusCode < 200 || statusCode === 204 || statusCode === 304 || method === 'HEAD') return true
  return method === 'CONNECT' && isSuccess(statusCode)
}

function isSuccess(statusCode: number): boolean {
  return statusCode >= 200 && statusCode < 300
}

function plainBody(bytes: Uint8Array, offset: number, length: number): HttpBody {
  const end = Math.min(offset + length, bytes.length)
  const spans = end > offset ? [{ at: 0, offset, length: end - offset }] : []
  return { bytes: bytes.subarray(offset, end), spans, end, complete: end - offset === length }
}

function chunkedBody(bytes: Uint8Array, start: number): HttpBody {
  const stream = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const pieces: Uint8Array[] = []
  const spans: Span[] = []
  let held = 0
  let at = start
  const body = (end: number, complete: boolean): HttpBody => ({
    bytes: Buffer.concat(pieces),
    spans,
    end,
    complete,
  })
  for (;;) {
    const line = readLine(stream, at)
    if (line === undefined) return body(stream.length, false)
    const match = CHUNK_LINE.exec(line)
    if (match === null) throw malformed(`there is no chunk size at offset ${at}`)
    at += line.length + 2
    const length = Number.parseInt(match[1] ?? '', 16)
    if (length === 0) break
    const piece = stream.subarray(at, at + length)
    if (piece.length > 0) spans.push({ at: held, offset: at, length: piece.length })
    pieces.push(piece)
    held += piece.length
    if (at + length + 2 > stream.length) return body(stream.length, false)
    if (stream.toString('latin1', at + length, at + length + 2) !== '\r\n') {
      throw malformed(`the chunk before offset ${at + length} is longer than it said`)
    }
    at += length + 2
  }
  // Trailer fields up to an empty line.
  for (;;) {
    const line = readLine(stream, at)
    if (line === undefined) return body(stream.length, false)
    at += line.length + 2
    if (line === '') return body(at, true)
  }
}

/** One line without its CRLF, or undefined where the capture ends first. */
function readLine(stream: Buffer, at: number): string | undefined {
  const window = stream.subarray(at, at + MAX_CHUNK_LINE_BYTES)
  const length = window.indexOf('\r\n')
  if (length !== -1) return window.toString('latin1', 0, length)
  if (window.length === MAX_CHUNK_LINE_BYTES) throw malformed(`the line at offset ${at} has no end`)
  return undefined
}
