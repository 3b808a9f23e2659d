// Reads HTTP/1 request and response heads from captured bytes (RFC 9112) and names what they hold as Zeek
// does. Rule: what is not certainly HTTP is undefined, as is a head that has not ended; nothing throws.
import type { Field } from './field.ts'

export interface HttpHeader {
  /** Lower case. */
  readonly name: string
  /** Without the white space around it; one latin1 character a byte. */
  readonly value: string
  readonly offset: number
  readonly length: number
}

interface HeadParts {
  /** `1.0` or `1.1`. */
  readonly version: string
  readonly headers: readonly HttpHeader[]
  readonly fields: readonly Field[]
  /** First byte of the head, and the first byte after its empty line. */
  readonly offset: number
  readonly end: number
}

export interface HttpRequestHead extends HeadParts {
  readonly kind: 'request'
  readonly method: string
  /** The request target as it was sent, in whichever form (RFC 9112 section 3.2). */
  readonly uri: string
}

export interface HttpResponseHead extends HeadParts {
  readonly kind: 'response'
  readonly statusCode: number
}

export type HttpHead = HttpRequestHead | HttpResponseHead

/** A head above this is taken for something else. */
const MAX_HEAD_BYTES = 256 * 1024
const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
const REQUEST_LINE = new RegExp(`^(${TOKEN}) ([\\x21-\\x7e]+) HTTP/(1\\.[01])$`)
const STATUS_LINE = /^HTTP\/(1\.[01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?$/
const HEADER_LINE = new RegExp(`^(${TOKEN}):[\\t ]*([\\t\\x20-\\x7e\\x80-\\xff]*)$`)
const TRAILING_SPACE = /[\t ]+$/
const BASIC = /^Basic +([A-Za-z0-9+/]+={0,2})$/i

/** Zeek's names (http.log); other headers are `http.header.` and their own name in lower case. */
const ZEEK_NAMES: ReadonlyMap<string, string> = new Map([
  ['host', 'http.host'],
  ['user-agent', 'http.user_agent'],
  ['referer', 'http.referrer'],
  ['origin', 'http.origin'],
  ['cookie', 'http.cookie'],
  ['set-cookie', 'http.set_cookie'],
  ['authorization', 'http.authorization'],
  ['proxy-authorization', 'http.proxy_authorization'],
])

/** Where Basic credentials are decoded to; the decoded fields stand where the base64 text does. */
const CREDENTIAL_NAMES: ReadonlyMap<string, readonly [user: string, password: string]> = new Map([
  ['authorization', ['http.username', 'http.password']],
  ['proxy-authorization', ['http.proxy_username', 'http.proxy_password']],
])

/** The request head at `start`: http.method, http.uri, http.version and one field or more a header. */
export function dissectHttpRequest(bytes: Uint8Array, start = 0): HttpRequestHead | undefined {
  const head = splitHead(bytes, start)
  const match = head === undefined ? null : REQUEST_LINE.exec(head.first)
  if (head === undefined || match === null) return undefined
  const [, method = '', uri = '', version = ''] = match
  const uriAt = start + method.length + 1
  const fields = [
    field('http.method', method, start),
    field('http.uri', uri, uriAt),
    field('http.version', version, uriAt + uri.length + ' HTTP/'.length),
    ...head.headers.flatMap(headerFields),
  ]
  return {
    kind: 'request',
    method,
    uri,
    version,
    headers: head.headers,
    fields,
    offset: start,
    end: head.end,
  }
}

/** The response head at `start`: http.version, http.status_code, http.status_msg and the headers. */
export function dissectHttpResponse(bytes: Uint8Array, start = 0): HttpResponseHead | undefined {
  const head = splitHead(bytes, start)
  const match = head === undefined ? null : STATUS_LINE.exec(head.first)
  if (head === undefined || match === null) return undefined
  const [, version = '', code = '', reason = ''] = match
  const versionAt = start + 'HTTP/'.length
  const codeAt = versionAt + version.length + 1
  const fields = [
    field('http.version', version, versionAt),
    field('http.status_code', code, codeAt),
    ...(reason === '' ? [] : [field('http.status_msg', reason, codeAt + code.length + 1)]),
    ...head.headers.flatMap(headerFields),
  ]
  const { headers, end } = head
  return { kind: 'response', statusCode: Number(code), version, headers, fields, offset: start, end }
}

/** The first header of that lower-case name. */
export function headerValue(head: HttpHead, name: string): string | undefined {
  return head.headers.find((header) => header.name === name)?.value
}

interface SplitHead {
  readonly first: string
  readonly headers: HttpHeader[]
  readonly end: number
}

function splitHead(bytes: Uint8Array, start: number): SplitHead | undefined {
  const window = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).subarray(
    start,
    start + MAX_HEAD_BYTES,
  )
  const length = window.indexOf('\r\n\r\n')
  if (length === -1) return undefined
  const [first = '', ...lines] = window.toString('latin1', 0, length).split('\r\n')
  const headers: HttpHeader[] = []
  let lineAt = start + first.length + 2
  for (const line of lines) {
    const match = HEADER_LINE.exec(line)
    if (match === null) return undefined
    const [, name = '', rest = ''] = match
    const value = rest.replace(TRAILING_SPACE, '')
    const offset = lineAt + line.length - rest.length
    headers.push({ name: name.toLowerCase(), value, offset, length: value.length })
    lineAt += line.length + 2
  }
  return { first, headers, end: start + length + 4 }
}

function headerFields(header: HttpHeader): Field[] {
  const { name, value, offset, length } = header
  const fields: Field[] = [{ name: ZEEK_NAMES.get(name) ?? `http.header.${name}`, value, offset, length }]
  const credentialNames = CREDENTIAL_NAMES.get(name)
  const basic = credentialNames === undefined ? null : BASIC.exec(value)
  if (credentialNames === undefined || basic === null) return fields
  const encoded = basic[1] ?? ''
  const decoded = Buffer.from(encoded, 'base64').toString('utf8')
  // RFC 7617 section 2: the user name ends at the first colon.
  const colon = decoded.indexOf(':')
  if (colon === -1) return fields
  const at = offset + length - encoded.length
  const [userName, passwordName] = credentialNames
  fields.push({ name: userName, value: decoded.slice(0, colon), offset: at, length: encoded.length })
  fields.push({ name: passwordName, value: decoded.slice(colon + 1), offset: at, length: encoded.length })
  return fields
}

function field(name: string, value: string, offset: number): Field {
  return { name, value, offset, length: value.length }
}
