// One of several processes that serve: a gateway of its own, told by the primary what to do. Rules: it reads no config file
// and answers to no signal; what it counts for limits the primary counts; and it does not outlive the primary.
import cluster from 'node:cluster'
import type { GatewayError } from '../errors.ts'
import { Gateway } from '../gateway/gateway.ts'
import type { PreparedReload } from '../gateway/inbounds.ts'
import type { Observer } from '../gateway/observer.ts'
import type { BoundAddress } from '../protocol/request.ts'
import { joinObservers, Log } from '../telemetry/log.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { Asks } from '../workers/asks.ts'
import {
  sendableError,
  type CallName,
  type Calls,
  type InboundAddress,
  type ToPrimary,
  type ToWorker,
  type WorkerSetting,
} from '../workers/messages.ts'
import { EXIT_FAILURE, fail } from './failure.ts'
import type { ServiceIo } from './io.ts'
import { VERSION } from './version.ts'

const TICK_MS = 200

/** Serves until the primary ends it; gives the exit code. */
export function runWorker(io: ServiceIo): Promise<number> {
  const ended = Promise.withResolvers<number>()
  const { worker } = cluster
  if (worker === undefined) return Promise.resolve(EXIT_FAILURE)
  const send = (message: ToPrimary, sent: () => void = () => {}): void => {
    if (worker.isConnected()) worker.send(message, undefined, sent)
    else sent()
  }
  const asks = new Asks(send)
  const serving = new Serving(io, asks, send)
  // The channel goes with the process: not before all that was said is sent.
  const said = (): void => {
    if (serving.over !== undefined) ended.resolve(serving.over)
  }
  // A terminal or a service manager may send these to all processes at once; the primary says what is to be done.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) io.onSignal(signal, () => {})
  worker.on('message', (message: ToWorker) => {
    if (message.type !== 'call') return asks.take(message)
    const { id } = message
    serving.take(message.name, message.value).then(
      (value) => send({ type: 'reply', id, value }, said),
      (thrown: unknown) => send({ type: 'reply', id, error: sendableError(thrown) }, said),
    )
  })
  return ended.promise
}

class Serving {
  #io: ServiceIo
  #asks: Asks
  #send: (message: ToPrimary) => void
  /** The exit code, once it has nothing more to do. */
  over: number | undefined
  #gateway: Gateway | undefined
  #metrics: Metrics
  #log: Log | undefined
  #ready = true
  #prepared: { readonly reload: PreparedReload; readonly next: Calls['prepare'][0] } | undefined
  #otherListeners: readonly BoundAddress[] = []

  constructor(io: ServiceIo, asks: Asks, send: (message: ToPrimary) => void) {
    this.#io = io
    this.#asks = asks
    this.#send = send
    this.#metrics = new Metrics(VERSION, {
      linesLost: () => io.log.lost ?? 0,
      seen: ({ kind, name }) => send({ type: 'seen', identity: { kind, name } }),
    })
  }

  async take(name: CallName, value: unknown): Promise<Calls[CallName][1]> {
    switch (name) {
      case 'start':
        return this.#start(value as WorkerSetting)
      case 'prepare':
        return this.#prepare(value as Calls['prepare'][0])
      case 'commit':
        return this.#commit()
      case 'abandon':
        this.#prepared?.reload.abandon()
        this.#prepared = undefined
        return null
      case 'drain': {
        const { timeoutMs, delayMs } = value as Calls['drain'][0]
        const finished = await this.#gateway?.drain(timeoutMs, delayMs)
        this.over = 0
        return finished === true
      }
      case 'destroy':
        this.#gateway?.destroy()
        this.over = EXIT_FAILURE
        return null
      case 'metrics':
        return this.#metrics.registry.getMetricsAsJSON()
    }
  }

  async #start(setting: WorkerSetting): Promise<readonly InboundAddress[]> {
    const { config, slot, ticketSecret, logKey, otherListeners } = setting
    const log = new Log(config.log.level, this.#io.log, Buffer.from(logKey, 'base64'))
    this.#log = log
    this.#otherListeners = otherListeners
    try {
      this.#gateway = await Gateway.start({
        config,
        observer: {
          ...joinObservers(this.#metrics.observer, this.#logged(log.observer, slot)),
          // The primary keeps it, and says how that goes.
          usageStore: () => {},
          usageLost: () => {},
        },
        otherListeners: () => this.#otherListeners,
        onFilesRefused: (error) => this.#filesRefused(error, slot),
        among: {
          places: this.#asks,
          ticketSecret: Buffer.from(ticketSecret, 'base64'),
          openUsage: () => ({
            add: (uses) => {
              if (uses.length > 0) this.#send({ type: 'usage', uses })
            },
            // The primary has it, and says it with each place.
            bytesOf: () => 0,
            forget: () => {},
            close: () => {},
          }),
        },
      })
    } catch (thrown) {
      this.over = EXIT_FAILURE
      throw thrown
    }
    setInterval(() => this.#tick(), TICK_MS)
    return this.#addresses()
  }

  /** What is the same in all of them is said by the primary, or by the first. */
  #logged(observer: Observer, slot: number): Observer {
    return {
      ...observer,
      reloaded: () => {},
      stateChanged: (state) => {
        if (state === 'draining') this.#send({ type: 'draining' })
      },
      certificateNotice: (notice) => {
        if (slot === 0) observer.certificateNotice(notice)
      },
      filesReloaded: (part, code) => {
        if (slot === 0 || code !== 'ok') observer.filesReloaded(part, code)
      },
    }
  }

  #filesRefused(error: GatewayError, slot: number): void {
    if (slot !== 0) return
    fail(this.#io, error)
    this.#io.err('hint: what was read before goes on')
  }

  async #prepare(next: Calls['prepare'][0]): Promise<null> {
    const reload = await this.#gateway?.prepare(next.config)
    if (reload !== undefined) this.#prepared = { reload, next }
    return null
  }

  async #commit(): Promise<readonly InboundAddress[]> {
    const prepared = this.#prepared
    this.#prepared = undefined
    if (prepared !== undefined) {
      const { config, otherListeners } = prepared.next
      this.#otherListeners = otherListeners
      if (this.#log !== undefined) this.#log.level = config.log.level
      await prepared.reload.commit()
    }
    return this.#addresses()
  }

  #tick(): void {
    this.#asks.tellBytes()
    const ready = this.#gateway?.ready === true
    if (ready !== this.#ready) this.#send({ type: 'ready', ready })
    this.#ready = ready
  }

  #addresses(): InboundAddress[] {
    return (this.#gateway?.addresses ?? []).map(({ config: { type }, mode, address }) => ({
      type,
      mode,
      address,
    }))
  }
}
