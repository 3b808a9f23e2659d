// `connections: auto`: when a client needs another connection to its gateway, and when it has one too many. Pure: it is
// shown once a second what each connection does. Why more than one: what is lost on a TCP connection holds up every
// stream of it and halves its speed (docs/tunnel-client.md has the figures); and a session has room for so many streams.

/** One connection, as it was in the last second. */
export interface Load {
  readonly streams: number
  /** Bytes that came and went. */
  readonly movedBytes: number
  /** As much waits to be sent as may wait. */
  readonly blocked: boolean
}

/** Fewer streams than this gain nothing from a second connection that is worth its handshake. */
const SHARED_BY = 4
const MOVING_BYTES = 64 * 1024
const BUSY_LOOKS = 2
const QUIET_LOOKS = 60
const HELD_LOOKS = 60
const ALMOST_FULL = 0.75

export class Growth {
  #most: number
  #maxStreams: number
  #busyLooks = 0
  #quietLooks = 0
  #heldLooks = 0

  /** At most `most` connections, each with room for `maxStreams`. */
  constructor(most: number, maxStreams: number) {
    this.#most = most
    this.#maxStreams = maxStreams
  }

  /** `more` when every connection has been busy for two looks, `fewer` when one less has been enough for sixty. */
  look(loads: readonly Load[]): 'more' | 'fewer' | 'enough' {
    if (this.#heldLooks > 0) this.#heldLooks -= 1
    if (loads.every((load) => this.#isBusy(load))) {
      this.#quietLooks = 0
      this.#busyLooks += 1
      if (this.#busyLooks < BUSY_LOOKS || this.#heldLooks > 0 || loads.length >= this.#most) return 'enough'
      this.#busyLooks = 0
      return 'more'
    }
    this.#busyLooks = 0
    const streams = loads.reduce((sum, load) => sum + load.streams, 0)
    const isEnough = loads.length > 1 && streams < SHARED_BY * (loads.length - 1)
    this.#quietLooks = isEnough ? this.#quietLooks + 1 : 0
    if (this.#quietLooks < QUIET_LOOKS) return 'enough'
    this.#quietLooks = 0
    return 'fewer'
  }

  /** The last one that was added could not be had: asks for no other for a while. */
  hold(): void {
    this.#heldLooks = HELD_LOOKS
  }

  #isBusy({ streams, movedBytes, blocked }: Load): boolean {
    if (streams >= this.#maxStreams * ALMOST_FULL) return true
    return streams >= SHARED_BY && (blocked || movedBytes >= MOVING_BYTES)
  }
}
