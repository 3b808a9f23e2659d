// How long a key (a source, or a source with a name) has to wait after its failures: nothing at first, then twice as
// long each time up to a bound. Rules: only keys that failed are held, the least recent go first, and whoever waits
// has reserved a turn, so that tries made side by side wait one after the other.
import { RecentTable } from './limits-recent.ts'

export interface FailureDelayOptions {
  /** Failures that cost nothing. */
  readonly freeFailures: number
  /** What the first failure after those costs. */
  readonly firstMs: number
  readonly longestMs: number
  /** A key that was quiet for so long starts afresh. */
  readonly forgetMs: number
  readonly entries: number
}

/** For failed sign-ins: a source, and a name at it (gateway/sign-in-delays.ts, state/shared-sign-ins.ts). */
export interface DelaySteps {
  readonly firstMs: number
  readonly longestMs: number
  readonly forgetMs: number
  readonly freeFailures: { readonly ofSource: number; readonly ofPair: number }
  /** Who would wait for longer takes no turn. */
  readonly mostMs: number
}

interface Entry {
  failures: number
  /** The next try may begin. */
  readyMs: number
  lastMs: number
}

export class FailureDelay {
  #options: FailureDelayOptions
  #entries: RecentTable<Entry>

  constructor(options: FailureDelayOptions) {
    this.#options = options
    this.#entries = new RecentTable(options.entries)
  }

  get size(): number {
    return this.#entries.size
  }

  /** Milliseconds until this key's next try may begin. */
  waitMs(key: string, nowMs: number): number {
    const entry = this.#entries.peek(key)
    if (entry === undefined) return 0
    if (nowMs - entry.lastMs >= this.#options.forgetMs) {
      this.#entries.delete(key)
      return 0
    }
    return Math.max(0, entry.readyMs - nowMs)
  }

  /** A try begins at `startMs`, now or later: the next one waits from then on, as though this one had failed. */
  reserve(key: string, startMs: number): void {
    const entry = this.#entries.get(key)
    const delayMs = entry === undefined ? 0 : this.#delayMs(entry.failures)
    // Free failures cost nobody at this key anything, not even the wait of another one's turn.
    if (entry !== undefined && delayMs > 0) entry.readyMs = Math.max(entry.readyMs, startMs + delayMs)
  }

  failed(key: string, nowMs: number): void {
    const entry = this.#entries.peek(key) ?? { failures: 0, readyMs: nowMs, lastMs: nowMs }
    entry.failures += 1
    entry.lastMs = nowMs
    entry.readyMs = Math.max(entry.readyMs, nowMs + this.#delayMs(entry.failures))
    this.#entries.set(key, entry)
  }

  /** It was right after all: the key starts afresh. */
  succeeded(key: string): void {
    this.#entries.delete(key)
  }

  #delayMs(failures: number): number {
    const { freeFailures, firstMs, longestMs } = this.#options
    if (failures <= freeFailures) return 0
    return Math.min(longestMs, firstMs * 2 ** Math.min(30, failures - freeFailures - 1))
  }
}
