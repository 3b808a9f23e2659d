// The destination of a measurement: a small http and https site that answers every request with one page. It
// notes, as any site can, which address the kernel says is asking.
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { listenError } from '../transport/listener.ts'
import type { Endpoint } from './capture.ts'

export interface SiteOptions {
  readonly address: string
  readonly certificate: string
  readonly key: string
  /** The answer to a request. */
  readonly page: (request: http.IncomingMessage) => string
  /** Ports to listen on; 0, the default, takes any. */
  readonly ports?: { readonly http: number; readonly https: number }
}

export interface Site {
  readonly http: Endpoint
  readonly https: Endpoint
  /** Who connected since they were last taken, as the kernel reports it. */
  clients(): Endpoint[]
  takeClients(): Endpoint[]
  /** NSS key log lines of the https site: what lets the destination read its own traffic. */
  keylog(): string
  close(): void
}

/** Errors: `address-in-use`, `listen-failed`. */
export async function startSite(options: SiteOptions): Promise<Site> {
  let clients: Endpoint[] = []
  let keylog = ''
  const answer: http.RequestListener = (request, response) => {
    request.resume()
    request.on('end', () => {
      const page = options.page(request)
      response.writeHead(200, {
        'content-type': 'text/plain; charset=utf-8',
        'content-length': Buffer.byteLength(page),
      })
      response.end(request.method === 'HEAD' ? undefined : page)
    })
  }
  const plain = http.createServer(answer)
  const secure = https.createServer(
    { cert: options.certificate, key: options.key, minVersion: 'TLSv1.2' },
    answer,
  )
  secure.on('keylog', (line: Buffer) => (keylog += line.toString('latin1')))
  const open = new Set<Socket>()
  const { ports = { http: 0, https: 0 } } = options
  for (const [server, port] of [
    [plain, ports.http],
    [secure, ports.https],
  ] as const) {
    server.on('connection', (socket: Socket) => {
      clients.push({ address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 })
      open.add(socket)
      socket.on('close', () => open.delete(socket))
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        plain.close()
        reject(listenError(error, { host: options.address, port }))
      })
      server.listen(port, options.address, resolve)
    })
  }
  const endpointOf = (server: http.Server | https.Server): Endpoint => {
    const { address, port } = server.address() as AddressInfo
    return { address, port }
  }
  return {
    http: endpointOf(plain),
    https: endpointOf(secure),
    clients: () => [...clients],
    takeClients: () => clients.splice(0),
    keylog: () => keylog,
    close: () => {
      plain.close()
      secure.close()
      for (const socket of open) socket.destroy()
      clients = []
    },
  }
}
