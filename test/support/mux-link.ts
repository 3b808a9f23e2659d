// Two mux sessions over a long link with a rate, in simulated time: what flow control makes of a round trip and a rate can be
// seen without a socket. Rules: a sender hands on all that it may, as into a kernel's buffer, and it waits there for the
// link; nothing is lost; each tick is a millisecond.
import { Pair, type PairOptions, type Side } from './mux-pair.ts'

export interface LinkShape {
  readonly roundTripMs: number
  readonly bytesPerMs: number
  /** Nothing arrives for `ms` at every so many-th millisecond: a machine that was busy elsewhere. */
  readonly hiccup?: { readonly everyMs: number; readonly ms: number }
}

/** A download that never ends, at its reader. */
export interface Flood {
  got: number
  readonly windowBytes: number
}

const CHUNK = Buffer.alloc(64 * 1024)

export class LongPair extends Pair {
  readonly shape: LinkShape
  /** Most bytes that stood before the link, towards the client. */
  mostWaiting = 0
  #freeMs: Record<Side, number> = { client: 0, gateway: 0 }
  #underWay: Record<Side, Array<{ readonly atMs: number; readonly bytes: Buffer }>> = {
    client: [],
    gateway: [],
  }
  #stuckUntilMs = 0
  #eachMs: Array<() => void> = []

  constructor(shape: LinkShape, options?: PairOptions) {
    super(options)
    this.shape = shape
    this.client.roundTripMs = shape.roundTripMs
    this.gateway.roundTripMs = shape.roundTripMs
  }

  /** Opens downloads that never end; each is read at once, or so many bytes a millisecond. */
  flood(count: number, readPerMs = Number.POSITIVE_INFINITY): Flood[] {
    const streams = Array.from({ length: count }, () => this.open().stream)
    this.pass(2 * this.shape.roundTripMs + 5)
    const floods = streams.map((stream) => ({
      got: 0,
      get windowBytes(): number {
        return stream.windowBytes
      },
    }))
    for (const [index, stream] of streams.entries()) {
      const flood = floods[index]!
      const read = (): void => {
        flood.got = Math.min(stream.receivedOffset, flood.got + readPerMs)
        stream.consumed(flood.got, this.nowMs)
      }
      const data = readPerMs === Number.POSITIVE_INFINITY ? read : (): void => {}
      stream.events = { opened() {}, refused() {}, fin() {}, reset() {}, data }
      if (data !== read) this.#eachMs.push(read)
    }
    for (const { stream } of this.accepted) {
      const more = (): void => stream.write(CHUNK, more)
      more()
    }
    return floods
  }

  /** Lets `ms` pass. */
  pass(ms: number): void {
    for (const untilMs = this.nowMs + ms; this.nowMs < untilMs; this.nowMs += 1) {
      for (const act of this.#eachMs) act()
      for (const side of ['client', 'gateway'] as const) this.#send(side)
      const { hiccup } = this.shape
      if (hiccup !== undefined && this.nowMs % hiccup.everyMs === 0)
        this.#stuckUntilMs = this.nowMs + hiccup.ms
      if (this.nowMs < this.#stuckUntilMs) continue
      for (const side of ['client', 'gateway'] as const) this.#arrive(side)
    }
  }

  #send(side: Side): void {
    for (let bytes = this[side].pull(); bytes !== undefined; bytes = this[side].pull()) {
      const { roundTripMs, bytesPerMs } = this.shape
      this.#freeMs[side] = Math.max(this.#freeMs[side], this.nowMs) + bytes.length / bytesPerMs
      this.#underWay[side].push({ atMs: this.#freeMs[side] + roundTripMs / 2, bytes })
    }
    if (side === 'gateway')
      this.mostWaiting = Math.max(this.mostWaiting, (this.#freeMs[side] - this.nowMs) * this.shape.bytesPerMs)
  }

  #arrive(side: Side): void {
    const underWay = this.#underWay[side]
    while (underWay[0] !== undefined && underWay[0].atMs <= this.nowMs) {
      const { bytes } = underWay.shift()!
      const to = side === 'client' ? this.gateway : this.client
      to.receive(bytes)
    }
  }
}
