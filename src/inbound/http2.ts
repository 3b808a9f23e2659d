// HTTP/2 proxy clients (RFC 9113), on TLS that negotiated h2. CONNECT (section 8.5) becomes a ProxyRequest whose byte
// stream is the HTTP/2 stream; any other request goes, as HTTP/1.1, to the inbound that knows those. Rule: what a
// client may open at once is bounded, and a stream that breaks off is reset, never ended.
import http from 'node:http'
import http2, { type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import { ERROR_ANSWERS, GatewayError, toGatewayError, type ErrorCode } from '../errors.ts'
import { endToEndFields, fieldPairs } from '../protocol/http/fields.ts'
import { parseAuthority } from '../protocol/http/target.ts'
import { abort } from '../transport/abort.ts'
import { closed } from '../transport/closed.ts'
import { linkedPair } from '../transport/linked-pair.ts'
import { setSource, sourceOf } from '../transport/source.ts'
import { refusalBody, refusalHeaders, type InboundContext } from './context.ts'
import { authorizeHttp, type ProvenClient } from './http-authorize.ts'

const STREAMS_MAX = 256
const WINDOW_BYTES = 1024 * 1024
const MODE = 'https-proxy'
const {
  HTTP2_HEADER_AUTHORITY,
  HTTP2_HEADER_METHOD,
  HTTP2_HEADER_PATH,
  HTTP2_HEADER_SCHEME,
  HTTP2_HEADER_STATUS,
} = http2.constants

export interface Http2Options {
  readonly context: InboundContext
  /** Serves one HTTP/1.1 connection: where requests other than CONNECT go. */
  readonly serveHttp1: (connection: Duplex, client: ProvenClient | undefined) => void
}

interface Peer {
  readonly client: ProvenClient | undefined
  readonly source: string
}

const NOBODY: Peer = { client: undefined, source: '' }

export class Http2Inbound {
  #options: Http2Options
  #server: http2.Http2Server
  #peers = new WeakMap<ServerHttp2Session, Peer>()
  #sessions = new Set<ServerHttp2Session>()

  constructor(options: Http2Options) {
    this.#options = options
    const { headBytes } = options.context.limits
    this.#server = http2.createServer({
      maxSessionMemory: 16,
      settings: {
        maxConcurrentStreams: STREAMS_MAX,
        initialWindowSize: WINDOW_BYTES,
        maxHeaderListSize: headBytes,
      },
    })
    this.#server.on('session', (session) => {
      session.setLocalWindowSize(4 * WINDOW_BYTES)
      this.#sessions.add(session)
      session.on('close', () => this.#sessions.delete(session))
    })
    this.#server.on('sessionError', () => {})
    this.#server.on('stream', (stream, headers) => {
      options.context.underWay(streamOver(stream))
      void this.#stream(stream, headers)
    })
  }

  /** Serves one TLS connection that negotiated h2. `client` is what its certificate proved, if anything. */
  serve(socket: Duplex, client: ProvenClient | undefined): void {
    // The session comes in the same turn. Its own `socket` is a stand-in by which nothing could be found again.
    this.#options.context.handshaken(MODE, socket)
    this.#server.once('session', (session) => this.#peers.set(session, { client, source: sourceOf(socket) }))
    // HTTP/2 has no half-closed connection: who ends it is gone, and the session would wait for more for ever.
    socket.once('end', () => socket.destroy())
    this.#server.emit('connection', socket)
  }

  /** Says GOAWAY: the streams that are open go on, and new ones are for another connection. */
  drain(): void {
    for (const session of this.#sessions) session.close()
  }

  async #stream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    stream.on('error', () => {})
    const { context } = this.#options
    const peer = (stream.session && this.#peers.get(stream.session as ServerHttp2Session)) ?? NOBODY
    const { client } = peer
    if (headers[HTTP2_HEADER_METHOD] !== 'CONNECT') return this.#forward(stream, headers, peer)
    const gone = new AbortController()
    const onClose = (): void => gone.abort()
    stream.on('close', onClose)
    try {
      const destination = parseAuthority(oneValue(headers[HTTP2_HEADER_AUTHORITY]) ?? '')
      const authorized = await authorizeHttp(
        context,
        oneValue(headers['proxy-authorization']),
        client,
        peer.source,
      )
      if (stream.destroyed) return
      await context.serve({
        mode: MODE,
        destination,
        identity: authorized,
        sentCredential: client !== undefined || headers['proxy-authorization'] !== undefined,
        signal: gone.signal,
        confirm: () => {
          stream.off('close', onClose)
          // Node ends both directions of a stream that was reset, as if all had come, right after this.
          stream.once('aborted', () =>
            stream.destroy(new GatewayError('connection-reset', { side: 'client' })),
          )
          stream.respond({ [HTTP2_HEADER_STATUS]: 200 })
          return stream
        },
        refuse: (error, reference) => refuse(stream, error.code, reference),
      })
    } catch (thrown) {
      const { code } = toGatewayError(thrown, 'client')
      const reference = context.newReference()
      context.refused(MODE, code, reference)
      refuse(stream, code, reference)
    }
  }

  /** Says the request again as HTTP/1.1 in absolute-form to the inbound that serves those, and the answer back. */
  #forward(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, { client, source }: Peer): void {
    const [near, far] = linkedPair()
    setSource(far, source)
    this.#options.serveHttp1(far, client)
    const authority = oneValue(headers[HTTP2_HEADER_AUTHORITY]) ?? headers.host ?? ''
    const path = oneValue(headers[HTTP2_HEADER_PATH]) ?? '/'
    const scheme = oneValue(headers[HTTP2_HEADER_SCHEME]) ?? 'http'
    // By https no proxy can be asked to forward: who says so means this listener itself, its settings.
    const target = scheme === 'https' ? path : `${scheme}://${authority}${path}`
    const fields = Object.entries(headers).flatMap(([name, value]) =>
      name.startsWith(':') || name === 'host' || value === undefined
        ? []
        : [value].flat().flatMap((one) => [name, name === 'cookie' ? one.replaceAll('\n', '; ') : one]),
    )
    const outgoing = http.request({
      createConnection: () => near,
      method: headers[HTTP2_HEADER_METHOD] ?? 'GET',
      path: target,
      headers: [
        'Host',
        authority,
        ...fields,
        'Connection',
        'close',
        ...(stream.endAfterHeaders || 'content-length' in headers ? [] : ['Transfer-Encoding', 'chunked']),
      ],
      setHost: false,
    } as http.RequestOptions)
    outgoing.on('information', ({ statusCode }) => {
      if (statusCode !== 101 && !stream.headersSent)
        stream.additionalHeaders({ [HTTP2_HEADER_STATUS]: statusCode })
    })
    outgoing.on('continue', () => stream.additionalHeaders({ [HTTP2_HEADER_STATUS]: 100 }))
    let received: http.IncomingMessage | undefined
    outgoing.on('response', (incoming) => {
      received = incoming
      const answer: http2.OutgoingHttpHeaders = { [HTTP2_HEADER_STATUS]: incoming.statusCode ?? 502 }
      for (const [name, value] of fieldPairs(endToEndFields(incoming.rawHeaders))) {
        const known = answer[name.toLowerCase()]
        answer[name.toLowerCase()] = known === undefined ? value : [known, value].flat().map(String)
      }
      if (stream.destroyed) return
      stream.respond(answer)
      incoming.on('error', () => abort(stream))
      incoming.on('aborted', () => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR))
      incoming.pipe(stream)
    })
    outgoing.on('error', () => {
      // What comes of the connection behind a whole answer must not cut off what is still to be sent of it.
      if (received?.complete === true) return
      if (!stream.closed) stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR)
    })
    stream.on('aborted', () => outgoing.destroy())
    stream.on('close', () => outgoing.destroy())
    if (stream.endAfterHeaders) outgoing.end()
    else stream.pipe(outgoing)
  }
}

/** Until the stream has closed and, where it was the last of a session that ends, until the client has all of it. */
async function streamOver(stream: ServerHttp2Stream): Promise<void> {
  const { session } = stream
  await closed(stream)
  if (session?.closed === true && !session.destroyed) await closed(session)
}

function oneValue(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? undefined : value
}

function refuse(stream: ServerHttp2Stream, code: ErrorCode, reference: string): void {
  if (stream.destroyed || stream.headersSent) return stream.close(http2.constants.NGHTTP2_CONNECT_ERROR)
  stream.respond({ [HTTP2_HEADER_STATUS]: ERROR_ANSWERS[code].http, ...refusalHeaders(code, reference) })
  stream.end(refusalBody({ code }, reference))
}
