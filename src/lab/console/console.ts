// The console: the lab's pages on loopback. Rules: guard.ts says who may ask; only built files and the answers below are
// served; whatever a page sends is bounded; and one replay or measurement runs at a time.
import { randomBytes } from 'node:crypto'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { GatewayError, toGatewayError } from '../../errors.ts'
import type { Observer as GatewayObserver } from '../../gateway/observer.ts'
import { listenTcp, type ListenAddress, type Listener } from '../../transport/listener.ts'
import { BUILT_PAGE, loadAssets, type Asset } from './assets.ts'
import { readBenchResults } from './bench-results.ts'
import { Events } from './events.ts'
import { refusal, SECURITY_HEADERS } from './guard.ts'
import { CHOICES, checkOrder, isOrder } from './order.ts'
import { Replays } from './replay.ts'
import type { Cost, GatewayFacts, Measured, Pane, Welcome } from './wire.ts'

export interface ConsoleOptions {
  readonly listen: ListenAddress
  /** What the page is told first; asked for when it connects. */
  welcome(): Omit<Welcome, 'choices' | 'gateway' | 'bench'>
  /** The gateway that runs beside, where one does; asked for once a second while a page is open. */
  readonly gateway?: () => Promise<GatewayFacts>
  /** Measures what each mode costs through that gateway. */
  readonly cost?: () => Promise<Cost[]>
  /** Is told what the lab's own gateways do. */
  readonly observer: GatewayObserver
  /** Makes the words and addresses that nobody typed repeatable; default random each time. */
  readonly seed?: string
  /** Where the built page is. */
  readonly assets?: string
  /** Where the bench leaves its results. */
  readonly bench?: string
}

const MAX_BODY_BYTES = 8192
const IDLE_MS = 60_000
const GATEWAY_EVERY_MS = 1000
const CAPTURE_PATH = /^\/api\/captures\/(\d{1,9})\/(left|right)\/([a-z-]{1,60}\.pcapng)$/
const YEAR_SECONDS = 31_536_000

/** Errors: `address-in-use`, `listen-failed`, `file-unusable` where the page has not been built. */
export async function startConsole(options: ConsoleOptions): Promise<Listener> {
  const served = new ConsoleServer(options)
  const server = http.createServer((request, response) => void served.answer(request, response))
  const listener = await listenTcp(options.listen, (socket) => {
    // Pages that listen to events are kept open by the beat of those.
    socket.setTimeout(IDLE_MS, () => socket.destroy())
    server.emit('connection', socket)
  })
  return {
    ...listener,
    close: async () => {
      served.close()
      server.closeAllConnections()
      await listener.close()
    },
  }
}

class ConsoleServer {
  #options: ConsoleOptions
  #assets: ReadonlyMap<string, Asset>
  #bench: Measured | undefined
  #events = new Events()
  #replays: Replays
  #poll: NodeJS.Timeout | undefined
  #measuring: Promise<Cost[]> | undefined

