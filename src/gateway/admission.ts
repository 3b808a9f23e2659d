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
    this.#startRates(limits)
  }

  /** Other limits from the next connection on; what is open is never ended for them. */
  reload(limits: AdmissionLimits): void {
    const before = this.#limits
    this.#limits = limits
    const same =
      before.newConnectionsPerSecond === limits.newConnectionsPerSecond &&
      before.newConnectionsPerSourcePerSecond === limits.newConnectionsPerSourcePerSecond
    if (!same) this.#startRates(limits)
  }

  #startRates({ newConnectionsPerSecond, newConnectionsPerSourcePerSecond }: AdmissionLimits): void {
    const [inAll, ofSource] = [newConnectionsPerSecond, newConnectionsPerSourcePerSecond]
    this.#rate = inAll > 0 ? new TokenBucket(inAll, this.#nowMs()) : undefined
    this.#rateOf = ofSource > 0 ? new Rates(ofSource, RATED_SOURCES_MAX) : undefined
  }

  /** Takes a place among all connections and, where it is given, among those of `address`: both or none. */
  enter(address?: string): ErrorCode | undefined {
    if (this.#open >= this.#limits.connections) return 'too-many-connections'
    if (this.#rate?.take(this.#nowMs()) === false) return 'rate-limited'
    this.#open += 1
    const full = address === undefined ? undefined : this.enterFrom(address)
    if (full !== undefined) this.#open -= 1
    return full
  }

  /** Takes a place among those of `address`, for who has one among all, or says why there is none. */
  enterFrom(address: string): ErrorCode | undefined {
    const source = sourceKey(address)
    if (this.#rateOf?.take(source, this.#nowMs()) === false) return 'rate-limited'
    return this.#openOf.enter(source, this.#limits.connectionsPerSource) ? undefined : 'too-many-from-source'
  }

  /** Gives back what `enterFrom` took. */
  leaveFrom(address: string): void {
    this.#openOf.leave(sourceKey(address))
  }

  /** Gives both back; `address` only where `enterFrom` took a place for it. */
  leave(address: string | undefined): void {
    this.#open -= 1
    if (address !== undefined) this.leaveFrom(address)
  }
}
