// What the look-ups of the last minutes gave, good and bad. Rules: never more than so many names, the one that was
// not asked for the longest goes first; nothing is given after its time.
import type { ErrorCode } from '../errors.ts'

/** The end of one look-up: addresses, or why there are none. */
export type DnsOutcome = { readonly addresses: readonly string[] } | { readonly code: ErrorCode }

interface Entry {
  readonly outcome: DnsOutcome
  readonly untilMs: number
  /** When it was last put at the end of the line. */
  usedMs: number
}

/** A hit moves its entry at most so often: taking it out and putting it back is what costs. */
const MOVE_MS = 1_000

export class DnsCache {
  #maxEntries: number
  #now: () => number
  #entries = new Map<string, Entry>()

  /** With `maxEntries` 0 nothing is kept. */
  constructor(maxEntries: number, now: () => number) {
    this.#maxEntries = maxEntries
    this.#now = now
  }

  find(name: string): DnsOutcome | undefined {
    const entry = this.#entries.get(name)
    if (entry === undefined) return undefined
    const nowMs = this.#now()
    if (nowMs >= entry.untilMs) {
      this.#entries.delete(name)
      return undefined
    }
    if (nowMs - entry.usedMs >= MOVE_MS) {
      entry.usedMs = nowMs
      this.#entries.delete(name)
      this.#entries.set(name, entry)
    }
    return entry.outcome
  }

  keep(name: string, outcome: DnsOutcome, forMs: number): void {
    this.#entries.delete(name)
    if (forMs <= 0 || this.#maxEntries === 0) return
    if (this.#entries.size >= this.#maxEntries) {
      const oldest = this.#entries.keys().next()
      if (oldest.done !== true) this.#entries.delete(oldest.value)
    }
    const nowMs = this.#now()
    this.#entries.set(name, { outcome, untilMs: nowMs + forMs, usedMs: nowMs })
  }
}
