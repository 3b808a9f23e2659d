// What the gateway of a measurement writes of itself: its log, once at each level, its metrics, and what its admin
// listener answers. Rule: the product's own writers, with nothing taken out; whoever else wants to be told is told of the
// measured request alone.
import http from 'node:http'
import { configSchema } from '../config/schema.ts'
import type { Observer } from '../gateway/observer.ts'
import { Admin } from '../telemetry/admin.ts'
import { joinObservers, Log } from '../telemetry/log.ts'
import { Metrics } from '../telemetry/metrics.ts'
import type { RecordSource } from './model.ts'

export type Written = Readonly<Record<Exclude<RecordSource, 'error-answers'>, string>>

const LEVELS = ['debug', 'info', 'warn', 'error'] as const
/** What it has no page for is an answer too. */
const ADMIN_PAGES = ['/healthz', '/readyz', '/', '/connections'] as const
const ADMIN_CONFIG = configSchema.shape.admin.parse({ listen: '127.0.0.1:0' })

export class Records {
  /** For the gateway. */
  readonly observer: Observer
  readonly metrics: Metrics
  readonly logs: readonly Log[]
  #lines: Map<(typeof LEVELS)[number], string>
  #admin: Admin
  #answers = { metrics: '', admin: '' }
  #tellOthers = true

  private constructor(metrics: Metrics, admin: Admin, others: Observer) {
    this.metrics = metrics
    this.#admin = admin
    this.#lines = new Map()
    this.logs = LEVELS.map(
      (level) =>
        new Log(level, {
          write: (line) => void this.#lines.set(level, (this.#lines.get(level) ?? '') + line),
        }),
    )
    const own = joinObservers(metrics.observer, ...this.logs.map(({ observer }) => observer))
    const all = joinObservers(own, others)
    this.observer = new Proxy(all, {
      get: (_, name: keyof Observer) => (this.#tellOthers ? all : own)[name],
    })
  }

  /** `others` is told too, of what a run measures. Errors: `listen-failed`. */
  static async start(others: Observer): Promise<Records> {
    const metrics = new Metrics('lab', { ofProcess: false })
    const { registry } = metrics
    const admin = await Admin.start({ config: ADMIN_CONFIG, token: undefined, registry, ready: () => true })
    return new Records(metrics, admin, others)
  }

  /** Forgets what was written before. */
  begin(): void {
    this.#lines.clear()
    this.#answers = { metrics: '', admin: '' }
    this.#tellOthers = true
  }

  /** The measured request is over: what follows is for the audit alone. */
  tellNobodyElse(): void {
    this.#tellOthers = false
  }

  /** Asks the admin listener for all that it has. Errors: those of Node. */
  async ask(): Promise<void> {
    const pages = await Promise.all(ADMIN_PAGES.map((page) => this.#get(page)))
    this.#answers = { metrics: await this.#get('/metrics'), admin: pages.join('\n') }
  }

  written(): Written {
    const line = (level: (typeof LEVELS)[number]): string => this.#lines.get(level) ?? ''
    return {
      'log-debug': line('debug'),
      'log-info': line('info'),
      'log-warn': line('warn'),
      'log-error': line('error'),
      ...this.#answers,
    }
  }

  async close(): Promise<void> {
    await this.#admin.close()
  }

  /** Head and body as they came. */
  #get(path: string): Promise<string> {
    const { address, port } = this.#admin.address
    return new Promise((resolve, reject) => {
      const request = http.get({ host: address, port, path, agent: false }, (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (text: string) => (body += text))
        response.on('end', () => resolve(`${response.rawHeaders.join('\n')}\n\n${body}`))
        response.on('error', reject)
      })
      request.on('error', reject)
    })
  }
}
