// How many people come: users and certificates that are seen for the first time on their day (UTC). Rules: it is told
// in steps, so that it never says that one person came; who came is remembered until midnight, in memory, and no more
// of them than a bound.
import { keyOf, type Identity } from '../protocol/request.ts'

/** The count is told in multiples of this. */
const IDENTITY_STEP = 10

const DAY_MS = 86_400_000
const REMEMBERED_MAX = 100_000

export class Identities {
  #nowMs: () => number
  #day = 0
  #today = new Set<string>()
  #seen = 0

  #told: ((identity: Identity) => void) | undefined

  /** `told` of each, where somebody else counts those of several processes. */
  constructor(nowMs: () => number = Date.now, told?: (identity: Identity) => void) {
    this.#nowMs = nowMs
    this.#told = told
  }

  saw(identity: Identity | undefined): void {
    if (identity === undefined) return
    const day = Math.floor(this.#nowMs() / DAY_MS)
    if (day !== this.#day) {
      this.#day = day
      this.#today.clear()
    }
    const key = keyOf(identity)
    if (this.#today.has(key) || this.#today.size >= REMEMBERED_MAX) return
    this.#today.add(key)
    this.#seen += 1
    this.#told?.(identity)
  }

  /** Since the start of the process, rounded down. */
  get seen(): number {
    return this.#seen - (this.#seen % IDENTITY_STEP)
  }
}
