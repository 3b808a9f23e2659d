// What is under way, and whoever waits for its end. Rule: what has only just arrived has not been read yet, and counts
// as under way for a moment: a stop must not cut off a request that is on its way through the socket.

const SETTLE_MS = 500

export class InFlight {
  #count = 0
  #arrivedMs = -Infinity
  #waiting = new Set<() => void>()

  /** A connection came in whose request is not known yet. */
  arrived(): void {
    this.#arrivedMs = performance.now()
  }

  /** Counts `work` from now until it is settled. */
  async during(work: () => Promise<void>): Promise<void> {
    this.#count += 1
    try {
      await work()
    } finally {
      this.#count -= 1
      if (this.#count === 0) for (const look of this.#waiting) look()
    }
  }

  /** True once nothing is under way; false where that takes longer than `withinMs`. */
  over(withinMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      let settling: NodeJS.Timeout | undefined
      const finish = (isOver: boolean): void => {
        clearTimeout(settling)
        clearTimeout(timeout)
        this.#waiting.delete(look)
        resolve(isOver)
      }
      const look = (): void => {
        clearTimeout(settling)
        if (this.#count > 0) return
        const restMs = this.#arrivedMs + SETTLE_MS - performance.now()
        if (restMs <= 0) finish(true)
        else settling = setTimeout(look, restMs)
      }
      const timeout = setTimeout(() => finish(this.#count === 0), withinMs)
      this.#waiting.add(look)
      look()
    })
  }
}
