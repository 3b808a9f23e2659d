// Looks at the first bytes of one stream and counts what its observers could read. Rule: numbers only; the look
// ends with the first bytes, and nothing of them is kept. With `exposure: off` there is no look.
import { FirstBytesClassifier, type FirstBytes } from '../protocol/first-bytes.ts'
import type { StreamFacts } from '../policy/exposure.ts'
import type { Mode } from '../protocol/request.ts'
import type { Direction, Observer, Readable } from './observer.ts'

const READABLE: Readonly<Record<FirstBytes, Readable>> = {
  http: 'yes',
  tls: 'no',
  ssh: 'no',
  other: 'unknown',
  none: 'unknown',
}

export class ExposureMeter {
  #observer: Observer
  #facts: Omit<StreamFacts, 'firstBytes'>
  #classifier: FirstBytesClassifier | undefined
  #readable: Readable = 'unknown'
  #waiting = { up: 0, down: 0 }

  constructor(observer: Observer, facts: Omit<StreamFacts, 'firstBytes'>, look: boolean) {
    this.#observer = observer
    this.#facts = facts
    this.#classifier = look ? new FirstBytesClassifier() : undefined
  }

  moved(direction: Direction, chunk: Buffer): void {
    if (this.#classifier === undefined) {
      return this.#observer.relayed(this.#facts.mode, direction, this.#readable, chunk.length)
    }
    this.#waiting[direction] += chunk.length
    const firstBytes = this.#classifier.push(direction, chunk)
    if (firstBytes !== undefined) this.#decide(firstBytes)
  }

  /** The stream is over; if it said too little to tell, that is counted as it is. */
  end(): void {
    if (this.#classifier !== undefined) this.#decide(this.#classifier.end())
  }

  #decide(firstBytes: FirstBytes): void {
    this.#classifier = undefined
    this.#readable = READABLE[firstBytes]
    const { mode } = this.#facts
    // A first flight (ClientHello, banner) is in clear even where the rest is not.
    const firstFlight: Readable = this.#readable === 'no' ? 'yes' : this.#readable
    if (this.#waiting.up > 0) this.#observer.relayed(mode, 'up', firstFlight, this.#waiting.up)
    if (this.#waiting.down > 0) this.#observer.relayed(mode, 'down', firstFlight, this.#waiting.down)
    this.#observer.streamRead({ ...this.#facts, firstBytes })
  }
}

/** Links of these modes are TLS. */
export function linkIsEncrypted(mode: Mode): boolean {
  return mode === 'https-proxy' || mode === 'tunnel'
}