  constructor(options: ConsoleOptions) {
    this.#options = options
    this.#assets = loadAssets(options.assets ?? BUILT_PAGE)
    this.#bench = readBenchResults(options.bench)
    this.#replays = new Replays({
      observer: options.observer,
      seed: () => options.seed ?? randomBytes(8).toString('hex'),
      tell: (event) => {
        if (event.type === 'replay') this.#events.forget()
        this.#events.send(event, true)
      },
    })
    const { gateway } = options
    if (gateway !== undefined)
      this.#poll = setInterval(() => void this.#tellGateway(gateway), GATEWAY_EVERY_MS).unref()
  }

  close(): void {
    clearInterval(this.#poll)
    this.#events.close()
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#route(request, response)
    } catch (thrown) {
      const { code, message } = toGatewayError(thrown, 'self')
      const bad = code === 'bad-request'
      const text = code === 'internal-error' ? 'the console failed' : message
      if (response.headersSent) response.destroy()
      else sayText(request, response, bad ? 400 : 500, text)
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', headers } = request
    const path = request.url?.split('?')[0] ?? '/'
    const acts = method !== 'GET' && method !== 'HEAD'
    const refused = refusal(headers, acts)
    if (refused !== undefined) return sayText(request, response, refused.status, refused.text)
    if (acts) {
      if (method === 'POST' && path === '/api/replay') return this.#replay(request, response)
      if (method === 'POST' && path === '/api/cost') return this.#cost(request, response)
      if (method === 'POST') return sayText(request, response, 404, 'there is nothing at this path')
      return sayText(request, response, 405, 'only GET and POST', { allow: 'GET, HEAD, POST' })
    }
    if (path === '/api/events') return this.#join(request, response)
    const [, replay, pane, name] = CAPTURE_PATH.exec(path) ?? []
    if (name !== undefined) return this.#capture(request, response, Number(replay), pane as Pane, name)
    const asset = this.#assets.get(path)
    if (asset === undefined) return sayText(request, response, 404, 'there is nothing at this path')
    sayAsset(request, response, asset)
  }

  #join(request: IncomingMessage, response: ServerResponse): void {
    const welcome: Welcome = {
      ...this.#options.welcome(),
      choices: CHOICES,
      gateway: this.#options.gateway !== undefined,
      bench: this.#bench ?? null,
    }
    if (this.#events.join(response, SECURITY_HEADERS, { type: 'welcome', welcome })) return
    sayText(request, response, 503, 'too many pages are open')
  }

  async #replay(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const checked = checkOrder(await readJson(request))
    if (!isOrder(checked)) return sayJson(response, 422, checked)
    const replay = this.#replays.start(checked)
    if (replay === undefined) return sayJson(response, 409, { problem: 'busy' })
    sayJson(response, 202, { replay })
  }

  #capture(
    request: IncomingMessage,
    response: ServerResponse,
    replay: number,
    pane: Pane,
    name: string,
  ): void {
    const capture = this.#replays.capture(replay, pane, name)
    if (capture === undefined) return sayText(request, response, 404, 'this replay is no longer kept')
    response.writeHead(200, {
      ...SECURITY_HEADERS,
      'cache-control': 'no-store',
      'content-type': 'application/octet-stream',
      'content-disposition': `attachment; filename="${capture.file}"`,
      'content-length': capture.bytes.length,
    })
    response.end(request.method === 'HEAD' ? undefined : capture.bytes)
  }

  /** Two that ask at the same time get the same measurement. */
  async #cost(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { cost } = this.#options
    await readJson(request)
    if (cost === undefined) return sayText(request, response, 404, 'no gateway runs beside this console')
    this.#measuring ??= cost().finally(() => (this.#measuring = undefined))
    sayJson(response, 200, await this.#measuring)
  }

  async #tellGateway(gateway: () => Promise<GatewayFacts>): Promise<void> {
    if (this.#events.listening > 0) this.#events.send({ type: 'gateway', gateway: await gateway() })
  }
}

/** The body as JSON. Throws `bad-request` for what is too long or none. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw new GatewayError('bad-request', { detail: 'the body is too long' })
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (cause) {
    throw new GatewayError('bad-request', { cause, detail: 'the body is not JSON' })
  }
}

function sayJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, {
    ...SECURITY_HEADERS,
    'cache-control': 'no-store',
    'content-type': 'application/json',
  })
  response.end(JSON.stringify(body))
}

function sayText(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
  more: Record<string, string> = {},
): void {
  response.writeHead(status, {
    ...SECURITY_HEADERS,
    'cache-control': 'no-store',
    'content-type': 'text/plain; charset=utf-8',
    // What is left of a body that nobody reads does not become the next request.
    ...(request.complete ? {} : { connection: 'close' }),
    ...more,
  })
  response.end(request.method === 'HEAD' ? undefined : `error: ${text}\n`)
}

function sayAsset(request: IncomingMessage, response: ServerResponse, asset: Asset): void {
  const brotli = /\bbr\b/.test(request.headers['accept-encoding'] ?? '')
  const headers = {
    ...SECURITY_HEADERS,
    'content-type': asset.type,
    'cache-control': asset.immutable ? `max-age=${YEAR_SECONDS}, immutable` : 'no-cache',
    etag: asset.etag,
    vary: 'accept-encoding',
  }
  if (request.headers['if-none-match'] === asset.etag) {
    response.writeHead(304, headers)
    return void response.end()
  }
  const body = brotli ? asset.brotli : asset.body
  response.writeHead(200, {
    ...headers,
    ...(brotli && { 'content-encoding': 'br' }),
    'content-length': body.length,
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}
