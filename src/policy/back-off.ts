// How long a client waits before it tries its gateway again. Pure: time and chance are passed in. Rule: a gateway that
// comes back is found within seconds, and a thousand clients of one gateway do not come back in one instant.

const FIRST_MS = 250
const LONGEST_MS = 2_000
/** Away for so long, it will hardly be back this second. Whoever asks for something is tried for at once all the same. */
const LONG_AWAY_MS = 300_000
const LONGEST_WHEN_LONG_AWAY_MS = 15_000

export class BackOff {
  #random: () => number
  #attempts = 0
  #awaySinceMs: number | undefined

  /** `random` gives 0 to 1. */
  constructor(random: () => number) {
    this.#random = random
  }

  /** An attempt has failed: milliseconds from its beginning to the next one. Doubles, and is shortened by up to half. */
  next(nowMs: number): number {
    this.#awaySinceMs ??= nowMs
    const isLongAway = nowMs - this.#awaySinceMs >= LONG_AWAY_MS
    const longestMs = isLongAway ? LONGEST_WHEN_LONG_AWAY_MS : LONGEST_MS
    const mostMs = Math.min(longestMs, FIRST_MS * 2 ** this.#attempts)
    this.#attempts += 1
    return Math.round(mostMs * (0.5 + this.#random() / 2))
  }

  /** It worked, or something has changed. */
  reset(): void {
    this.#attempts = 0
    this.#awaySinceMs = undefined
  }
}
