// Deadlines for waits that are counted in seconds. One timer serves every relay of a process: a timer for each
// connection, touched at each chunk, would cost more than the relaying.

export interface Watched {
  /** Set to `sweep.nowMs` whenever something moves. */
  lastActivityMs: number
  readonly idleMs: number
  expired(): void
}

const SWEEP_MS = 1_000
const SPREAD = 16
let spread = 0

/** `ms` or up to a twentieth more, in turn: what thousands began in one moment does not end in one. */
export function spreadMs(ms: number): number {
  spread = (spread + 1) % SPREAD
  return ms + Math.floor((ms * spread) / (20 * SPREAD))
}

/** Ends what has been still for too long, to the second. The timer stops when nothing is watched. */
export class IdleSweep {
  /** A clock that is right to the second, and free to read. */
  nowMs = performance.now()
  #watched = new Set<Watched>()
  #timer: NodeJS.Timeout | undefined

  watch(watched: Watched): void {
    this.#watched.add(watched)
    if (this.#timer === undefined) {
      this.nowMs = performance.now()
      this.#timer = setInterval(() => this.#sweep(), SWEEP_MS).unref()
    }
    watched.lastActivityMs = this.nowMs
  }

  unwatch(watched: Watched): void {
    this.#watched.delete(watched)
    if (this.#watched.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #sweep(): void {
    this.nowMs = performance.now()
    for (const watched of this.#watched) {
      if (this.nowMs - watched.lastActivityMs < watched.idleMs) continue
      this.#watched.delete(watched)
      watched.expired()
    }
  }
}
