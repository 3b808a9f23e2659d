// A gateway with one SOCKS listener in this process, its counters and its log, for a whole test file. Rule: it is
// ended after each test.
import { afterEach } from 'vitest'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { joinObservers, Log } from '../../src/telemetry/log.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import type { Resolve } from '../../src/transport/resolve.ts'
import { sum } from './metrics.ts'
import { LOOPBACK_EGRESS } from './stacks.ts'

export interface Setting extends Omit<Partial<ConfigInput>, 'inbounds'> {
  readonly inbound?: Partial<ConfigInput['inbounds'][number]>
  readonly resolve?: Resolve
}

export class SocksGateway {
  gateway: Gateway | undefined
  #metrics = new Metrics('test')
  log: string[] = []

  constructor() {
    afterEach(() => this.gateway?.destroy())
  }

  /** Starts one, with counters from 0; gives its port. */
  async start({ inbound, resolve, ...config }: Setting = {}): Promise<number> {
    this.#metrics = new Metrics('test')
    this.log = []
    const { log } = this
    const lines = new Log('debug', { write: (line) => void log.push(line) })
    this.gateway = await Gateway.start({
      config: configSchema.parse({
        inbounds: [{ type: 'socks', listen: '127.0.0.1:0', ...inbound }],
        egress: LOOPBACK_EGRESS,
        ...config,
      }),
      observer: joinObservers(this.#metrics.observer, lines.observer),
      ...(resolve && { resolve }),
    })
    return this.gateway.addresses[0]?.address.port ?? 0
  }

  /** The sum of sightline_`name` over the samples with these labels. */
  readonly count = async (name: string, labels: Record<string, string> = {}): Promise<number> =>
    sum(await this.#metrics.registry.metrics(), `sightline_${name}`, labels)

  readonly dropped = (reason?: string): Promise<number> =>
    this.count('datagrams_dropped_total', reason === undefined ? {} : { reason })

  readonly ended = (outcome: string): Promise<number> =>
    this.count('streams_total', { mode: 'socks-proxy', outcome })
}
