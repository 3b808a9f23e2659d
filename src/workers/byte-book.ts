// The bytes of identities over all workers. Rules: of the bytes a second each worker has a part, and the parts are never more
// than the whole; they follow what moves, so that a worker in which nothing does leaves most of its part to the others; and
// the bytes of a day are each worker's own count, so that what is told twice counts once.
import type { ByteShare, ByteUse } from '../gateway/places.ts'
import { RecentTable } from '../policy/limits-recent.ts'

const ENTRIES_MAX = 100_000
const DAY_MS = 86_400_000
/** Of the whole, shared equally by all that have something open: what begins again is seen to move. */
const EQUAL_PART = 0.2
/** What was counted by workers that are no more. */
const GONE = -1

interface Entry {
  day: number
  /** Bytes of that day from before anything was counted here. */
  before: number
  readonly used: Map<number, number>
  /** How much each worker has open. */
  readonly open: Map<number, number>
  /** Since the last look. */
  readonly moved: Map<number, number>
  /** As each was told. */
  shares: Map<number, number>
}

export class ByteBook {
  #entries = new RecentTable<Entry>(ENTRIES_MAX)
  #changed = new Set<string>()
  #epochMs: () => number
  #before: (key: string) => number
  #day = 0

  /** `before`: what somebody moved today as far as it was written down. */
  constructor(epochMs: () => number, before: (key: string) => number) {
    this.#epochMs = epochMs
    this.#before = before
  }

  /** One more stream, request or association of this identity is in that worker. */
  enter(worker: number, key: string): ByteShare {
    const entry = this.#entryOf(key)
    const isNew = !entry.open.has(worker)
    entry.open.set(worker, (entry.open.get(worker) ?? 0) + 1)
    if (isNew) {
      this.#share(entry)
      this.#changed.add(key)
    }
    return this.#shareOf(key, entry, worker)
  }

  leave(worker: number, key: string): void {
    const entry = this.#entries.peek(key)
    if (entry === undefined) return
    const left = (entry.open.get(worker) ?? 0) - 1
    if (left > 0) return void entry.open.set(worker, left)
    this.#close(worker, key, entry)
  }

  count(worker: number, uses: readonly ByteUse[]): void {
    for (const { key, day, used, moved } of uses) {
      const entry = this.#entryOf(key)
      if (day !== entry.day) continue
      entry.used.set(worker, used)
      entry.moved.set(worker, (entry.moved.get(worker) ?? 0) + moved)
      this.#changed.add(key)
    }
  }

  /** What each worker has to know now of the identities for which something changed since the last look. */
  look(): Map<number, ByteShare[]> {
    const told = new Map<number, ByteShare[]>()
    for (const key of this.#changed) {
      const entry = this.#entries.peek(key)
      if (entry === undefined) continue
      this.#share(entry)
      entry.moved.clear()
      // Who is alone with it, and always was, knows all.
      if (entry.open.size < 2 && entry.used.size < 2) continue
      for (const worker of entry.open.keys()) {
        const share = this.#shareOf(key, entry, worker)
        const shares = told.get(worker)
        if (shares === undefined) told.set(worker, [share])
        else shares.push(share)
      }
    }
    this.#changed.clear()
    return told
  }

  /** It ended; what it had counted of the day stays counted. */
  gone(worker: number): void {
    for (const [key, entry] of [...this.#entries.entries()]) {
      const used = entry.used.get(worker) ?? 0
      if (used > 0) entry.used.set(GONE, (entry.used.get(GONE) ?? 0) + used)
      entry.used.delete(worker)
      if (entry.open.has(worker)) this.#close(worker, key, entry)
    }
  }

  #close(worker: number, key: string, entry: Entry): void {
    entry.open.delete(worker)
    entry.moved.delete(worker)
    this.#changed.add(key)
    if (entry.open.size === 0 && entry.used.size === 0) this.#entries.delete(key)
  }

  #entryOf(key: string): Entry {
    const day = Math.floor(this.#epochMs() / DAY_MS)
    if (day !== this.#day) this.#begin(day)
    const known = this.#entries.get(key)
    if (known !== undefined) return known
    const entry: Entry = {
      day,
      before: this.#before(key),
      used: new Map(),
      open: new Map(),
      moved: new Map(),
      shares: new Map(),
    }
    this.#entries.set(key, entry)
    return entry
  }

  #begin(day: number): void {
    this.#day = day
    for (const [key, entry] of [...this.#entries.entries()]) {
      entry.day = day
      entry.before = 0
      entry.used.clear()
      if (entry.open.size === 0) this.#entries.delete(key)
    }
  }

  #share(entry: Entry): void {
    const workers = [...entry.open.keys()]
    const all = workers.reduce((sum, worker) => sum + (entry.moved.get(worker) ?? 0), 0)
    const equal = all > 0 ? EQUAL_PART : 1
    entry.shares = new Map(
      workers.map((worker) => {
        const byUse = all > 0 ? (entry.moved.get(worker) ?? 0) / all : 0
        return [worker, equal / workers.length + (1 - equal) * byUse]
      }),
    )
  }

  #shareOf(key: string, entry: Entry, worker: number): ByteShare {
    const sum = [...entry.used.values()].reduce((all, used) => all + used, entry.before)
    return {
      key,
      day: entry.day,
      elsewhere: sum - (entry.used.get(worker) ?? 0),
      share: entry.shares.get(worker) ?? 1,
    }
  }
}
