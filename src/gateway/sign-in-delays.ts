// What failed sign-ins cost: a source waits for what failed there, and a name at that source sooner than the rest of it; never
// the same name elsewhere. Rule: who would wait for too long takes no turn, so that it costs nobody else anything.
import { createHmac, randomBytes } from 'node:crypto'
import { FailureDelay, type DelaySteps } from '../policy/failure-delay.ts'

const ENTRIES = 10_000

export class SignInDelays {
  #mostMs: number
  #ofSource: FailureDelay
  #ofPair: FailureDelay
  #key = randomBytes(32)

  constructor({ firstMs, longestMs, forgetMs, freeFailures, mostMs }: DelaySteps) {
    const delay = (free: number): FailureDelay =>
      new FailureDelay({ firstMs, longestMs, forgetMs, freeFailures: free, entries: ENTRIES })
    this.#mostMs = mostMs
    this.#ofSource = delay(freeFailures.ofSource)
    this.#ofPair = delay(freeFailures.ofPair)
  }

  /** Takes a turn; milliseconds until it. None is taken where they are more than `mostMs`. */
  reserve(source: string, name: string, nowMs: number): number {
    const pair = this.#pair(source, name)
    const waitMs = Math.max(this.#ofSource.waitMs(source, nowMs), this.#ofPair.waitMs(pair, nowMs))
    if (waitMs > this.#mostMs) return waitMs
    this.#ofSource.reserve(source, nowMs + waitMs)
    this.#ofPair.reserve(pair, nowMs + waitMs)
    return waitMs
  }

  failed(source: string, name: string, nowMs: number): void {
    this.#ofPair.failed(this.#pair(source, name), nowMs)
    this.#ofSource.failed(source, nowMs)
  }

  /** The name at this source starts afresh. */
  succeeded(source: string, name: string): void {
    this.#ofPair.succeeded(this.#pair(source, name))
  }

  /** By a key that nobody has, so that a name is as short as any other and is not kept. */
  #pair(source: string, name: string): string {
    return createHmac('sha256', this.#key).update(`${source} ${name}`).digest('base64')
  }
}
