// What a gateway shares with others, where its config says so. Rules: a gateway starts without the store too, a moment
// later; and a reload that names another store has looked at it before anything is put in force.
import type { Config } from '../config/schema.ts'
import type { ClientTrust } from '../pki/judge.ts'
import type { SharedSignIns } from '../state/shared-sign-ins.ts'
import type { Counter } from '../state/shared-use.ts'
import type { UseOfDay } from '../state/usage-store.ts'
import { SharedState, type StateObserver } from '../state/shared-state.ts'
import { readClientTrust } from './credentials.ts'
import type { Prepared } from './inbounds.ts'
import type { Others } from './limits.ts'

export interface SharedOptions {
  readonly observer: StateObserver
  /** What clients are judged by now. */
  readonly trusts: () => readonly ClientTrust[]
  /** Later revocation lists than before are known. */
  readonly listsChanged: () => void
  /** Who counts bytes here. */
  readonly counter: () => Counter
}

export class Shared {
  #options: SharedOptions
  #current: SharedState | undefined
  /** Of a reload that is not in force yet. */
  #next: SharedState | undefined
  #keepDays = 0

  constructor(options: SharedOptions) {
    this.#options = options
  }

  /** False only where the config says that it is not to be used without its store, and that is away. */
  get isReady(): boolean {
    return this.#current === undefined || this.#current.up || !this.#current.config.required
  }

  /** The same trust with the latest revocation lists that are known. */
  latest(trust: ClientTrust): ClientTrust {
    return (this.#next ?? this.#current)?.lists.merge(trust) ?? trust
  }

  /** What others count of a day; nothing where nothing is shared. */
  readonly others: Others = {
    refuses: () => this.#current?.refusesQuotas === true,
    appeared: () => this.#current?.look(),
  }

  /** What failed sign-ins cost anywhere; undefined where nothing is shared. */
  get signIns(): SharedSignIns | undefined {
    return this.#current?.signIns
  }

  /** Errors: `file-unusable`, `config-invalid`, `pki-invalid`; nothing is changed then. */
  async prepare(config: Config): Promise<Prepared> {
    const current = this.#current
    if (config.state === undefined ? current === undefined : current?.isSame(config.state) === true)
      return { commit: () => this.#keep(config), abandon: () => {} }
    if (config.state !== undefined) await this.#open(config, config.state)
    const next = this.#next
    return {
      commit: () => {
        this.#current = next
        this.#next = undefined
        this.#keep(config)
        current?.close()
        if (next === undefined) this.#options.observer.sharedState(undefined)
      },
      abandon: () => {
        this.#next = undefined
        next?.close()
      },
    }
  }

  /** An identity moved this, and nobody was told of it. */
  counted(use: UseOfDay): void {
    this.#current?.usage.add(use)
  }

  /** Before the end: others are told what moved here. */
  async flush(): Promise<void> {
    await this.#current?.flush()
  }

  close(): void {
    this.#current?.close()
    this.#next?.close()
  }

  #keep({ usage }: Config): void {
    this.#keepDays = usage?.keepDays ?? 0
  }

  async #open(config: Config, state: NonNullable<Config['state']>): Promise<void> {
    const { observer, trusts, listsChanged, counter } = this.#options
    const fromFiles = config.inbounds.flatMap(({ tls }) =>
      tls === undefined ? [] : (readClientTrust(tls).clientTrust ?? []),
    )
    const next = SharedState.open({
      config: state,
      observer,
      counter: counter(),
      keepDays: () => this.#keepDays,
      trusts: () => (this.#next === next ? [...trusts(), ...fromFiles] : trusts()),
      listsChanged: () => {
        if (this.#current === next) listsChanged()
      },
    })
    this.#next = next
    await next.lists.recall([...trusts(), ...fromFiles])
    await next.ready()
  }
}
