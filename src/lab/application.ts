// The user's application in a measurement: a program like curl that sends one request, with a canary in every
// field, through a mode, and reads the answer. It keeps its own TLS keys for the positive control.
import http from 'node:http'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import * as zlib from 'node:zlib'
import { SocksClient } from 'socks'
import { GatewayError } from '../errors.ts'
import type { Canaries } from './canary.ts'
import type { Endpoint } from './capture.ts'
import { lookUp } from './look-up.ts'
import { GATEWAY_NAME } from './parties.ts'

/** How the application was told to reach sites. */
export type Via =
  | { readonly kind: 'direct' }
  | { readonly kind: 'http' | 'https'; readonly proxy: Endpoint; readonly credentials: boolean }
  | { readonly kind: 'socks5' | 'socks5h'; readonly proxy: Endpoint; readonly credentials: boolean }

export interface Visit {
  readonly via: Via
  readonly scheme: 'http' | 'https'
  readonly name: string
  /** The port that the site is known to have; where it is, whoever looks the name up learns. */
  readonly port: number
  /** The name server of the application's machine, for who looks the name up himself. */
  readonly resolver: Endpoint
  /** Address that the application's machine sends from. */
  readonly from: string
  readonly authority: string
  readonly canaries: Canaries
  /** TLS to the site in this version and no other; default the newest. */
  readonly siteTls?: 'TLSv1.2' | undefined
  /** PEM, shown to a site that asks for it. */
  readonly clientCertificate?: { readonly certificate: string; readonly key: string } | undefined
  /** A content coding that it says it takes. */
  readonly accepts: string
  /** Told of the port that it sends from to anybody but a proxy. */
  readonly onPort: (port: number) => void
  /** NSS key log lines of the application's own TLS, as they come. */
  readonly onKeylog: (line: Buffer) => void
}

const TIMEOUT_MS = 5_000

/** Makes the request; gives the answer's body. Errors: `dial-failed` with what the proxy or site answered. */
export async function visit(options: Visit): Promise<{ readonly body: string }> {
  const stream = await openStream(options)
  try {
    return { body: await exchange(options, stream) }
  } finally {
    stream.destroy()
  }
}

/** A stream to the site, secured where the scheme says so. Errors: `dial-failed`, those of Node. */
export async function openStream(options: Visit): Promise<Duplex> {
  const stream = await connect(options)
  if (options.scheme === 'http') return stream
  return secured(stream, options.name, options, {
    ...(options.siteTls && { minVersion: options.siteTls, maxVersion: options.siteTls }),
    ...(options.clientCertificate && {
      cert: options.clientCertificate.certificate,
      key: options.clientCertificate.key,
    }),
  })
}

