// The admin listener: /metrics for Prometheus, /healthz and /readyz for whoever restarts and routes. Rules:
// read-only, nothing about who or where, closed to all but `allowFrom` and, if set, holders of the token.
import { createHash, timingSafeEqual } from 'node:crypto'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Registry } from 'prom-client'
import { inCidrs, parseCidr, parseListenAddress, type Cidr } from '../config/address.ts'
import type { Config } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import type { BoundAddress } from '../protocol/request.ts'
import { listenTcp, type Listener } from '../transport/listener.ts'

type AdminConfig = Pick<Config['admin'], 'listen' | 'allowFrom'>

export interface AdminOptions {
  readonly config: AdminConfig
  /** The bearer token that must be shown, if any. */
  readonly token: string | undefined
  readonly registry: Pick<Registry, 'metrics' | 'contentType'>
  /** True while requests are taken. */
  readonly ready: () => boolean
}

/** Who may ask. */
interface Door {
  readonly allowed: readonly Cidr[]
  readonly token: string | undefined
}

/** A reload that may be put in force, or not. */
export interface PreparedAdmin {
  /** Where it listens once it is in force. */
  readonly address: BoundAddress
  commit(): void
  abandon(): void
}

const LOOPBACK = ['127.0.0.0/8', '::1/128']
const SILENCE_MS = 30_000

export class Admin {
  #server: http.Server
  #listen: string
  #listener: Listener
  #door: Door

  private constructor({ config, token, registry, ready }: AdminOptions, listener: Listener) {
    this.#listen = config.listen
    this.#listener = listener
    this.#door = doorOf(config, token)
    this.#server = http.createServer(
      (request, response) => void answer(request, response, this.#door, { registry, ready }),
    )
    listener.handTo(this.#accept)
  }

  /** Errors: `address-in-use`, `listen-failed`. */
  static async start(options: AdminOptions): Promise<Admin> {
    return new Admin(options, await listen(options.config.listen))
  }

  get address(): BoundAddress {
    return this.#listener.address
  }

  /** Listens at another address where that changed. Errors: `address-in-use`, `listen-failed`. */
  async prepare(config: AdminConfig, token: string | undefined): Promise<PreparedAdmin> {
    const moved = config.listen === this.#listen ? undefined : await listen(config.listen)
    return {
      address: (moved ?? this.#listener).address,
      commit: () => {
        this.#door = doorOf(config, token)
        if (moved === undefined) return
        void this.#listener.close()
        this.#listen = config.listen
        this.#listener = moved
        moved.handTo(this.#accept)
      },
      abandon: () => void moved?.close(),
    }
  }

  async close(): Promise<void> {
    await this.#listener.close()
  }

  #accept = (socket: Socket): void => {
    socket.setTimeout(SILENCE_MS, () => socket.destroy())
    this.#server.emit('connection', socket)
  }
}

function listen(address: string): Promise<Listener> {
  const where = parseListenAddress(address)
  if (where === undefined) throw new GatewayError('config-invalid', { detail: 'admin.listen is no address' })
  return listenTcp(where, (socket) => socket.destroy())
}

function doorOf(config: AdminConfig, token: string | undefined): Door {
  const allowed = config.allowFrom ?? (token === undefined ? LOOPBACK : ['0.0.0.0/0', '::/0'])
  return { token, allowed: allowed.map(parseCidr).filter((range): range is Cidr => range !== undefined) }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { allowed, token }: Door,
  { registry, ready }: Pick<AdminOptions, 'registry' | 'ready'>,
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
