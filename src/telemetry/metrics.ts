// Prometheus metrics. Rules: labels come from closed sets only (modes, codes, observers, information), so that no
// metric can hold an address, a destination or a name; what happens for each chunk is a number added in memory,
// and becomes a sample only when somebody scrapes. docs/operating.md says what each is for.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Direction, GatewayState, Observer, Readable, Refusal, StreamEnd } from '../gateway/observer.ts'
import type { StreamFacts } from '../policy/exposure.ts'
import { MODES, type Identity, type Mode } from '../protocol/request.ts'
import { ExposedStreams } from './exposed-streams.ts'
import { Identities } from './identities.ts'
import { inSteps, OpenCounts } from './open-counts.ts'
import { countDescriptors } from './open-descriptors.ts'

const DIRECTIONS: readonly Direction[] = ['up', 'down']
const READABLE: readonly Readable[] = ['yes', 'no', 'unknown']
const STATES: readonly GatewayState[] = ['serving', 'leaving', 'draining']
const WAIT_BUCKETS_SECONDS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10]
const RELAY_BUCKETS_SECONDS = [0.1, 1, 10, 60, 600, 3_600, 36_000]
/** Of Node's own: they go through every socket at each scrape, and are named against Prometheus' rules. */
const LEFT_OUT = ['handles', 'requests', 'resources'].flatMap((what) => [
  `nodejs_active_${what}`,
  `nodejs_active_${what}_total`,
])

/** Where a scrape asks. */
export interface MetricsSources {
  /**
   * Samples of the process itself (memory, event loop); default true. prom-client keeps an event loop's histogram of about
   * 1 MiB for each registry that has them, for ever: not for what is made again and again in one process.
   */
  readonly ofProcess?: boolean
  /** Milliseconds since 1970. */
  readonly nowMs?: () => number
  /** Told of who comes for the first time on a day, where somebody else counts them. */
  readonly seen?: (identity: Identity) => void
  /** Log lines that could not be written. */
  readonly linesLost?: () => number
}

