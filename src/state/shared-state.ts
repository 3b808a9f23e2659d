// What this gateway shares with the others of its kind, through one store. Rules: a look every second heals what a lost
// message has missed; no client ever waits for the store but who has a password checked; and what is wrong with it is told
// by part and code, never by whom it was about.
import { setTimeout as wait } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { StateConfig } from '../config/state.ts'
import { toGatewayError, type ErrorCode } from '../errors.ts'
import type { ClientTrust } from '../pki/judge.ts'
import { KeptLists } from './kept-lists.ts'
import { StateLink } from './link.ts'
import { readSecret } from './settings.ts'
import { SharedLists } from './shared-lists.ts'
import { SharedSignIns } from './shared-sign-ins.ts'
import { SharedUsage } from './shared-usage.ts'
import { SharedUse, type Counter } from './shared-use.ts'

/** A closed set: it stands in the log and in metrics. */
export type StatePart = 'connection' | 'revocation-lists' | 'sign-ins' | 'quotas' | 'usage'

/** What somebody is told. */
export interface StateObserver {
  /** It stands, or not (said at each try that failed, too); undefined where nothing is shared any more. */
  sharedState(up: boolean | undefined): void
  /** Something of it failed, or was refused. */
  sharedStateFailed(part: StatePart, code: ErrorCode): void
  /** All that is shared is as the store has it. */
  sharedStateSynced(): void
}

export interface SharedStateOptions {
  readonly config: StateConfig
  readonly observer: StateObserver
  /** What clients are judged by now. */
  readonly trusts: () => readonly ClientTrust[]
  /** Lists are later than before. */
  readonly listsChanged: () => void
  /** Who counts bytes here. */
  readonly counter: Counter
  /** Days for which it is kept who moved how much. */
  readonly keepDays: () => number
}

const DAY_MS = 86_400_000
const LOOK_EVERY_MS = 1_000
/** A connection that broke is back by then. */
const MOMENT_MS = 5_000

export class SharedState {
  readonly lists: SharedLists
  readonly signIns: SharedSignIns
  readonly usage: SharedUsage
  #use: SharedUse
  /** Since when it is away, as `performance.now()` has it; undefined while it stands. */
  #awaySinceMs: number | undefined = -Infinity
  #options: SharedStateOptions
  #secret: string
  #link: StateLink
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined
  #again = false
  #synced = Promise.withResolvers<void>()
  #closed = false

  private constructor(options: SharedStateOptions) {
    const { config, observer, trusts, listsChanged, counter } = options
    this.#options = options
    this.#secret = readSecret(config)
    this.#link = new StateLink(config, {
      changed: (up, code) => {
        if (up) {
          this.#options.counter.tellAgain()
          this.usage.tellAgain()
        }
        this.#awaySinceMs = up ? undefined : (this.#awaySinceMs ?? performance.now())
        observer.sharedState(up)
        if (code !== undefined) observer.sharedStateFailed('connection', code)
        if (up) this.look()
      },
      called: () => this.look(),
    })
    this.lists = new SharedLists({
      link: this.#link,
      prefix: config.prefix,
      kept: new KeptLists(config.directory, () =>
        observer.sharedStateFailed('revocation-lists', 'file-unusable'),
      ),
      trusts,
      changed: listsChanged,
      refused: () => observer.sharedStateFailed('revocation-lists', 'state-invalid'),
    })
    this.signIns = new SharedSignIns({
      link: this.#link,
      prefix: config.prefix,
      secret: this.#secret,
      failed: (code) => observer.sharedStateFailed('sign-ins', code),
    })
    const place = { link: this.#link, prefix: config.prefix, secret: this.#secret }
    this.#use = new SharedUse(place, counter)
    this.usage = new SharedUsage(place)
  }

  /** Begins to connect. Errors: `file-unusable`, `config-invalid`. */
  static open(options: SharedStateOptions): SharedState {
    const state = new SharedState(options)
    state.#link.open()
    state.#timer = setInterval(() => state.look(), LOOK_EVERY_MS).unref()
    return state
  }

  get up(): boolean {
    return this.#link.up
  }

  /** It is away, for longer than a moment, and the config says not to count without it. */
  get refusesQuotas(): boolean {
    return (
      this.config.whenAway === 'refuse' &&
      this.#awaySinceMs !== undefined &&
      performance.now() - this.#awaySinceMs > MOMENT_MS
    )
  }

  get config(): StateConfig {
    return this.#options.config
  }

  /** Resolves once all has been looked at, or when that takes longer than an answer may. */
  async ready(): Promise<void> {
    await Promise.race([this.#synced.promise, wait(this.config.timeoutMs, undefined, { ref: false })])
  }

  /** Whether `config`, and the secret that it names, are the same. Errors: as at `open`. */
  isSame(config: StateConfig | undefined): boolean {
    return (
      config !== undefined && isDeepStrictEqual(config, this.config) && readSecret(config) === this.#secret
    )
  }

  /** Tells what others do not know yet; gives up where that takes longer than an answer may. */
  async flush(): Promise<void> {
    if (!this.up) return
    const flushed = Promise.all([
      this.#part('quotas', () => this.#use.sync()),
      this.#part('usage', () => this.#syncUsage()),
    ])
    await Promise.race([flushed, wait(this.config.timeoutMs, undefined, { ref: false })])
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    this.#link.close()
  }

  /** One look at a time; what is asked for meanwhile is one more. */
  look(): void {
    if (this.#looking !== undefined) {
      this.#again = true
      return
    }
    if (!this.up || this.#closed) return
    this.#again = false
    this.#looking = this.#sync().finally(() => {
      this.#looking = undefined
      if (this.#again) this.look()
    })
  }

  async #sync(): Promise<void> {
    const lists = await this.#part('revocation-lists', () => this.lists.sync())
    const quotas = await this.#part('quotas', () => this.#use.sync())
    const usage = await this.#part('usage', () => this.#syncUsage())
    if (!lists || !quotas || !usage || this.#closed) return
    this.#options.observer.sharedStateSynced()
    this.#synced.resolve()
  }

  #syncUsage(): Promise<void> {
    return this.usage.sync(Math.floor(Date.now() / DAY_MS), this.#options.keepDays())
  }

  async #part(part: StatePart, sync: () => Promise<void>): Promise<boolean> {
    try {
      await sync()
      return true
    } catch (thrown) {
      if (!this.#closed)
        this.#options.observer.sharedStateFailed(part, toGatewayError(thrown, 'self', 'state-invalid').code)
      return false
    }
  }
}
