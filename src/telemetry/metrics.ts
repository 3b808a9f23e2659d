// Prometheus metrics. Rules: labels come from closed sets only (modes, codes, observers, information), so that no
// metric can hold an address, a destination or a name; what happens for each chunk is a number added in memory,
// and becomes a sample only when somebody scrapes.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Direction, Observer, Readable, Refusal, StreamEnd } from '../gateway/observer.ts'
import { exposedBy, type StreamFacts } from '../policy/exposure.ts'
import { MODES, type Mode } from '../protocol/request.ts'

const DIRECTIONS: readonly Direction[] = ['up', 'down']
const READABLE: readonly Readable[] = ['yes', 'no', 'unknown']
const DIAL_BUCKETS_SECONDS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10]

export class Metrics {
  readonly registry = new Registry()
  #bytes = new Float64Array(MODES.length * DIRECTIONS.length * READABLE.length)
  #flushed = new Float64Array(this.#bytes.length)
  #connections = this.#gauge('connections', 'client connections that are open', ['mode'])
  #connectionsTotal = this.#counter('connections_total', 'client connections accepted', ['mode'])
  #streams = this.#gauge('streams', 'streams that are being relayed', ['mode'])
  #streamsTotal = this.#counter('streams_total', 'streams that have ended, by how', ['mode', 'outcome'])
  #refusals = this.#counter('refusals_total', 'requests and connections refused, by error code', [
    'mode',
    'code',
  ])
  #reported = this.#counter('egress_reported_total', 'requests that egress mode enforce would have refused', [
    'mode',
    'reason',
  ])
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
  #sessions = this.#gauge('tunnel_sessions', 'tunnel sessions that clients keep to this gateway', [])
  #sessionsClosed = this.#counter(
    'tunnel_sessions_closed_total',
    'tunnel sessions that have ended, by error code',
    ['code'],
  )
  #tunnelUp = this.#gauge('tunnel_up', '1 while the tunnel that this client keeps to its gateway stands', [])
  #reloads = this.#counter('reloads_total', 'reloads of certificates and rules, by outcome', ['outcome'])
  #dialSeconds: Histogram<'mode'>
  #exposed = this.#counter(
    'exposed_streams_total',
    'streams in which that observer could read that information',
    ['mode', 'observer', 'information'],
  )

  constructor(version: string) {
    collectDefaultMetrics({ register: this.registry })
    this.#dialSeconds = new Histogram({
      name: 'sightline_dial_seconds',
      help: 'time from a request to its connected upstream',
      labelNames: ['mode'],
      buckets: DIAL_BUCKETS_SECONDS,
      registers: [this.registry],
    })
    const relayed: Counter<'mode' | 'direction' | 'readable'> = new Counter({
      name: 'sightline_relayed_bytes_total',
      help: 'bytes relayed, by whether the gateway operator could read them',
      labelNames: ['mode', 'direction', 'readable'],
      registers: [this.registry],
      collect: (): void => this.#flushBytes(relayed),
    })
    this.#gauge('build_info', 'version of the program; always 1', ['version']).set({ version }, 1)
    this.#tunnelUp.set(0)
  }

  /** The part of the observer that counts. */
  readonly observer: Observer = {
    connectionOpened: (mode) => {
      this.#connections.inc({ mode })
      this.#connectionsTotal.inc({ mode })
    },
    connectionClosed: (mode) => this.#connections.dec({ mode }),
    sessionOpened: () => this.#sessions.inc(),
    sessionClosed: (code) => {
      this.#sessions.dec()
      this.#sessionsClosed.inc({ code })
    },
    refused: ({ mode, code }: Refusal) => this.#refusals.inc({ mode, code }),
    wouldRefuse: ({ mode, reason = 'unknown' }: Refusal) => this.#reported.inc({ mode, reason }),
    dialled: (mode, durationMs) => this.#dialSeconds.observe({ mode }, durationMs / 1000),
    streamOpened: (mode) => this.#streams.inc({ mode }),
    streamClosed: ({ mode, outcome }: StreamEnd) => {
      this.#streams.dec({ mode })
      this.#streamsTotal.inc({ mode, outcome })
    },
    relayed: (mode, direction, readable, bytes) => {
      const index = byteIndex(mode, direction, readable)
      this.#bytes[index] = (this.#bytes[index] ?? 0) + bytes
    },
    shaped: (mode, direction, restMs) => this.#shaped.inc({ mode, direction }, restMs / 1000),
    datagramDropped: (mode, reason) => this.#dropped.inc({ mode, reason }),
    streamRead: (facts: StreamFacts) => {
      for (const { observer, information } of exposedBy(facts)) {
        this.#exposed.inc({ mode: facts.mode, observer, information })
      }
    },
    tunnelState: (state) => this.#tunnelUp.set(state === 'up' ? 1 : 0),
    reloaded: (outcome) => this.#reloads.inc({ outcome }),
    stateChanged: () => {},
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
