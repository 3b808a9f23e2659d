// Turns of the event loop, shared out among those who move much: libuv reads up to 32 times from one socket before it looks
// at another, as long as each read fills its buffer. Rules: who has moved TURN_BYTES in one turn moves nothing more until it
// is called, and each turn calls one of those who wait. So what a key press waits for does not grow with their number.

/** Two reads of the largest buffer (read-buffer.ts). */
export const TURN_BYTES = 512 * 1024
/**
 * In so many turns one after the other the same one is called: the memory that it moves through, the kernel's too, is
 * then still in the processor's cache. What is light goes in between.
 */
export const TURNS_IN_A_ROW = 16

export class Turns {
  #turn = 0
  #isCounted = false
  #waiting: Mover[] = []
  #last: Mover | undefined
  #inARow = 0

  /** A number that no other turn has. */
  get current(): number {
    this.#count()
    return this.#turn
  }

  /** Calls `mover` in a later turn, in which it calls nobody else. */
  add(mover: Mover): void {
    if (mover === this.#last && this.#inARow < TURNS_IN_A_ROW) this.#waiting.unshift(mover)
    else this.#waiting.push(mover)
    this.#count()
  }

  #count(): void {
    if (this.#isCounted) return
    this.#isCounted = true
    setImmediate(this.#next)
  }

  #next = (): void => {
    this.#turn += 1
    this.#isCounted = false
    const next = this.#waiting.shift()
    this.#inARow = next === this.#last ? this.#inARow + 1 : 1
    this.#last = next
    next?.called()
    if (this.#waiting.length > 0) this.#count()
    else this.#last = undefined
  }
}

/** The process's own. */
const TURNS = new Turns()

/** One of those who move bytes. */
export class Mover {
  #turns: Turns
  #goOn: () => void
  #turn = 0
  #bytes = 0
  #waits = false

  constructor(goOn: () => void, turns = TURNS) {
    this.#goOn = goOn
    this.#turns = turns
  }

  /** It must not move anything until `goOn` is called. */
  get waits(): boolean {
    return this.#waits
  }

  moved(bytes: number): void {
    const { current } = this.#turns
    if (this.#turn !== current) this.#bytes = 0
    this.#turn = current
    this.#bytes += bytes
    if (this.#bytes < TURN_BYTES || this.#waits) return
    this.#waits = true
    this.#turns.add(this)
  }

  /** Its turn has come. */
  called(): void {
    this.#waits = false
    this.#goOn()
  }
}
