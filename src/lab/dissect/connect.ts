// Reads an HTTP CONNECT from both directions of a captured connection (RFC 9110 section 9.3.6), over as many
// tries as the client made: the target, the proxy's credentials, and where the tunnelled bytes begin.
// Rule: what has not arrived yet is undefined; what is not a CONNECT is `bad-request`.
import { malformed } from './byte-reader.ts'
import type { Field } from './field.ts'
import { dissectHttpRequest, dissectHttpResponse, type HttpRequestHead } from './http-head.ts'
import { readHttpBody } from './http-message.ts'

export interface ConnectDissection {
  /** Everything in the heads of the client's tries, then connect.host and connect.port of the last. */
  readonly client: readonly Field[]
  readonly server: readonly Field[]
  readonly target: { readonly host: string; readonly port: number }
  /** Status of the last answer; undefined while there is none. */
  readonly statusCode: number | undefined
  /** Offsets of the first tunnelled byte on each side, once the proxy said 2xx. */
  readonly tunnel: { readonly client: number; readonly server: number } | undefined
}

/** RFC 9112 section 3.2.3: `host:port`, the host an IPv6 address in brackets where it has colons. */
const AUTHORITY = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]@/?#]+):([0-9]{1,5})$/
/** Enough to tell that the first bytes are no CONNECT. */
const METHOD = 'CONNECT '

/**
 * Undefined until the first CONNECT head is whole. Fields are those of `dissectHttpRequest` and
 * `dissectHttpResponse` (http.proxy_username and http.proxy_password among them), and connect.host and
 * connect.port. Throws `bad-request` where a side does not speak CONNECT.
 */
export function dissectConnect(streams: {
  client: Uint8Array
  server: Uint8Array
}): ConnectDissection | undefined {
  const { client, server } = streams
  const clientFields: Field[] = []
  const serverFields: Field[] = []
  let clientAt = 0
  let serverAt = 0
  let statusCode: number | undefined
  let target: { host: string; port: number } | undefined
  let targetFields: Field[] = []
  const result = (tunnel: ConnectDissection['tunnel']): ConnectDissection | undefined =>
    target && { client: [...clientFields, ...targetFields], server: serverFields, target, statusCode, tunnel }

  for (;;) {
    const request = readConnect(client, clientAt)
    if (request === undefined) return result(undefined)
    clientFields.push(...request.fields)
    const read = readTarget(request)
    target = read.target
    targetFields = read.fields
    statusCode = undefined
    clientAt = request.end
    for (;;) {
      const response = dissectHttpResponse(server, serverAt)
      if (response === undefined) {
        if (!startsLike(server, serverAt, 'HTTP/1.')) throw malformed('the answer to a CONNECT is not HTTP')
        return result(undefined)
      }
      serverFields.push(...response.fields)
      statusCode = response.statusCode
      const body = readHttpBody(server, response, 'CONNECT')
      serverAt = body.end
      if (statusCode >= 200 && statusCode < 300) return result({ client: clientAt, server: serverAt })
      if (!body.complete) return result(undefined)
      if (statusCode >= 200) break
    }
  }
}

function readConnect(client: Uint8Array, at: number): HttpRequestHead | undefined {
  if (!startsLike(client, at, METHOD)) throw malformed(`the bytes at offset ${at} are not a CONNECT`)
  const request = dissectHttpRequest(client, at)
  if (request === undefined && Buffer.from(client.subarray(at)).includes('\r\n\r\n')) {
    throw malformed(`the CONNECT at offset ${at} is not well formed`)
  }
  return request
}

function readTarget(request: HttpRequestHead): { target: { host: string; port: number }; fields: Field[] } {
  const match = AUTHORITY.exec(request.uri)
  const place = request.fields.find((field) => field.name === 'http.uri')
  if (match === null || place === undefined) throw malformed('the target of a CONNECT is not host:port')
  const [, written = '', digits = ''] = match
  const host = written.startsWith('[') ? written.slice(1, -1) : written
  const port = Number(digits)
  if (port < 1 || port > 0xffff) throw malformed('the port of a CONNECT is out of range')
  const fields = [
    { name: 'connect.host', value: host, offset: place.offset, length: written.length },
    { name: 'connect.port', value: digits, offset: place.offset + written.length + 1, length: digits.length },
  ]
  return { target: { host, port }, fields }
}

/** Whether `bytes` from `at` on are `text`, as far as they go. */
function startsLike(bytes: Uint8Array, at: number, text: string): boolean {
  const there = Buffer.from(bytes.subarray(at, at + text.length)).toString('latin1')
  return text.startsWith(there)
}
