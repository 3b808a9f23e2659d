// The destination of a measurement: a small site on http, https and UDP that answers every request with one page and
// every datagram with itself. It notes, as any site can, which address the kernel says is asking.
import type dgram from 'node:dgram'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import * as zlib from 'node:zlib'
import { listenError } from '../transport/listener.ts'
import type { Endpoint } from './capture.ts'
import { bindUdp } from './udp-tap.ts'

/** PEM. */
export interface SiteCertificate {
  readonly certificate: string
  readonly key: string
}

export interface SiteOptions extends SiteCertificate {
  readonly address: string
  /** The answer to a request. */
  readonly page: (request: http.IncomingMessage) => string
  /** PEM of the authority whose client certificates it asks for; default it asks for none. */
  readonly clientAuthority?: string | undefined
  /** Ports to listen on; 0, the default, takes any. */
  readonly ports?: { readonly http: number; readonly https: number }
}

export interface Site {
  readonly http: Endpoint
  readonly https: Endpoint
  /** Sends every datagram back. */
  readonly echo: Endpoint
  /** Serves https under another name too. */
  addName(name: string, own: SiteCertificate): void
  /** Who connected since they were last taken, as the kernel reports it. */
  clients(): Endpoint[]
  takeClients(): Endpoint[]
  /** NSS key log lines of the https site: what lets the destination read its own traffic. */
  keylog(): string
  close(): void
}

/** Content codings (RFC 9110 section 8.4.1) that the site offers, the best first. */
const CODINGS: ReadonlyArray<readonly [name: string, encode: (body: Buffer) => Buffer]> = [
  ['br', (body) => zlib.brotliCompressSync(body)],
  ['gzip', (body) => zlib.gzipSync(body)],
  ['deflate', (body) => zlib.deflateSync(body)],
]

/** Errors: `address-in-use`, `listen-failed`. */
export async function startSite(options: SiteOptions): Promise<Site> {
  const { address, ports = { http: 0, https: 0 } } = options
  let clients: Endpoint[] = []
  let keylog = ''
  const open = new Set<Socket>()
  const answer = answerWith(options.page)
  const plain = http.createServer(answer)
  const secure = https.createServer(
    {
      cert: options.certificate,
      key: options.key,
      minVersion: 'TLSv1.2',
      ...(options.clientAuthority !== undefined && {
        ca: options.clientAuthority,
        requestCert: true,
        rejectUnauthorized: false,
      }),
    },
    answer,
  )
  secure.on('keylog', (line: Buffer) => (keylog += line.toString('latin1')))
  for (const server of [plain, secure]) {
    server.on('connection', (socket: Socket) => {
      clients.push({ address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 })
      open.add(socket)
      socket.on('close', () => open.delete(socket))
    })
  }
  let echo: dgram.Socket | undefined
  const close = (): void => {
    plain.close()
    secure.close()
    echo?.close()
    for (const socket of open) socket.destroy()
    clients = []
  }
  try {
    const listening = {
      http: await listen(plain, { address, port: ports.http }),
      https: await listen(secure, { address, port: ports.https }),
    }
    echo = await bindUdp({ address, port: 0 })
    startEcho(echo, (from) => clients.push(from))
    return {
      ...listening,
      echo: { address, port: echo.address().port },
      addName: (name, own) =>
        secure.addContext(name, createSecureContext({ cert: own.certificate, key: own.key })),
      clients: () => [...clients],
      takeClients: () => clients.splice(0),
      keylog: () => keylog,
      close,
    }
  } catch (thrown) {
    close()
    throw thrown
  }
}

function answerWith(page: SiteOptions['page']): http.RequestListener {
  return (request, response) => {
    request.resume()
    request.on('end', () => {
      const { coding, body } = encodeFor(request.headers['accept-encoding'], Buffer.from(page(request)))
      response.writeHead(200, {
        'content-type': 'text/plain; charset=utf-8',
        ...(coding !== undefined && { 'content-encoding': coding, vary: 'accept-encoding' }),
        'content-length': body.length,
      })
      response.end(request.method === 'HEAD' ? undefined : body)
    })
  }
}

function encodeFor(accepted: string | undefined, body: Buffer): { coding: string | undefined; body: Buffer } {
  const names = new Set((accepted ?? '').split(',').map((part) => part.trim().toLowerCase()))
  const offered = CODINGS.find(([name]) => names.has(name))
  return offered === undefined ? { coding: undefined, body } : { coding: offered[0], body: offered[1](body) }
}

function startEcho(socket: dgram.Socket, heard: (from: Endpoint) => void): void {
  socket.on('message', (bytes, { address, port }) => {
    heard({ address, port })
    socket.send(bytes, port, address)
  })
}

async function listen(server: http.Server | https.Server, where: Endpoint): Promise<Endpoint> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(listenError(error, { host: where.address, port: where.port })),
    )
    server.listen(where.port, where.address, resolve)
  })
  const { address, port } = server.address() as AddressInfo
  return { address, port }
}
