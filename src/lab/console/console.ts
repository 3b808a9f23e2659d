// The console: one page on loopback that says what runs here, how to try it, and who could read what. Rules: no
// script and nothing from outside; a Host that is not this machine's is refused (DNS rebinding), and what makes the
// machine work is a POST from the page's own origin.
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { listenTcp, type ListenAddress, type Listener } from '../../transport/listener.ts'
import type { LabResult } from '../model.ts'
import { consolePage, type ConsoleFacts } from './page.ts'

export interface ConsoleOptions {
  readonly listen: ListenAddress
  /** What the page says; asked for at each request. */
  facts(): ConsoleFacts
  /** Measures anew; called one at a time. */
  measure(): Promise<LabResult>
}

const HEADERS = {
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  // With `no-referrer` a browser says `Origin: null` in the page's own POST (Fetch standard, section 3.1).
  'referrer-policy': 'same-origin',
  'cache-control': 'no-store',
}
const LOCAL_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/

/** Errors: `address-in-use`, `listen-failed`. */
export async function startConsole(options: ConsoleOptions): Promise<Listener> {
  let measuring: Promise<LabResult> | undefined
  let last: LabResult | undefined
  const measure = (): Promise<LabResult> => {
    measuring ??= options.measure().finally(() => (measuring = undefined))
    return measuring
  }
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const say = (status: number, body: string, more: Record<string, string> = {}): void => {
      response.writeHead(status, { ...HEADERS, 'content-type': 'text/plain; charset=utf-8', ...more })
      response.end(request.method === 'HEAD' ? undefined : body)
    }
    const { host = '', origin } = request.headers
    if (!LOCAL_HOST.test(host)) return say(403, 'error: this page is for this machine alone\n')
    if (request.url === '/measure' && request.method === 'POST') {
      if (origin !== `http://${host}`) return say(403, 'error: this request is not from the page\n')
      request.resume()
      last = await measure()
      response.writeHead(303, { ...HEADERS, location: '/#matrix' })
      return void response.end()
    }
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return say(405, 'error: only GET\n', { allow: 'GET, HEAD' })
    if (request.url === '/')
      return say(200, consolePage(options.facts(), last), { 'content-type': 'text/html; charset=utf-8' })
    if (request.url === '/matrix.json' && last !== undefined)
      return say(200, JSON.stringify(last), { 'content-type': 'application/json' })
    return say(404, 'error: there is nothing at this path\n')
  }
  const server = http.createServer((request, response) => {
    answer(request, response).catch((thrown: unknown) => {
      if (!response.headersSent) response.writeHead(500, HEADERS)
      response.end(`error: the measurement failed: ${thrown instanceof Error ? thrown.message : 'unknown'}\n`)
    })
  })
  return listenTcp(options.listen, (socket) => {
    socket.setTimeout(60_000, () => socket.destroy())
    server.emit('connection', socket)
  })
}
