// A process that serves until it is told to stop: gateway, admin listener, telemetry and signals. `serve`,
// `connect` and `up` differ only in their config. Rules: one `ready` line once everything listens; SIGHUP
// reloads, SIGTERM drains, a second one stops at once.
import { readText } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { Gateway, type GatewayOptions } from '../gateway/gateway.ts'
import type { BoundAddress, Mode } from '../protocol/request.ts'
import { startAdmin } from '../telemetry/admin.ts'
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
  readonly started?: (gateway: Gateway) => Promise<void> | void
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
  const { config, beside = [] } = options
  const metrics = new Metrics(VERSION)
  const log = new Log(config.log.level, io.log)
  const stopped = Promise.withResolvers<number>()
  let gateway: Gateway | undefined
  let admin: Listener | undefined
  let stopping = false

  const stop = (): void => {
    if (stopping || gateway === undefined) {
      gateway?.destroy()
      return stopped.resolve(stopping ? EXIT_FAILURE : 0)
    }
    stopping = true
    log.info('draining')
    void gateway.drain(config.drainTimeoutMs).then((finished) => {
      log.info('stopped', { finished })
      stopped.resolve(0)
    })
  }
  const reload = (): void => {
    try {
      gateway?.reload(options.reread())
    } catch (thrown) {
      fail(io, thrown)
      io.err('hint: nothing was changed; the running configuration goes on')
    }
  }
  io.onSignal('SIGTERM', stop)
  io.onSignal('SIGINT', stop)
  io.onSignal('SIGHUP', reload)

  try {
    if (options.admin) {
      const token =
        config.admin.token === undefined ? undefined : readText(config.admin.token, 'admin.token').trim()
      const ready = (): boolean => gateway !== undefined && !gateway.draining
      admin = await startAdmin({ config: config.admin, token, registry: metrics.registry, ready })
    }
    const otherListeners: BoundAddress[] = beside.flatMap(({ listener, reachable }) =>
      reachable ? [] : [listener.address],
    )
    if (admin !== undefined) otherListeners.push(admin.address)
    gateway = await Gateway.start({
      config,
      observer: joinObservers(metrics.observer, log.observer),
      otherListeners,
      ...(options.onTunnelState && { onTunnelState: options.onTunnelState }),
    })
    await options.started?.(gateway)
    const addresses: ReadyAddress[] = [
      ...gateway.addresses.map(({ mode, config: { type }, address }) => ({
        name: type === 'mixed' && mode !== 'tunnel-client' ? 'mixed' : MODE_NAMES[mode],
        address: formatAddress(address),
      })),
      ...beside.map(({ name, listener }) => ({ name, address: formatAddress(listener.address) })),
      ...(admin === undefined ? [] : [{ name: 'admin', address: formatAddress(admin.address) }]),
    ]
    printReady(addresses, options.json, io)
    options.ready?.(addresses)
    return await stopped.promise
  } catch (thrown) {
    return fail(io, thrown)
  } finally {
    gateway?.destroy()
    void admin?.close()
  }
}

function printReady(addresses: readonly ReadyAddress[], json: boolean, io: ServiceIo): void {
  if (json) io.out(JSON.stringify({ event: 'ready', addresses }))
  else io.out(`ready ${addresses.map(({ name, address }) => `${name} ${address}`).join('  ')}`)
}
