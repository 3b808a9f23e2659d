// A clock that stands until a test moves it: what waits for a time is called when the test gets there.
import type { Clock } from '../../src/transport/resolve.ts'

export class ManualClock implements Clock {
  nowMs = 0
  #waits: Array<{ readonly atMs: number; readonly run: () => void }> = []

  now(): number {
    return this.nowMs
  }

  after(ms: number, run: () => void): () => void {
    const wait = { atMs: this.nowMs + ms, run }
    this.#waits.push(wait)
    return () => void (this.#waits = this.#waits.filter((other) => other !== wait))
  }

  /** How long each open wait still has, shortest first. */
  get waits(): number[] {
    return this.#waits.map(({ atMs }) => atMs - this.nowMs).toSorted((one, other) => one - other)
  }

  /** Moves on, calling what comes due on the way, in its order. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms
    for (;;) {
      const [next] = this.#waits
        .filter(({ atMs }) => atMs <= untilMs)
        .toSorted((one, other) => one.atMs - other.atMs)
      if (next === undefined) break
      this.#waits = this.#waits.filter((other) => other !== next)
      this.nowMs = next.atMs
      next.run()
    }
    this.nowMs = untilMs
  }
}
