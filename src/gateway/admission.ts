// Who may connect at all: how many connections, and how many new ones a second, in all and of each source. Rule: a
// place that was taken is given back exactly once, and what is held for a source ends with its last connection.
import type { Limits } from '../config/schema.ts'
import type { ErrorCode } from '../errors.ts'
import { Counts, Rates, sourceKey } from '../policy/limits.ts'
import { TokenBucket } from '../policy/token-bucket.ts'

const RATED_SOURCES_MAX = 20_000

export type AdmissionLimits = Pick<
  Limits,
  'connections' | 'connectionsPerSource' | 'newConnectionsPerSecond' | 'newConnectionsPerSourcePerSecond'
>

export class Admission {
  #limits: AdmissionLimits
  #nowMs: () => number
  #open = 0
  #openOf = new Counts()
  #rate: TokenBucket | undefined
  #rateOf: Rates | undefined

  constructor(limits: AdmissionLimits, nowMs: () => number) {
    this.#limits = limits
    this.#nowMs = nowMs
    const { newConnectionsPerSecond, newConnectionsPerSourcePerSecond } = limits
    if (newConnectionsPerSecond > 0) this.#rate = new TokenBucket(newConnectionsPerSecond, nowMs())
    if (newConnectionsPerSourcePerSecond > 0)
      this.#rateOf = new Rates(newConnectionsPerSourcePerSecond, RATED_SOURCES_MAX)
  }

  /** Takes a place among all connections, or says why there is none. */
  enter(): ErrorCode | undefined {
    if (this.#open >= this.#limits.connections) return 'too-many-connections'
    if (this.#rate?.take(this.#nowMs()) === false) return 'rate-limited'
    this.#open += 1
    return undefined
  }

  /** Takes a place among those of `address` besides, or says why there is none. */
  enterFrom(address: string): ErrorCode | undefined {
    const source = sourceKey(address)
    if (this.#rateOf?.take(source, this.#nowMs()) === false) return 'rate-limited'
    return this.#openOf.enter(source, this.#limits.connectionsPerSource) ? undefined : 'too-many-from-source'
  }

  /** Gives both back; `address` only where `enterFrom` took a place for it. */
  leave(address: string | undefined): void {
    this.#open -= 1
    if (address !== undefined) this.#openOf.leave(sourceKey(address))
  }
}
