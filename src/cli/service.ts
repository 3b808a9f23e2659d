// A process that serves until it is told to stop: gateway, admin listener, telemetry and signals. `serve`,
// `connect` and `up` differ only in their config. Rules: one `ready` line once everything listens; SIGHUP puts another
// config in force, or none of it, and says so; SIGTERM drains, a second one stops at once.
import { readText } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { Gateway, type GatewayOptions } from '../gateway/gateway.ts'
import type { BoundAddress, Mode } from '../protocol/request.ts'
import { Admin } from '../telemetry/admin.ts'
import { joinObservers, Log } from '../telemetry/log.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { formatAddress, type Listener } from '../transport/listener.ts'
import { EXIT_FAILURE, fail } from './failure.ts'
import type { ServiceIo } from './io.ts'
import { VERSION } from './version.ts'

/** One address of the `ready` line. */
export interface ReadyAddress {
  readonly name: string
  readonly address: string
}

export interface ServiceOptions {
  readonly config: Config
  /** Reads the config again for SIGHUP. */
  readonly reread: () => Config
  readonly admin: boolean
  readonly json: boolean
  /** Listeners beside the gateway (the lab's), named in the `ready` line and never reachable through it. */
  readonly beside?: ReadonlyArray<{
    readonly name: string
    readonly listener: Listener
    readonly reachable: boolean
  }>
  readonly onTunnelState?: GatewayOptions['onTunnelState']
  /** Called once everything listens, before the `ready` line. Rejecting ends the process. */
  readonly started?: (gateway: Gateway, metrics: Metrics) => Promise<void> | void
  /** Called after the `ready` line. */
  readonly ready?: (addresses: readonly ReadyAddress[]) => void
}

const MODE_NAMES: Readonly<Record<Mode, string>> = {
  'http-proxy': 'http',
  'socks-proxy': 'socks',
  'https-proxy': 'https',
  tunnel: 'tunnel',
  'tunnel-client': 'client',
}

/** Runs until a signal ends it; gives the exit code. */
export async function runService(options: ServiceOptions, io: ServiceIo): Promise<number> {
  const { beside = [] } = options
  let { config } = options
  const metrics = new Metrics(VERSION, { linesLost: () => io.log.lost ?? 0 })
  metrics.countStep = config.admin.countStep
  const log = new Log(config.log.level, io.log)
  const stopped = Promise.withResolvers<number>()
  let gateway: Gateway | undefined
  let admin: Admin | undefined
  let stopping = false

  const shown = (): ReadyAddress[] => [
    ...(gateway?.addresses ?? []).map(({ mode, config: { type }, address }) =>
      inboundAddress({ mode, type, address }),
    ),
    ...beside.map(({ name, listener }) => ({ name, address: formatAddress(listener.address) })),
    ...(admin === undefined ? [] : [{ name: 'admin', address: formatAddress(admin.address) }]),
  ]
  const stop = (delayMs: number): void => {
    if (stopping || gateway === undefined) {
      gateway?.destroy()
      return stopped.resolve(stopping ? EXIT_FAILURE : 0)
    }
    stopping = true
    void gateway.drain(config.drainTimeoutMs, delayMs).then((finished) => {
      log.info('stopped', { finished })
      stopped.resolve(0)
    })
  }
  const reload = async (): Promise<void> => {
    try {
      const next = options.reread()
      const prepared = await admin?.prepare(next.admin, readToken(next))
      try {
        await gateway?.reload(next)
      } catch (thrown) {
        prepared?.abandon()
        throw thrown
      }
      prepared?.commit()
      log.level = next.log.level
      metrics.countStep = next.admin.countStep
      config = next
      print('reloaded', shown(), options.json, io)
    } catch (thrown) {
      fail(io, thrown)
      io.err('hint: nothing was changed; the running configuration goes on')
    }
  }
  io.onSignal('SIGTERM', () => stop(config.drainDelayMs))
  // Somebody at a terminal: there is no balancer to wait for.
  io.onSignal('SIGINT', () => stop(0))
  io.onSignal('SIGHUP', () => void reload())

  try {
    if (options.admin) {
      const ready = (): boolean => gateway?.ready === true
      const { registry } = metrics
      admin = await Admin.start({ config: config.admin, token: readToken(config), registry, ready })
    }
    const hidden = beside.flatMap(({ listener, reachable }) => (reachable ? [] : [listener.address]))
    gateway = await Gateway.start({
      config,
      observer: joinObservers(metrics.observer, log.observer),
      otherListeners: () => (admin === undefined ? hidden : [...hidden, admin.address]),
      onFilesRefused: (error) => {
        fail(io, error)
        io.err('hint: what was read before goes on')
      },
      ...(options.onTunnelState && { onTunnelState: options.onTunnelState }),
    })
    await options.started?.(gateway, metrics)
    const addresses = shown()
    print('ready', addresses, options.json, io)
    options.ready?.(addresses)
    return await stopped.promise
  } catch (thrown) {
    return fail(io, thrown)
  } finally {
    gateway?.destroy()
    void admin?.close()
  }
}

export function inboundAddress({
  mode,
  type,
  address,
}: {
  readonly mode: Mode
  readonly type: Config['inbounds'][number]['type']
  readonly address: BoundAddress
}): ReadyAddress {
  const name = type === 'mixed' && mode !== 'tunnel-client' ? 'mixed' : MODE_NAMES[mode]
  return { name, address: formatAddress(address) }
}

export function readToken({ admin: { token } }: Config): string | undefined {
  return token === undefined ? undefined : readText(token, 'admin.token').trim()
}

export function print(
  event: 'ready' | 'reloaded',
  addresses: readonly ReadyAddress[],
  json: boolean,
  io: ServiceIo,
): void {
  if (json) io.out(JSON.stringify({ event, addresses }))
  else io.out(`${event} ${addresses.map(({ name, address }) => `${name} ${address}`).join('  ')}`)
}
