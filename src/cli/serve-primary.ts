// `sightline serve` with several workers: the process that starts them, counts for all of them, and is all that an operator
// sees: one admin listener, one log, one `ready` line, signals and exit codes as with one process. Rule: it serves no client
// itself.
import { randomBytes } from 'node:crypto'
import { toGatewayError } from '../errors.ts'
import { Ledger } from '../gateway/ledger.ts'
import type { GatewayState } from '../gateway/observer.ts'
import type { BoundAddress } from '../protocol/request.ts'
import { Admin, type PreparedAdmin } from '../telemetry/admin.ts'
import { joinObservers, Log } from '../telemetry/log.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { formatAddress } from '../transport/listener.ts'
import { Crew } from '../workers/crew.ts'
import { HeadCount } from '../workers/head-count.ts'
import { mergedMetrics } from '../workers/merge.ts'
import { EXIT_FAILURE, fail } from './failure.ts'
import type { ServiceIo } from './io.ts'
import { inboundAddress, print, readToken, type ReadyAddress, type ServiceOptions } from './service.ts'
import { VERSION } from './version.ts'

export interface PrimaryOptions extends Pick<ServiceOptions, 'config' | 'reread' | 'json'> {
  readonly workers: number
}

const SECRET_BYTES = 32

/** Runs until a signal ends it; gives the exit code. */
export async function runPrimary(options: PrimaryOptions, io: ServiceIo): Promise<number> {
  const { json, workers } = options
  let { config } = options
  const metrics = new Metrics(VERSION, { linesLost: () => io.log.lost ?? 0 })
  const logKey = randomBytes(SECRET_BYTES)
  const log = new Log(config.log.level, io.log, logKey)
  const observer = joinObservers(metrics.observer, log.observer)
  const ticketSecret = randomBytes(SECRET_BYTES).toString('base64')
  const usage = new Ledger({ observer, epochMs: Date.now })
  const clocks = { nowMs: () => performance.now(), epochMs: Date.now }
  const headCount = new HeadCount(config.limits, clocks, (identity) => usage.usedToday(identity))
  const counts = metrics.workers(() => crew?.up ?? 0)
  const stopped = Promise.withResolvers<number>()
  let crew: Crew | undefined
  let admin: Admin | undefined
  let state: GatewayState = 'serving'
  let ended = false
  let reloading: Promise<void> = Promise.resolve()

  const enter = (next: GatewayState): void => {
    if (state === next) return
    state = next
    observer.stateChanged(next)
  }
  const shown = (): ReadyAddress[] => [
    ...(crew?.addresses ?? []).map(inboundAddress),
    ...(admin === undefined ? [] : [{ name: 'admin', address: formatAddress(admin.address) }]),
  ]
  const stop = (delayMs: number): void => {
    if (crew === undefined || state !== 'serving') {
      const code = state === 'serving' ? 0 : EXIT_FAILURE
      ended = true
      void (crew?.destroy() ?? Promise.resolve()).then(() => stopped.resolve(code))
      return
    }
    if (delayMs > 0) enter('leaving')
    else state = 'leaving'
    void crew.drain(config.drainTimeoutMs, delayMs).then((finished) => {
      if (ended) return
      log.info('stopped', { finished })
      stopped.resolve(0)
    })
  }
  const others = (address: BoundAddress | undefined): BoundAddress[] =>
    address === undefined ? [] : [address]
  const reload = async (): Promise<void> => {
    try {
      const next = options.reread()
      const kept = usage.prepare(next.usage)
      let moved: PreparedAdmin | undefined
      try {
        moved = await admin?.prepare(next.admin, readToken(next))
        const otherListeners = others(moved?.address)
        const prepared = await crew?.prepare({ config: next, otherListeners })
        moved?.commit()
        config = next
        headCount.reload(next.limits)
        log.level = next.log.level
        await prepared?.commit()
        // Workers that keep no more have handed over what they had.
        kept.commit()
      } catch (thrown) {
        moved?.abandon()
        kept.abandon()
        throw thrown
      }
      observer.reloaded('ok')
      print('reloaded', shown(), json, io)
    } catch (thrown) {
      observer.reloaded(toGatewayError(thrown, 'self', 'config-invalid').code)
      fail(io, thrown)
      io.err('hint: nothing was changed; the running configuration goes on')
    }
  }
  io.onSignal('SIGTERM', () => stop(config.drainDelayMs))
  // Somebody at a terminal: there is no balancer to wait for.
  io.onSignal('SIGINT', () => stop(0))
  io.onSignal('SIGHUP', () => {
    reloading = reloading.then(reload)
  })

  try {
    const { contentType } = metrics.registry
    admin = await Admin.start({
      config: config.admin,
      token: readToken(config),
      registry: {
        contentType,
        metrics: async () =>
          mergedMetrics(
            await metrics.registry.getMetricsAsJSON(),
            (await crew?.metrics()) ?? [],
            config.admin.countStep,
          ),
      },
      ready: () => state === 'serving' && crew?.ready === true,
    })
    usage.prepare(config.usage).commit()
    crew = await Crew.start({
      count: workers,
      headCount,
      setting: (slot) => ({
        config,
        slot,
        ticketSecret,
        logKey: logKey.toString('base64'),
        otherListeners: others(admin?.address),
      }),
      line: (text) => io.log.write(`${text}\n`),
      seen: (identity) => metrics.saw(identity),
      used: (uses) => usage.take(uses),
      draining: () => enter('draining'),
      lost: (afterMs) => {
        counts.lost()
        log.warn('a worker ended, and is started again', { afterMs })
      },
      back: () => log.info('a worker serves again'),
      failed: (error) => fail(io, error),
    })
    observer.stateChanged('serving')
    print('ready', shown(), json, io)
    return await stopped.promise
  } catch (thrown) {
    return fail(io, thrown)
  } finally {
    usage.close()
    void admin?.close()
  }
}