/** The head of a plain request on such a stream, as the way that it goes needs it. */
export function requestHead({ via, scheme, name, port, canaries }: Visit, path: string): string {
  const host = `${name}:${port}`
  const absolute = (via.kind === 'http' || via.kind === 'https') && scheme === 'http'
  const credentials = absolute && via.credentials ? proxyAuthorization(canaries) : {}
  const fields = Object.entries({ host, ...credentials }).map(([field, value]) => `${field}: ${value}`)
  return [`GET ${absolute ? `http://${host}` : ''}${path} HTTP/1.1`, ...fields, '', ''].join('\r\n')
}

async function secured(
  socket: Duplex,
  name: string,
  { authority, onKeylog }: Pick<Visit, 'authority' | 'onKeylog'>,
  more: tls.ConnectionOptions = {},
): Promise<tls.TLSSocket> {
  const secure = tls.connect({
    socket,
    ca: authority,
    ALPNProtocols: ['http/1.1'],
    servername: name,
    ...more,
  })
  secure.on('keylog', onKeylog)
  await once(secure, 'secureConnect')
  return secure
}

async function connect(options: Visit): Promise<Duplex> {
  const { via, scheme, port, name, from, canaries } = options
  switch (via.kind) {
    case 'direct': {
      const socket = await dial({ address: await lookUp(name, options), port }, from)
      options.onPort(socket.localPort ?? 0)
      return socket
    }
    case 'http':
    case 'https': {
      const link = await dial(via.proxy, from)
      const socket = via.kind === 'http' ? link : await secured(link, GATEWAY_NAME, options)
      return scheme === 'http'
        ? socket
        : openConnect(socket, `${name}:${port}`, via.credentials ? canaries : undefined)
    }
    case 'socks5':
    case 'socks5h': {
      const host = via.kind === 'socks5h' ? name : await lookUp(name, options)
      const { socket } = await SocksClient.createConnection({
        proxy: {
          host: via.proxy.address,
          port: via.proxy.port,
          type: 5,
          ...(via.credentials && { userId: canaries.proxyUser, password: canaries.proxyPassword }),
        },
        command: 'connect',
        destination: { host, port },
        socket_options: { localAddress: from, host: via.proxy.address, port: via.proxy.port },
        timeout: TIMEOUT_MS,
        set_tcp_nodelay: true,
      })
      return socket
    }
  }
}

async function dial(to: Endpoint, from: string): Promise<net.Socket> {
  const socket = net.connect({ host: to.address, port: to.port, localAddress: from, noDelay: true })
  await once(socket, 'connect')
  return socket
}

function openConnect(
  socket: net.Socket,
  target: string,
  credentials: Canaries | undefined,
): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const request = http.request({
      createConnection: () => socket,
      method: 'CONNECT',
      path: target,
      headers: { host: target, ...proxyAuthorization(credentials) },
      timeout: TIMEOUT_MS,
    })
    request.on('connect', (response, tunnel: net.Socket) => {
      if (response.statusCode === 200) resolve(tunnel)
      else reject(new GatewayError('dial-failed', { detail: `the proxy answered ${response.statusCode}` }))
    })
    request.on('error', reject)
    request.end()
  })
}

function proxyAuthorization(canaries: Canaries | undefined): Record<string, string> {
  if (canaries === undefined) return {}
  const token = Buffer.from(`${canaries.proxyUser}:${canaries.proxyPassword}`).toString('base64')
  return { 'proxy-authorization': `Basic ${token}` }
}

function exchange({ via, scheme, name, port, canaries, accepts }: Visit, stream: Duplex): Promise<string> {
  const path = `/${canaries.path}?q=${canaries.query}`
  const host = `${name}:${port}`
  const isHttpProxy = via.kind === 'http' || via.kind === 'https'
  const absolute = isHttpProxy && scheme === 'http'
  return new Promise((resolve, reject) => {
    const request = http.request({
      createConnection: () => stream,
      method: 'POST',
      path: absolute ? `http://${host}${path}` : path,
      headers: {
        host,
        ...(absolute && via.credentials ? proxyAuthorization(canaries) : {}),
        'user-agent': `application/1.0 (${canaries.userAgent})`,
        authorization: `Basic ${Buffer.from(`${canaries.siteUser}:${canaries.sitePassword}`).toString('base64')}`,
        cookie: `session=${canaries.cookie}`,
        'x-note': canaries.header,
        'accept-encoding': accepts,
        'content-type': 'text/plain',
        'content-length': Buffer.byteLength(canaries.requestBody),
        connection: 'close',
      },
      timeout: TIMEOUT_MS,
    })
    request.on('timeout', () => request.destroy(new GatewayError('dial-timeout')))
    request.on('error', reject)
    request.on('response', (response) => resolve(bodyOf(response)))
    request.end(canaries.requestBody)
  })
}

async function bodyOf(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const body = decoded(Buffer.concat(chunks), response.headers['content-encoding']).toString('utf8')
  if (response.statusCode === 200) return body
  throw new GatewayError('dial-failed', { detail: `the answer was ${response.statusCode}: ${body.trim()}` })
}

function decoded(body: Buffer, coding: string | undefined): Buffer {
  if (coding === 'br') return zlib.brotliDecompressSync(body)
  return coding === undefined ? body : zlib.unzipSync(body)
}

function once(socket: net.Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => {
      socket.off('error', reject)
      socket.on('error', () => {})
      resolve()
    })
    socket.once('error', reject)
  })
}
