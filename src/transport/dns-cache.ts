// What the look-ups of the last minutes gave, good and bad. Rules: never more than so many names, the one that was
// not asked for the longest goes first; nothing is given after its time.
import type { ErrorCode } from '../errors.ts'

/** The end of one look-up: addresses, or why there are none. */
export type DnsOutcome = { readonly addresses: readonly string[] } | { readonly code: ErrorCode }

interface Entry {
  readonly outcome: DnsOutcome
  readonly untilMs: number
}

export class DnsCache {
  #maxEntries: number
  #now: () => number
  #entries = new Map<string, Entry>()

  /** With `maxEntries` 0 nothing is kept. */
  constructor(maxEntries: number, now: () => number) {
    this.#maxEntries = maxEntries
    this.#now = now
  }

  get size(): number {
    return this.#entries.size
  }

  find(name: string): DnsOutcome | undefined {
    const entry = this.#entries.get(name)
    if (entry === undefined) return undefined
    this.#entries.delete(name)
    if (this.#now() >= entry.untilMs) return undefined
    this.#entries.set(name, entry)
    return entry.outcome
  }

  keep(name: string, outcome: DnsOutcome, forMs: number): void {
    this.#entries.delete(name)
    if (forMs <= 0 || this.#maxEntries === 0) return
    if (this.#entries.size >= this.#maxEntries) {
      const oldest = this.#entries.keys().next()
      if (oldest.done !== true) this.#entries.delete(oldest.value)
    }
    this.#entries.set(name, { outcome, untilMs: this.#now() + forMs })
  }
}
