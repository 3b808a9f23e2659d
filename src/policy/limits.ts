// Counting for limits: what one source is, how many of it are here, how fast new ones come, and what was used
// today. Rules: no table grows past what is open or past its bound, and every clock is passed in.
import { RecentTable } from './limits-recent.ts'
import { formatAddress, maskPrefix, parseAddress, unmapAddress } from './ip-address.ts'
import { TokenBucket } from './token-bucket.ts'

const IPV6_SOURCE_BITS = 64
const DAY_MS = 86_400_000

/**
 * What counts as one source: an IPv4 address (also one mapped into IPv6), or the /64 of an IPv6 address, which is
 * the least that one customer has. Text that is no address is its own source.
 */
export function sourceKey(address: string): string {
  if (!address.includes(':')) return address
  const zone = address.indexOf('%')
  const parsed = parseAddress(zone < 0 ? address : address.slice(0, zone))
  if (parsed === undefined) return address
  const bytes = unmapAddress(parsed)
  if (bytes.length === 4) return formatAddress(bytes)
  return `${formatAddress(maskPrefix({ bytes, bits: IPV6_SOURCE_BITS }).bytes)}/${IPV6_SOURCE_BITS}`
}

/** How many of each key there are. Holds no key of which there is none. */
export class Counts {
  #counts = new Map<string, number>()

  /** Keys of which there is at least one. */
  get size(): number {
    return this.#counts.size
  }

  of(key: string): number {
    return this.#counts.get(key) ?? 0
  }

  /** Adds one, or gives false where there are `most` already. */
  enter(key: string, most: number): boolean {
    const count = this.of(key)
    if (count >= most) return false
    this.#counts.set(key, count + 1)
    return true
  }

  leave(key: string): void {
    const count = this.of(key)
    if (count > 1) this.#counts.set(key, count - 1)
    else this.#counts.delete(key)
  }
}

/** A rate for each key. Forgets the one that was quiet for longest, whose bucket is the likeliest to be full. */
export class Rates {
  #perSecond: number
  #buckets: RecentTable<TokenBucket>

  constructor(perSecond: number, bound: number) {
    this.#perSecond = perSecond
    this.#buckets = new RecentTable(bound)
  }

  get size(): number {
    return this.#buckets.size
  }

  /** Takes one of this key, or gives false. */
  take(key: string, nowMs: number): boolean {
    const known = this.#buckets.get(key)
    if (known !== undefined) return known.take(nowMs)
    const bucket = new TokenBucket(this.#perSecond, nowMs)
    this.#buckets.set(key, bucket)
    return bucket.take(nowMs)
  }
}

/** What was used since the last midnight, UTC: here, and elsewhere or before as far as that is known. */
export class DailyUse {
  #day = 0
  #used = 0
  #elsewhere = 0
  /** What elsewhere is known of `used`; undefined where nobody has been asked yet. */
  #told: number | undefined

  /** Adds `amount` at `epochMs` and gives the day's sum. */
  add(amount: number, epochMs: number): number {
    const day = Math.floor(epochMs / DAY_MS)
    if (day !== this.#day) {
      this.#day = day
      this.#used = 0
      this.#elsewhere = 0
      this.#told = undefined
    }
    this.#used += amount
    return this.#used + this.#elsewhere
  }

  /** What was used here, where others do not know of it all; undefined where they do. */
  untold(epochMs: number): { readonly day: number; readonly used: number } | undefined {
    this.add(0, epochMs)
    return this.#told === this.#used ? undefined : { day: this.#day, used: this.#used }
  }

  /** Others know of `used` now, and say what was used elsewhere. It never becomes less on the same day. */
  told(day: number, used: number, elsewhere: number): void {
    if (day !== this.#day) return
    this.#told = used
    this.#elsewhere = Math.max(this.#elsewhere, elsewhere)
  }

  /** So much was used today before anything was counted here; others may know of it. */
  usedBefore(used: number, epochMs: number): void {
    this.add(0, epochMs)
    this.#elsewhere = Math.max(this.#elsewhere, used)
  }

  /** What was used elsewhere, as somebody has it who need not be told of what was used here. */
  learn(day: number, elsewhere: number): void {
    if (day === this.#day) this.#elsewhere = Math.max(this.#elsewhere, elsewhere)
  }

  /** What was used here. */
  here(epochMs: number): { readonly day: number; readonly used: number } {
    this.add(0, epochMs)
    return { day: this.#day, used: this.#used }
  }

  /** Others may have forgotten it. */
  tellAgain(): void {
    this.#told = undefined
  }
}
