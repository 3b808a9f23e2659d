// Gives memory back to the system after a rush. V8 collects when it needs room, and a process that has nothing to do
// any more needs none: what thousands of connections left behind would stay for good. Rule: one collection (some tens
// of milliseconds, in which nothing is served) when a rush is over, and never one while it goes on.
import inspector from 'node:inspector'
import type { Clock } from '../transport/resolve.ts'

/** Fewer at once leave little behind. */
const RUSH = 256
/** What is open must have fallen to this part of its most ... */
const FALLEN = 4
/** ... and stay there for so long. */
const CALM_MS = 10_000

export class AfterRush {
  #clock: Clock
  #collect: () => void
  #open = 0
  #most = 0
  #stop: (() => void) | undefined

  constructor(clock: Clock, collect: () => void) {
    this.#clock = clock
    this.#collect = collect
  }

  /** A connection or request has begun. */
  entered(): void {
    this.#open += 1
    if (this.#open > this.#most) this.#most = this.#open
    if (this.#stop !== undefined && !this.#isOver) this.destroy()
  }

  /** One has ended. */
  left(): void {
    this.#open -= 1
    if (this.#stop === undefined && this.#isOver) this.#stop = this.#clock.after(CALM_MS, this.#calm)
  }

  destroy(): void {
    this.#stop?.()
    this.#stop = undefined
  }

  get #isOver(): boolean {
    return this.#most >= RUSH && this.#open * FALLEN <= this.#most
  }

  #calm = (): void => {
    this.#stop = undefined
    this.#most = this.#open
    this.#collect()
  }
}

/**
 * Has V8 collect everything, and return the pages that it keeps in reserve. Soon, not at once. The inspector's call is
 * the documented one that needs no flag; nothing listens for it.
 */
export function collectGarbage(): void {
  const session = new inspector.Session()
  session.connect()
  // Not within the answer: V8 still holds the lock there that ending the session takes.
  session.post('HeapProfiler.collectGarbage', () => setImmediate(() => session.disconnect()))
}
