// In which order the addresses of a name are tried (RFC 8305 section 4): the families take turns, beginning with
// the family that the resolver put first. Pure. Rule: addresses that come later join the turns, none is lost.

export class AddressQueue {
  #six: string[] = []
  #four: string[] = []
  #sixIsNext: boolean | undefined

  /** Adds addresses (text, IPv4 or IPv6) in the order in which those of one family are to be tried. */
  add(addresses: readonly string[]): void {
    for (const address of addresses) {
      const isSix = address.includes(':')
      this.#sixIsNext ??= isSix
      ;(isSix ? this.#six : this.#four).push(address)
    }
  }

  get isEmpty(): boolean {
    return this.#six.length === 0 && this.#four.length === 0
  }

  /** Takes the address whose turn it is. */
  next(): string | undefined {
    const [turn, other] = this.#sixIsNext === true ? [this.#six, this.#four] : [this.#four, this.#six]
    const address = turn.shift() ?? other.shift()
    if (address !== undefined) this.#sixIsNext = !address.includes(':')
    return address
  }
}
