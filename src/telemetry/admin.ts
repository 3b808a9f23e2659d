// The admin listener: /metrics for Prometheus, /healthz and /readyz for whoever restarts and routes. Rules:
// read-only, nothing about who or where, closed to all but `allowFrom` and, if set, holders of the token.
import { createHash, timingSafeEqual } from 'node:crypto'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { Registry } from 'prom-client'
import { inCidrs, parseCidr, parseListenAddress, type Cidr } from '../config/address.ts'
import type { Config } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import { listenTcp, type Listener } from '../transport/listener.ts'

export interface AdminOptions {
  readonly config: Config['admin']
  /** The bearer token that must be shown, if any. */
  readonly token: string | undefined
  readonly registry: Registry
  /** True while requests are taken. */
  readonly ready: () => boolean
}

const LOOPBACK = ['127.0.0.0/8', '::1/128']

/** Starts the admin listener. Errors: `address-in-use`, `listen-failed`. */
export async function startAdmin(options: AdminOptions): Promise<Listener> {
  const where = parseListenAddress(options.config.listen)
  if (where === undefined) throw new GatewayError('config-invalid', { detail: 'admin.listen is no address' })
  const allowed = (
    options.config.allowFrom ?? (options.token === undefined ? LOOPBACK : ['0.0.0.0/0', '::/0'])
  )
    .map(parseCidr)
    .filter((range): range is Cidr => range !== undefined)
  const server = http.createServer((request, response) => void answer(request, response, allowed, options))
  return listenTcp(where, (socket) => {
    socket.setTimeout(30_000, () => socket.destroy())
    server.emit('connection', socket)
  })
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  allowed: readonly Cidr[],
  { registry, token, ready }: AdminOptions,
): Promise<void> {
  const say = (status: number, body: string, type = 'text/plain; charset=utf-8'): void => {
    response.writeHead(status, {
      'content-type': type,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    response.end(request.method === 'HEAD' ? undefined : body)
  }
  if (!inCidrs(request.socket.remoteAddress ?? '', allowed))
    return say(403, 'error: this address may not ask\n')
  if (token !== undefined && !sameToken(request.headers.authorization, token)) {
    response.setHeader('www-authenticate', 'Bearer realm="sightline admin"')
    return say(401, 'error: a bearer token is required\n')
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') return say(405, 'error: only GET and HEAD\n')
  switch (request.url?.split('?')[0]) {
    case '/metrics':
      return say(200, await registry.metrics(), registry.contentType)
    case '/healthz':
      return say(200, 'ok\n')
    case '/readyz':
      return ready() ? say(200, 'ready\n') : say(503, 'not ready\n')
    default:
      return say(404, 'error: there is /metrics, /healthz and /readyz\n')
  }
}

function sameToken(header: string | undefined, token: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(header ?? ''), digest(`Bearer ${token}`))
}
