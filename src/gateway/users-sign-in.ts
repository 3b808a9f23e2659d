// Who may have a password checked, and when. A source that failed waits longer each time, and a name at that source
// sooner than the rest of it: never the same name elsewhere, so that nobody can lock others out. Rules: no check is
// made before its wait is over; what waits is bounded for each source; credentials that were right do not wait.
import { setTimeout as wait } from 'node:timers/promises'
import { GatewayError } from '../errors.ts'
import type { DelaySteps } from '../policy/failure-delay.ts'
import { sourceKey } from '../policy/limits.ts'
import type { Identity } from '../protocol/request.ts'
import type { SharedSignIns } from '../state/shared-sign-ins.ts'
import { SignInDelays } from './sign-in-delays.ts'
import type { Users } from './users.ts'

/** Many users share one source behind a NAT: a few that mistype must not slow the others. */
const FREE_FAILURES_OF_SOURCE = 10
/** Who would have to wait longer is told to come again instead. */
const LONGEST_WAIT_MS = 8_000
const ATTEMPTS_PER_SOURCE = 32
/** Here, and for what all replicas and workers count together. */
const STEPS: DelaySteps = {
  firstMs: 250,
  longestMs: 4_000,
  forgetMs: 10 * 60_000,
  freeFailures: { ofSource: FREE_FAILURES_OF_SOURCE, ofPair: 0 },
  mostMs: LONGEST_WAIT_MS,
}

/** What failed at other replicas, or in other workers. */
export type SharedDelays = Pick<SharedSignIns, 'reserve' | 'failed' | 'succeeded'>

export interface SignInClock {
  readonly nowMs: () => number
  readonly wait: (ms: number) => Promise<unknown>
}

const CLOCK: SignInClock = {
  nowMs: () => performance.now(),
  wait: (ms) => wait(ms, undefined, { ref: false }),
}

export interface Credentials {
  readonly name: string
  readonly password: string
  /** The address that it comes from. */
  readonly address: string
}

export class SignIns {
  #clock: SignInClock
  #delays = new SignInDelays(STEPS)
  /** What is being tried, so that a browser's twenty requests with one password are one attempt. */
  #attempts = new Map<string, Promise<boolean>>()
  #attemptsOf = new Map<string, number>()
  #shared: () => SharedDelays | undefined

  /** `shared`: what other replicas count, where there are any; asked beside what is counted here. */
  constructor(clock: SignInClock = CLOCK, shared: () => SharedDelays | undefined = () => undefined) {
    this.#clock = clock
    this.#shared = shared
  }

  /**
   * Undefined where name or password is wrong. Errors: `rate-limited` where this source has too many attempts
   * waiting or would have to wait too long, `too-many-connections` where too many checks wait in all.
   */
  async authenticate(users: Users, { name, password, address }: Credentials): Promise<Identity | undefined> {
    const identity: Identity = { kind: 'user', name }
    const credentials = users.keyOf(name, password)
    if (users.remembers(credentials)) return identity
    const source = sourceKey(address)
    const id = `${source} ${credentials}`
    let attempt = this.#attempts.get(id)
    if (attempt === undefined) {
      attempt = this.#attempt(users, name, password, source).finally(() => this.#attempts.delete(id))
      this.#attempts.set(id, attempt)
    }
    return (await attempt) ? identity : undefined
  }

  async #attempt(users: Users, name: string, password: string, source: string): Promise<boolean> {
    const ownMs = this.#reserve(source, name)
    const others = this.#attemptsOf.get(source) ?? 0
    this.#attemptsOf.set(source, others + 1)
    try {
      const shared = this.#shared()
      const sharedMs = shared === undefined ? 0 : await shared.reserve(source, name, STEPS)
      if (sharedMs > LONGEST_WAIT_MS) throw new GatewayError('rate-limited', { side: 'client' })
      const waitMs = Math.max(ownMs, sharedMs)
      if (waitMs > 0) await this.#clock.wait(waitMs)
      const isRight = await users.check(name, password)
      if (isRight) {
        this.#delays.succeeded(source, name)
        if (shared !== undefined) await shared.succeeded(source, name)
      } else {
        this.#delays.failed(source, name, this.#clock.nowMs())
        if (shared !== undefined) await shared.failed(source, name, STEPS)
      }
      return isRight
    } finally {
      const left = (this.#attemptsOf.get(source) ?? 1) - 1
      if (left > 0) this.#attemptsOf.set(source, left)
      else this.#attemptsOf.delete(source)
    }
  }

  /** Milliseconds to wait. Errors: `rate-limited`. */
  #reserve(source: string, name: string): number {
    const isFull = (this.#attemptsOf.get(source) ?? 0) >= ATTEMPTS_PER_SOURCE
    const waitMs = isFull ? Infinity : this.#delays.reserve(source, name, this.#clock.nowMs())
    if (waitMs > LONGEST_WAIT_MS) throw new GatewayError('rate-limited', { side: 'client' })
    return waitMs
  }
}

/** Several counts of one thing, each in its own place: the longest wait holds. */
export function joinDelays(...counts: ReadonlyArray<SharedDelays | undefined>): SharedDelays | undefined {
  const all = counts.filter((count) => count !== undefined)
  if (all.length < 2) return all[0]
  return {
    reserve: async (...args) => Math.max(...(await Promise.all(all.map((count) => count.reserve(...args))))),
    failed: async (...args) => void (await Promise.all(all.map((count) => count.failed(...args)))),
    succeeded: async (...args) => void (await Promise.all(all.map((count) => count.succeeded(...args)))),
  }
}
