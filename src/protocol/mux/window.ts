// How many bytes the receiver of one stream lets be under way: what its reader takes in a round trip, some times over, as
// BBR sizes what a sender has in flight (draft-ietf-ccwg-bbr, sections 4.2 and 5.3): many times while the rate still
// grows, about two once it does not, since more would only wait before the link, in everybody's way. Pure. Rule: what was
// granted is never taken back; a window that shrinks grants nothing until its reader has caught up.

/** What a window needs of its session. */
export interface WindowHost {
  /** Takes up to `bytes` of growth from the session's budget, gives back where negative; says what it took. */
  takeBudget(bytes: number): number
  /** 0 while it is not known. */
  readonly roundTripMs: number
  readonly maxWindowBytes: number
}

/** Round trips' worth while the rate grows: from 64 KiB to a link of 200 ms and 100 Mbit/s in five round trips. */
const START_GAIN = 5
/** And afterwards. Three quarters of it at least are granted at any time. */
const STEADY_GAIN = 2.2
/** By so much in so many measurements a rate has to grow to count as growing. */
const GROWTH = 1.25
const FLAT_MOST = 3
/** What a measurement counts for against those before it, once the rate has been found. */
const WEIGHT = 0.25
const MIN_MEASURE_MS = 1
/** After so many round trips without enough to measure, or so long, the stream was idle, which says nothing of its rate. */
const IDLE_ROUND_TRIPS = 8
const IDLE_MS = 1_000
/** What two busy processes take for a turn, and the most that a window grows to for their sake. */
const PROCESS_TURN_MS = 35
const PROCESS_WINDOW_BYTES = 512 * 1024
/** Credit is granted once this part of the window is free. */
const GRANT_PART = 4

/** Bytes by which the windows of all sessions of a process may grow together. */
export class GrowthBudget {
  #leftBytes: number

  constructor(bytes: number) {
    this.#leftBytes = bytes
  }

  /**
   * Takes up to `bytes`, gives back where negative; says what it took. Nobody comes to hold more than is then left for all
   * others, so that one more session can always grow (dynamic thresholds: Choudhury and Hahne, 1998).
   */
  take(bytes: number, heldBytes: number): number {
    const taken = Math.min(bytes, Math.max(0, Math.floor((this.#leftBytes - heldBytes) / 2)))
    this.#leftBytes -= taken
    return taken
  }
}

export class ReceiveWindow {
  #host: WindowHost
  #leastBytes: number
  #bytes: number
  #grantedOffset: number
  /** Where and when the measurement of the reader's rate began. */
  #measured: { readonly offset: number; readonly atMs: number } | undefined
  #perMs = 0
  /** Measurements in which the rate no longer grew; then, once it has been found, in which it does again. */
  #flat = 0
  #rising = 0

  constructor(host: WindowHost, firstBytes: number) {
    this.#host = host
    this.#leastBytes = firstBytes
    this.#bytes = firstBytes
    this.#grantedOffset = firstBytes
  }

  /** Its size: no more than this is ever unread. */
  get bytes(): number {
    return this.#bytes
  }

  /** Up to which offset the peer may send. */
  get grantedOffset(): number {
    return this.#grantedOffset
  }

  /** The reader has taken everything up to `offset`: true where the peer has to be told of a new `grantedOffset`. */
  consumed(offset: number, nowMs: number): boolean {
    this.#measure(offset, nowMs)
    if (offset + this.#bytes - this.#grantedOffset < this.#bytes / GRANT_PART) return false
    this.#grantedOffset = offset + this.#bytes
    return true
  }

  #measure(offset: number, nowMs: number): void {
    const { roundTripMs } = this.#host
    const { offset: from, atMs } = (this.#measured ??= { offset, atMs: nowMs })
    const sinceMs = nowMs - atMs
    if (sinceMs < Math.max(roundTripMs, MIN_MEASURE_MS)) return
    this.#measured = { offset, atMs: nowMs }
    if (sinceMs > Math.max(roundTripMs * IDLE_ROUND_TRIPS, IDLE_MS)) return
    const perMs = (offset - from) / sinceMs
    if (this.#flat < FLAT_MOST) {
      this.#flat = perMs > this.#perMs * GROWTH ? 0 : this.#flat + 1
      this.#perMs = Math.max(perMs, this.#perMs)
    } else {
      this.#rising = perMs > this.#perMs * GROWTH ? this.#rising + 1 : 0
      this.#perMs += (perMs - this.#perMs) * WEIGHT
      // A reader that goes on after a rest, or a link that others have left: found anew.
      if (this.#rising === FLAT_MOST) this.#flat = this.#rising = 0
    }
    this.#resize(offset)
  }

  #resize(offset: number): void {
    const { roundTripMs, maxWindowBytes } = this.#host
    const gain = this.#flat < FLAT_MOST ? START_GAIN : STEADY_GAIN
    const forLink = gain * this.#perMs * roundTripMs
    const forProcesses = Math.min(this.#perMs * PROCESS_TURN_MS, PROCESS_WINDOW_BYTES)
    const wanted = Math.min(Math.floor(Math.max(forLink, forProcesses, this.#leastBytes)), maxWindowBytes)
    const bytes = Math.max(wanted, Math.min(this.#bytes, this.#grantedOffset - offset))
    this.#bytes += this.#host.takeBudget(bytes - this.#bytes)
  }
}