export class Metrics {
  readonly registry = new Registry()
  #bytes = new Float64Array(MODES.length * DIRECTIONS.length * READABLE.length)
  #flushed = new Float64Array(this.#bytes.length)
  #identities: Identities
  #nowMs: () => number
  #connections = this.#open('connections', 'client connections that are open')
  #connectionsTotal = this.#counter('connections_total', 'client connections accepted', ['mode'])
  #streams = this.#open('streams', 'streams that are being relayed')
  #streamsTotal = this.#counter('streams_total', 'streams that have ended, by how', ['mode', 'outcome'])
  #refusals = this.#counter('refusals_total', 'requests and connections refused, by error code', [
    'mode',
    'code',
  ])
  #decisions = this.#counter(
    'egress_decisions_total',
    'requests by what the egress rules said: connected, denied, or reported (mode report: would be denied)',
    ['mode', 'decision', 'reason'],
  )
  #dropped = this.#counter(
    'datagrams_dropped_total',
    'UDP datagrams of associations that went nowhere, by why',
    ['mode', 'reason'],
  )
  #shaped = this.#counter(
    'shaped_seconds_total',
    'time for which streams were not read, to keep to bytesPerSecondPerIdentity',
    ['mode', 'direction'],
  )
  #sessions = 0
  #sessionsOpened = this.#counter(
    'tunnel_sessions_opened_total',
    'tunnel sessions that clients have begun',
    [],
  )
  #sessionsClosed = this.#counter(
    'tunnel_sessions_closed_total',
    'tunnel sessions that have ended, by error code',
    ['code'],
  )
  #tunnelUp = this.#gauge('tunnel_up', '1 while the tunnel that this client keeps to its gateway stands', [])
  #certificateExpiry = this.#gauge(
    'certificate_expiry_timestamp_seconds',
    'when the first of its kind that is in force ends, in seconds since 1970; 0 for a revocation list that cannot be read',
    ['part'],
  )
  #reloads = this.#counter('reloads_total', 'reloads of the configuration, by outcome', ['outcome'])
  #fileReloads = this.#counter(
    'file_reloads_total',
    'users, certificates and lists read again since their files had changed, by outcome',
    ['part', 'outcome'],
  )
  #reloadSuccessful = this.#gauge('config_last_reload_successful', '0 after a reload that was refused', [])
  #reloadTime = this.#gauge(
    'config_last_reload_success_timestamp_seconds',
    'when the configuration in force was read',
    [],
  )
  #state = this.#gauge('state', '1 for the state that the process is in', ['state'])
  // Of none of these is there a sample where nothing is shared.
  #sharedUp = this.#gauge('shared_state_up', '1 while what replicas share can be reached', ['store'])
  #sharedSynced = this.#gauge(
    'shared_state_last_sync_timestamp_seconds',
    'when all that replicas share was last looked at, in seconds since 1970',
    ['store'],
  )
  #sharedErrors = this.#counter(
    'shared_state_errors_total',
    'what failed of what replicas share, or was refused, by part and error code',
    ['part', 'code'],
  )
  // Nor where no usage is kept.
  #usageUp = this.#gauge('usage_store_up', '1 while the store of usage takes what it is given', ['store'])
  #usageWritten = this.#gauge(
    'usage_store_last_write_timestamp_seconds',
    'when the store of usage last took something, in seconds since 1970',
    ['store'],
  )
  #usageErrors = this.#counter(
    'usage_store_errors_total',
    'writes that the store of usage did not take, by error code',
    ['code'],
  )
  #usageLost = this.#counter(
    'usage_lost_bytes_total',
    'bytes relayed of which the store of usage will never know, since it was away for too long',
    [],
  )
  #handshakeSeconds = this.#histogram(
    'handshake_seconds',
    'time from an accepted connection to its first request or its tunnel, TLS included',
    WAIT_BUCKETS_SECONDS,
  )
  #dialSeconds = this.#histogram(
    'dial_seconds',
    'time from a request to its connected upstream',
    WAIT_BUCKETS_SECONDS,
  )
  #relaySeconds = this.#histogram(
    'relay_seconds',
    'time from a request to the end of its relay',
    RELAY_BUCKETS_SECONDS,
  )
  #exposed = new ExposedStreams(this.registry)

  constructor(
    version: string,
    { ofProcess = true, nowMs = Date.now, linesLost = () => 0, seen }: MetricsSources = {},
  ) {
    const { registry } = this
    if (ofProcess) {
      collectDefaultMetrics({ register: registry })
      for (const name of LEFT_OUT) registry.removeSingleMetric(name)
      countDescriptors(registry)
    }
    this.#identities = new Identities(nowMs, seen)
    const relayed: Counter<'mode' | 'direction' | 'readable'> = new Counter({
      name: 'sightline_relayed_bytes_total',
      help: 'bytes relayed, by whether the gateway operator could read them',
      labelNames: ['mode', 'direction', 'readable'],
      registers: [registry],
      collect: (): void => this.#flushBytes(relayed),
    })
    const sessions: Gauge = new Gauge({
      name: 'sightline_tunnel_sessions',
      help: 'tunnel sessions that clients keep to this gateway',
      registers: [registry],
      collect: () => sessions.set(inSteps(this.#sessions, this.#connections.step)),
    })
    this.#counted(
      'identities_seen_total',
      'users and certificates that came for the first time on their day (UTC), in steps of 10',
      () => this.#identities.seen,
    )
    this.#counted('log_lines_lost_total', 'log lines that could not be written', linesLost)
    this.#gauge('build_info', 'version of the program; always 1', ['version']).set({ version }, 1)
    this.#tunnelUp.set(0)
    this.#reloadSuccessful.set(1)
    this.#reloadTime.set(nowMs() / 1000)
    this.#nowMs = nowMs
  }

  /** Of several processes: how many serve, and how often one had to be started again. */
  workers(up: () => number): { lost(): void } {
    const gauge: Gauge = new Gauge({
      name: 'sightline_workers',
      help: 'worker processes that serve',
      registers: [this.registry],
      collect: () => gauge.set(up()),
    })
    const restarts = this.#counter(
      'worker_restarts_total',
      'worker processes that ended without being told to, and were started again',
      [],
    )
    return { lost: () => restarts.inc() }
  }

  /** Somebody came to another process. */
  saw(identity: Identity): void {
    this.#identities.saw(identity)
  }

  /** How much is open is shown in multiples of this. */
  set countStep(step: number) {
    this.#connections.step = step
    this.#streams.step = step
  }

  /** The part of the observer that counts. */
  readonly observer: Observer = {
    connectionOpened: (mode) => {
      this.#connections.add(mode, 1)
      this.#connectionsTotal.inc({ mode })
    },
    connectionClosed: (mode) => this.#connections.add(mode, -1),
    sessionOpened: (identity) => {
      this.#sessions += 1
      this.#sessionsOpened.inc()
      this.#identities.saw(identity)
    },
    sessionClosed: (code) => {
      this.#sessions -= 1
      this.#sessionsClosed.inc({ code })
    },
    refused: ({ mode, code, reason }: Refusal) => {
      this.#refusals.inc({ mode, code })
      if (code === 'destination-denied')
        this.#decisions.inc({ mode, decision: 'denied', reason: reason ?? 'unknown' })
    },
    wouldRefuse: ({ mode, reason = 'unknown' }: Refusal) =>
      this.#decisions.inc({ mode, decision: 'reported', reason }),
    handshaken: (mode, durationMs) => this.#handshakeSeconds.observe({ mode }, durationMs / 1000),
    dialled: (mode, durationMs) => {
      this.#dialSeconds.observe({ mode }, durationMs / 1000)
      if (mode !== 'tunnel-client') this.#decisions.inc({ mode, decision: 'connected', reason: 'none' })
    },
    streamOpened: (mode, identity) => {
      this.#streams.add(mode, 1)
      this.#identities.saw(identity)
    },
    streamClosed: ({ mode, outcome, durationMs }: StreamEnd) => {
      this.#streams.add(mode, -1)
      this.#streamsTotal.inc({ mode, outcome })
      this.#relaySeconds.observe({ mode }, durationMs / 1000)
    },
    relayed: (mode, direction, readable, bytes) => {
      const index = byteIndex(mode, direction, readable)
      this.#bytes[index] = (this.#bytes[index] ?? 0) + bytes
    },
    shaped: (mode, direction, restMs) => this.#shaped.inc({ mode, direction }, restMs / 1000),
    datagramDropped: (mode, reason) => this.#dropped.inc({ mode, reason }),
    streamRead: (facts: StreamFacts) => this.#exposed.count(facts),
    certificateEnds: (ends) => {
      this.#certificateExpiry.reset()
      for (const { part, ends: end } of ends.toSorted(
        (one, other) => other.ends.getTime() - one.ends.getTime(),
      )) {
        this.#certificateExpiry.set({ part }, end.getTime() / 1000)
      }
    },
    certificateNotice: () => {},
    tunnelState: (state) => this.#tunnelUp.set(state === 'up' ? 1 : 0),
    reloaded: (outcome) => {
      this.#reloads.inc({ outcome })
      this.#reloadSuccessful.set(outcome === 'ok' ? 1 : 0)
      if (outcome === 'ok') this.#reloadTime.set(this.#nowMs() / 1000)
    },
    filesReloaded: (part, outcome) => this.#fileReloads.inc({ part, outcome }),
    sharedState: (up) => {
      for (const gauge of up === undefined ? [this.#sharedUp, this.#sharedSynced] : []) gauge.reset()
      if (up !== undefined) this.#sharedUp.set({ store: 'redis' }, up ? 1 : 0)
    },
    sharedStateFailed: (part, code) => this.#sharedErrors.inc({ part, code }),
    sharedStateSynced: () => this.#sharedSynced.set({ store: 'redis' }, this.#nowMs() / 1000),
    usageStore: (outcome) => {
      for (const gauge of outcome === undefined ? [this.#usageUp, this.#usageWritten] : []) gauge.reset()
      if (outcome === undefined) return
      this.#usageUp.set({ store: 'file' }, outcome === 'ok' ? 1 : 0)
      if (outcome === 'ok') this.#usageWritten.set({ store: 'file' }, this.#nowMs() / 1000)
      else this.#usageErrors.inc({ code: outcome })
    },
    usageLost: (bytes) => this.#usageLost.inc(bytes),
    stateChanged: (now) => {
      for (const state of STATES) this.#state.set({ state }, state === now ? 1 : 0)
    },
  }

  #flushBytes(relayed: Counter<'mode' | 'direction' | 'readable'>): void {
    for (const mode of MODES) {
      for (const direction of DIRECTIONS) {
        for (const readable of READABLE) {
          const index = byteIndex(mode, direction, readable)
          const total = this.#bytes[index] ?? 0
          const fresh = total - (this.#flushed[index] ?? 0)
          if (fresh === 0) continue
          relayed.inc({ mode, direction, readable }, fresh)
          this.#flushed[index] = total
        }
      }
    }
  }

  /** A counter that is kept elsewhere. */
  #counted(name: string, help: string, count: () => number): void {
    const counter: Counter = new Counter({
      name: `sightline_${name}`,
      help,
      registers: [this.registry],
      collect: () => {
        counter.reset()
        counter.inc(count())
      },
    })
  }

  #open(name: string, help: string): OpenCounts {
    return new OpenCounts(`sightline_${name}`, help, this.registry)
  }

  #histogram(name: string, help: string, buckets: number[]): Histogram<'mode'> {
    const registers = [this.registry]
    return new Histogram({ name: `sightline_${name}`, help, labelNames: ['mode'], buckets, registers })
  }

  #counter<T extends string>(name: string, help: string, labelNames: T[]): Counter<T> {
    return new Counter({ name: `sightline_${name}`, help, labelNames, registers: [this.registry] })
  }

  #gauge<T extends string>(name: string, help: string, labelNames: T[]): Gauge<T> {
    return new Gauge({ name: `sightline_${name}`, help, labelNames, registers: [this.registry] })
  }
}

function byteIndex(mode: Mode, direction: Direction, readable: Readable): number {
  return (
    (MODES.indexOf(mode) * DIRECTIONS.length + DIRECTIONS.indexOf(direction)) * READABLE.length +
    READABLE.indexOf(readable)
  )
}
