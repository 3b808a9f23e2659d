// Counts what each identity moves, and hands it to the store of usage every few seconds. Rules: to count a chunk is one
// addition, without a look at the clock; what the store did not take is kept and offered again, up to a bound, and added
// once; a store that fails never ends or delays a connection. Where no store is configured nothing is counted.
import type { UsageConfig } from '../config/usage.ts'
import { GatewayError, toGatewayError } from '../errors.ts'
import { keyOf, type Identity } from '../protocol/request.ts'
import { UsageFile, type UsageObserver, type UsageStore, type UseOfDay } from '../state/usage-store.ts'
import type { Prepared } from './inbounds.ts'
import type { Direction } from './observer.ts'

export interface LedgerOptions {
  readonly observer: UsageObserver
  /** Since 1970, UTC. */
  readonly epochMs: () => number
  /** Told of what was counted, once, as it is handed over. */
  readonly counted?: (use: UseOfDay) => void
  readonly openStore?: ((file: string) => UsageStore) | undefined
}

const DAY_MS = 86_400_000
/** What is lost at most when the process is killed. */
const WRITE_EVERY_MS = 5_000
/** Rows a transaction, between which others have their turn. */
const BATCH = 1_000
/** Days of identities that wait for a store that is away: some 30 MB. */
const WAITING_MAX = 100_000
/** A damaged store is read whole before it is refused again. */
const DAMAGED_RESTS_MS = 60_000

/** What one identity has moved and not yet handed over. */
export class Account {
  readonly identity: Identity
  up = 0
  down = 0
  streams = 0
  /** What of it is open. */
  open = 0

  constructor(identity: Identity) {
    this.identity = identity
  }

  count(direction: Direction, bytes: number): void {
    if (direction === 'up') this.up += bytes
    else this.down += bytes
  }
}

export class Ledger {
  #options: LedgerOptions
  #accounts = new Map<string, Account>()
  /** What the store has not taken yet, of any day. */
  #waiting = new Map<string, UseOfDay>()
  /** Of what is in the accounts now. */
  #day: number
  #config: UsageConfig | undefined
  #store: UsageStore | undefined
  #restsUntilMs = -Infinity
  #timer: NodeJS.Timeout | undefined
  #turn: NodeJS.Immediate | undefined

  constructor(options: LedgerOptions) {
    this.#options = options
    this.#day = this.#today
  }

  get #today(): number {
    return Math.floor(this.#options.epochMs() / DAY_MS)
  }

  get #rests(): boolean {
    return this.#options.epochMs() < this.#restsUntilMs
  }

  /** For something that an identity opens; undefined where nothing is kept. */
  enter(identity: Identity): Account | undefined {
    if (this.#store === undefined) return undefined
    const key = keyOf(identity)
    let account = this.#accounts.get(key)
    if (account === undefined) this.#accounts.set(key, (account = new Account(identity)))
    account.open += 1
    return account
  }

  leave(account: Account): void {
    account.open -= 1
  }

  /** What it has moved today as far as this is known here, by processes before this one too. */
  usedToday(identity: Identity): number {
    if (this.#store === undefined) return 0
    const today = this.#today
    const waiting = this.#waiting.get(`${today} ${keyOf(identity)}`)
    const account = today === this.#day ? this.#accounts.get(keyOf(identity)) : undefined
    return bytesIn(waiting) + bytesIn(account) + this.#written(identity, today)
  }

  /** What others have counted, to be written at once. */
  take(uses: readonly UseOfDay[]): void {
    if (this.#store === undefined) return
    for (const use of uses) this.#wait(`${use.day} ${keyOf(use.identity)}`, use)
    this.write()
  }

  /** Errors: `file-unusable`, `usage-store-invalid`. */
  prepare(next: UsageConfig | undefined): Prepared {
    const isSame = next?.store === this.#config?.store
    const { openStore = (file: string) => UsageFile.open(file) } = this.#options
    const store = isSame || next === undefined ? undefined : openStore(next.store)
    return {
      commit: () => {
        this.#config = next
        if (isSame) return
        this.#put()
        this.#store = store
        if (store !== undefined) return this.write()
        this.#accounts.clear()
        this.#waiting.clear()
        this.#options.observer.usageStore(undefined)
      },
      abandon: () => store?.close(),
    }
  }

  /** Hands over what there is, now and then again and again; nothing where none is kept. */
  write(): void {
    if (this.#store === undefined) return
    this.#collect()
    this.#writeBatch()
    clearTimeout(this.#timer)
    const untilMidnightMs = DAY_MS - (this.#options.epochMs() % DAY_MS)
    this.#timer = setTimeout(() => this.write(), Math.min(WRITE_EVERY_MS, untilMidnightMs)).unref()
  }

  /** Hands over what there is, and ends. Without effect when repeated. */
  close(): void {
    this.#put()
    this.#store = undefined
    this.#config = undefined
  }

  #put(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#turn)
    if (this.#store === undefined) return
    this.#collect()
    while (this.#waiting.size > 0 && this.#hand()) continue
    this.#store.close()
  }

  /** What moved since the last time belongs to the day of that time: at midnight there is always one. */
  #collect(): void {
    const day = this.#day
    this.#day = this.#today
    for (const [key, account] of this.#accounts) {
      const { identity, up, down, streams } = account
      if (up > 0 || down > 0 || streams > 0) {
        const use = { identity, day, up, down, streams }
        this.#wait(`${day} ${key}`, use)
        this.#options.counted?.(use)
      }
      account.up = account.down = account.streams = 0
      if (account.open <= 0) this.#accounts.delete(key)
    }
  }

  #wait(key: string, use: UseOfDay): void {
    const before = this.#waiting.get(key)
    if (before === undefined && this.#waiting.size >= WAITING_MAX)
      return this.#options.observer.usageLost(use.up + use.down)
    const { up, down, streams } = before ?? { up: 0, down: 0, streams: 0 }
    this.#waiting.set(key, { ...use, up: up + use.up, down: down + use.down, streams: streams + use.streams })
  }

  #writeBatch(): void {
    if (this.#rests) return
    if (!this.#hand() || this.#waiting.size === 0) return
    clearImmediate(this.#turn)
    this.#turn = setImmediate(() => this.#writeBatch()).unref()
  }

  /** One transaction. False where the store did not take it. */
  #hand(): boolean {
    const { observer, epochMs } = this.#options
    try {
      const batch = new Map<string, UseOfDay>()
      for (const [key, use] of this.#waiting) if (batch.set(key, use).size === BATCH) break
      this.#store?.add([...batch.values()])
      for (const key of batch.keys()) this.#waiting.delete(key)
      this.#store?.forget(this.#today - (this.#config?.keepDays ?? Infinity))
      observer.usageStore('ok')
      return true
    } catch (thrown) {
      const { code } = toGatewayError(thrown, 'self', 'usage-store-unavailable')
      if (code === 'usage-store-invalid') this.#restsUntilMs = epochMs() + DAMAGED_RESTS_MS
      observer.usageStore(code)
      return false
    }
  }

  #written(identity: Identity, day: number): number {
    if (this.#rests) return 0
    try {
      return this.#store?.bytesOf(identity, day) ?? 0
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown
      // The next write says so.
      return 0
    }
  }
}

function bytesIn(counted: { readonly up: number; readonly down: number } | undefined): number {
  return counted === undefined ? 0 : counted.up + counted.down
}
