// The console as the tests start it: on any port, with the page that `npm ci` built, and asked as a browser or a stranger
// would. Rule: what it runs is ended with the scope that started it.
import http from 'node:http'
import { startConsole, type ConsoleOptions } from '../../src/lab/console/console.ts'
import type { Order } from '../../src/lab/console/wire.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

export interface RunningConsole extends AsyncDisposable {
  readonly host: string
  readonly port: number
  readonly url: string
  ask(method: string, target: string, headers?: Record<string, string>, body?: string): Promise<Answer>
  /** POSTs JSON as the page does. */
  post(target: string, body: unknown): Promise<Answer>
}

export const ORDER: Order = {
  left: { mode: 'http-proxy', variant: null },
  right: { mode: 'tunnel', variant: null },
  scheme: 'http',
  host: 'riverside-clinic',
  path: 'appointments/tuesday',
  message: 'please keep this between us',
  cookie: 'session-4711',
  password: 'my secret password',
}

export async function runConsole(options: Partial<ConsoleOptions> = {}): Promise<RunningConsole> {
  const listener = await startConsole({
    listen: { host: '127.0.0.1', port: 0 },
    welcome: () => ({ version: 'test', addresses: [], tries: [], settings: '' }),
    observer: new Metrics('test').observer,
    ...options,
  })
  const { port } = listener.address
  const host = `127.0.0.1:${port}`
  const ask: RunningConsole['ask'] = (method, target, headers = {}, body = '') =>
    new Promise((resolve, reject) => {
      const request = http.request(
        { host: '127.0.0.1', port, method, path: target, headers, agent: false },
        (response) => {
          let text = ''
          response.setEncoding('utf8')
          response.on('data', (chunk: string) => (text += chunk))
          response.on('error', reject)
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
          )
        },
      )
      request.on('error', reject)
      request.end(body)
    })
  return {
    host,
    port,
    url: `http://${host}/`,
    ask,
    post: (target, body) =>
      ask(
        'POST',
        target,
        { origin: `http://${host}`, 'content-type': 'application/json' },
        JSON.stringify(body),
      ),
    [Symbol.asyncDispose]: () => listener.close(),
  }
}
