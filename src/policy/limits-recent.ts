// A table that keeps what was used last. Rule: it never holds more than its bound, whoever chooses the keys.

export class RecentTable<Value> {
  #entries = new Map<string, Value>()
  #bound: number

  constructor(bound: number) {
    this.#bound = bound
  }

  get size(): number {
    return this.#entries.size
  }

  values(): Iterable<Value> {
    return this.#entries.values()
  }

  entries(): Iterable<[string, Value]> {
    return this.#entries.entries()
  }

  /** Looks without using. */
  peek(key: string): Value | undefined {
    return this.#entries.get(key)
  }

  /** Looks, and counts as used. */
  get(key: string): Value | undefined {
    const value = this.#entries.get(key)
    if (value !== undefined) this.set(key, value)
    return value
  }

  /** Puts it in as the one used last; past the bound the one that was not used for longest goes. */
  set(key: string, value: Value): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size <= this.#bound) return
    const oldest = this.#entries.keys().next()
    if (oldest.done !== true) this.#entries.delete(oldest.value)
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }
}
