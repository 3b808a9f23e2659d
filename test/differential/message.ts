// Turns the tables' notation into bytes, and HTTP messages into what the tables compare. Rule: a test's own small
// reader, apart from llhttp and from Sightline's code, so that it shares no mistake with either.
import type { Message } from './script.ts'

export interface Places {
  readonly port: number
  readonly closed: number
}

/** Writes a message out for one run. */
export function toBytes(what: Message, places: Places): Buffer {
  if ('text' in what) return Buffer.from(fill(what.text, places), 'latin1')
  const parts = (what.hex.match(/"[^"]*"|\S+/g) ?? []).map((token) => hexToken(token, places))
  return Buffer.concat(parts)
}

function hexToken(token: string, { port, closed }: Places): Buffer {
  if (token.startsWith('"')) return Buffer.from(token.slice(1, -1), 'latin1')
  if (token === '$PORT' || token === '$CLOSED') {
    const number = token === '$PORT' ? port : closed
    return Buffer.from([number >> 8, number & 0xff])
  }
  const [pair = '', times = '1'] = token.split('*')
  if (!/^(?:[0-9a-f]{2})+$/.test(pair)) throw new Error(`not hex: ${token}`)
  return Buffer.from(pair.repeat(Number(times)), 'hex')
}

function fill(text: string, { port, closed }: Places): string {
  return text
    .replaceAll('$ORIGIN6', `[::1]:${port}`)
    .replaceAll('$ORIGIN', `127.0.0.1:${port}`)
    .replaceAll('$PORT', String(port))
    .replaceAll('$CLOSED', String(closed))
}

/** The other way, so that two runs can be compared. */
export function unfill(text: string, { port, closed }: Places): string {
  return text.replaceAll(String(port), '$PORT').replaceAll(String(closed), '$CLOSED')
}

export interface HttpMessage {
  readonly start: string
  readonly fields: ReadonlyArray<readonly [name: string, value: string]>
  readonly framing: 'none' | 'length' | 'chunked' | 'end'
  readonly body: string
  readonly trailers: string
  /** Bytes that it took. */
  readonly size: number
}

/** `method` of the request that an answer is to; undefined for a request. */
interface ReadOptions {
  readonly method?: string
  /** Nothing more will come. */
  readonly ended: boolean
}

/** Reads one message from the front, or gives undefined while it is not whole. */
export function readMessage(received: Buffer, { method, ended }: ReadOptions): HttpMessage | undefined {
  const text = received.toString('latin1')
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const [start = '', ...lines] = text.slice(0, headEnd).split('\r\n')
  const fields = lines.map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
  })
  const bodyAt = headEnd + 4
  const whole = { start, fields, trailers: '' }
  const value = (name: string): string | undefined => fields.find(([field]) => field === name)?.[1]
  const status = Number(start.split(' ')[1])
  if (
    method !== undefined &&
    (hasNoBody(status) || method === 'HEAD' || (method === 'CONNECT' && status < 300))
  )
    return { ...whole, framing: 'none', body: '', size: bodyAt }
  if (/chunked/i.test(value('transfer-encoding') ?? '')) {
    const chunks = readChunks(text, bodyAt)
    return chunks && { ...whole, framing: 'chunked', ...chunks }
  }
  const length = value('content-length')
  if (length !== undefined) {
    const size = bodyAt + Number(length)
    return received.length < size
      ? undefined
      : { ...whole, framing: 'length', body: text.slice(bodyAt, size), size }
  }
  if (method === undefined) return { ...whole, framing: 'none', body: '', size: bodyAt }
  return ended ? { ...whole, framing: 'end', body: text.slice(bodyAt), size: text.length } : undefined
}

function hasNoBody(status: number): boolean {
  return status < 200 || status === 204 || status === 304
}

function readChunks(text: string, from: number): Pick<HttpMessage, 'body' | 'trailers' | 'size'> | undefined {
  let body = ''
  for (let at = from; ;) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd < 0) return undefined
    const size = Number.parseInt(text.slice(at, lineEnd), 16)
    if (size > 0) {
      at = lineEnd + 2 + size + 2
      if (text.length < at) return undefined
      body += text.slice(lineEnd + 2, at - 2)
      continue
    }
    if (text.startsWith('\r\n', lineEnd + 2)) return { body, trailers: '', size: lineEnd + 4 }
    const end = text.indexOf('\r\n\r\n', lineEnd)
    return end < 0 ? undefined : { body, trailers: text.slice(lineEnd + 2, end), size: end + 4 }
  }
}
