// One request of an audit and its answer: what was sent, field by field with a canary in each, what came back, and what
// TLS showed. Rules: the certificate of the probe is held against its fingerprint, and the exchange goes on where it is
// another's; the answer is bounded.
import { createHash } from 'node:crypto'
import http from 'node:http'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import { GatewayError, toGatewayError } from '../../errors.ts'
import { formatAddress } from '../../transport/listener.ts'
import type { Canaries } from '../canary.ts'
import { TIMEOUT_MS } from './passage.ts'
import { ECHO_HEADER } from './probe.ts'
import type { ProbeAddress } from './probe-url.ts'
import { hashOf, type Header } from './probe-report.ts'
import { siteName } from '../parties.ts'

export interface Sent {
  readonly method: string
  readonly target: string
  readonly headers: readonly Header[]
  readonly bodyHash: string
}

export interface Exchange {
  readonly sent: Sent
  readonly status: number
  readonly headers: readonly Header[]
  readonly body: string
  /** SHA-256 of the certificate that was shown, in lower-case hex; undefined on http. */
  readonly certificate: string | undefined
}

const MAX_ANSWER_BYTES = 4 * 1024 * 1024
/** Of a whole exchange: who sends a byte now and then must not hold an audit up. */
const EXCHANGE_MS = 3 * TIMEOUT_MS

/** The request that every exchange makes, but for the `Host`. */
export function requestOf(id: string, canaries: Canaries, host: string): Sent {
  const site = Buffer.from(`${canaries.siteUser}:${canaries.sitePassword}`).toString('base64')
  return {
    method: 'POST',
    target: `/${id}/${canaries.path}?q=${canaries.query}`,
    bodyHash: hashOf(canaries.requestBody),
    headers: [
      ['Host', host],
      ['User-Agent', `application/1.0 (${canaries.userAgent})`],
      ['Accept', 'text/html'],
      ['Accept-Encoding', 'identity'],
      ['Authorization', `Basic ${site}`],
      ['Cookie', `session=${canaries.cookie}`],
      ['Referer', `http://${host}/${canaries.header}`],
      [ECHO_HEADER, canaries.responseBody],
      ['Content-Type', 'text/plain'],
      ['Content-Length', String(canaries.requestBody.length)],
      ['Connection', 'close'],
    ],
  }
}

export interface Asked {
  readonly sent: Sent
  readonly body: string
  /** Before the path, for a proxy that takes whole URLs; and what is for the proxy alone. */
  readonly absolute: string
  readonly forProxy: Readonly<Record<string, string>>
}

/** Errors: `dial-timeout`, `connection-reset` and the like. */
export async function ask(stream: Duplex, asked: Asked): Promise<Exchange> {
  const late = setTimeout(() => stream.destroy(new GatewayError('dial-timeout')), EXCHANGE_MS)
  try {
    return await exchange(stream, asked)
  } finally {
    clearTimeout(late)
  }
}

async function exchange(stream: Duplex, { sent, body, absolute, forProxy }: Asked): Promise<Exchange> {
  const certificate = stream instanceof tls.TLSSocket ? fingerprintOf(stream) : undefined
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const request = http.request({
      createConnection: () => stream,
      method: sent.method,
      path: `${absolute}${sent.target}`,
      headers: [...sent.headers, ...Object.entries(forProxy)].flat(),
      timeout: TIMEOUT_MS,
    })
    request.on('timeout', () => request.destroy(new GatewayError('dial-timeout')))
    request.on('error', (error) => reject(toGatewayError(error, 'upstream', 'dial-failed')))
    request.on('response', resolve)
    request.end(body)
  })
  const chunks: Buffer[] = []
  let held = 0
  try {
    for await (const chunk of response) {
      held += (chunk as Buffer).length
      if (held > MAX_ANSWER_BYTES) throw new GatewayError('upstream-protocol-error')
      chunks.push(chunk as Buffer)
    }
  } catch (thrown) {
    throw toGatewayError(thrown, 'upstream', 'connection-reset')
  } finally {
    stream.destroy()
  }
  const headers = response.rawHeaders.flatMap((name, index): Header[] =>
    index % 2 === 0 ? [[name, response.rawHeaders[index + 1] ?? '']] : [],
  )
  return {
    sent,
    status: response.statusCode ?? 0,
    headers,
    body: Buffer.concat(chunks).toString('utf8'),
    certificate,
  }
}

/** The application's own TLS to the probe, under a name that is a canary. */
export function secure(
  stream: Duplex,
  label: string,
  onKeylog: (line: Buffer) => void,
): Promise<tls.TLSSocket> {
  const secured = tls.connect({
    socket: stream,
    servername: siteName(label),
    // Held against the fingerprint by who asked: an answer under another certificate is what the audit looks for.
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  })
  secured.on('keylog', onKeylog)
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => secured.destroy(new GatewayError('dial-timeout')), TIMEOUT_MS)
    secured.once('secureConnect', () => {
      clearTimeout(late)
      resolve(secured)
    })
    secured.on('error', (error) => {
      clearTimeout(late)
      reject(toGatewayError(error, 'upstream', 'tls-failed'))
    })
  })
}

function fingerprintOf(stream: tls.TLSSocket): string {
  return createHash('sha256')
    .update(stream.getPeerX509Certificate()?.raw ?? Buffer.alloc(0))
    .digest('hex')
}

/** `localhost:9002` */
export function hostOf({ host }: ProbeAddress, port: number): string {
  return formatAddress({ address: host, port })
}
