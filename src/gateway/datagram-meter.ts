// Counts what could be read of an association's datagrams, the counterpart of exposure-meter.ts. Rules: the first datagram
// to a port says what is spoken there; the first of all stands for the association in the count of what was exposed; numbers
// only, and of the bytes nothing is kept. With `exposure: off` there is no look.
import { classifyDatagram, isQuicInitial, type FirstDatagram } from '../protocol/first-datagram.ts'
import type { StreamFacts } from '../policy/exposure.ts'
import type { Direction, Observer, Readable } from './observer.ts'

/** Ports of destinations that are told apart; what goes to further ones is `unknown`. */
const MAX_PORTS = 64

export class DatagramMeter {
  #observer: Observer
  #facts: (destination: string) => Omit<StreamFacts, 'firstBytes'>
  #look: boolean
  #mode: StreamFacts['mode']
  #spoken = new Map<number, FirstDatagram>()

  /** `facts` of the association, had it only the destination of this host. */
  constructor(
    observer: Observer,
    mode: StreamFacts['mode'],
    facts: (destination: string) => Omit<StreamFacts, 'firstBytes'>,
    look: boolean,
  ) {
    this.#observer = observer
    this.#mode = mode
    this.#facts = facts
    this.#look = look
  }

  sent(host: string, port: number, payload: Uint8Array): void {
    if (this.#look && this.#spoken.size < MAX_PORTS && !this.#spoken.has(port)) {
      const spoken = classifyDatagram(payload)
      if (this.#spoken.size === 0) this.#observer.streamRead({ ...this.#facts(host), firstBytes: spoken })
      this.#spoken.set(port, spoken)
    }
    this.#count('up', port, payload)
  }

  received(port: number, payload: Uint8Array): void {
    this.#count('down', port, payload)
  }

  #count(direction: Direction, port: number, payload: Uint8Array): void {
    const readable = readableTo(this.#spoken.get(port), payload)
    this.#observer.relayed(this.#mode, direction, readable, payload.length)
  }
}

/** To the operator. QUIC's first packets carry their own keys, and are its first flight. */
function readableTo(spoken: FirstDatagram | undefined, payload: Uint8Array): Readable {
  if (spoken === 'dns') return 'yes'
  if (spoken !== 'quic') return 'unknown'
  return isQuicInitial(payload) ? 'yes' : 'no'
}
