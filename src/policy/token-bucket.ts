// A token bucket: so many a second, and at most one burst saved up. Rule: time is passed in, and a clock that
// stands still or goes back gives nothing.

export class TokenBucket {
  #perMs: number
  #burst: number
  #tokens: number
  #atMs: number

  /** Full at first. `burst` is what can be saved up: one second's worth where it is left out. */
  constructor(perSecond: number, nowMs: number, burst: number = perSecond) {
    this.#perMs = perSecond / 1000
    this.#burst = Math.max(1, burst)
    this.#tokens = this.#burst
    this.#atMs = nowMs
  }

  /** Another rate from `nowMs` on; a debt stays one. */
  retune(perSecond: number, nowMs: number): void {
    this.#refill(nowMs)
    this.#perMs = perSecond / 1000
    this.#burst = Math.max(1, perSecond)
    this.#tokens = Math.min(this.#tokens, this.#burst)
  }

  /** Takes one, or gives false and takes nothing. */
  take(nowMs: number): boolean {
    this.#refill(nowMs)
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  /** Spends `count` at once, into debt where it must; gives the milliseconds until the debt is paid. */
  spend(count: number, nowMs: number): number {
    this.#refill(nowMs)
    this.#tokens -= count
    return this.#debtMs()
  }

  /** Milliseconds until a debt is paid; 0 where there is none. */
  debtMs(nowMs: number): number {
    this.#refill(nowMs)
    return this.#debtMs()
  }

  #debtMs(): number {
    return this.#tokens < 0 ? Math.ceil(-this.#tokens / this.#perMs) : 0
  }

  #refill(nowMs: number): void {
    if (nowMs <= this.#atMs) return
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#atMs) * this.#perMs)
    this.#atMs = nowMs
  }
}
