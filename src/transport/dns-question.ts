// One look-up on its way: A and AAAA asked at once, judged as RFC 8305 section 3 says. Rules: whoever asks for the
// same name meanwhile gets the same answer; a family that fails does not take the other with it; it all ends by
// one deadline.
import { GatewayError } from '../errors.ts'
import type { DnsOutcome } from './dns-cache.ts'
import type { Family, FamilyAnswer } from './dns-channel.ts'
import type { Clock, Found } from './resolve.ts'

export interface QuestionOptions {
  readonly timeoutMs: number
  /** How long an A answer waits for the AAAA answer. */
  readonly resolutionDelayMs: number
  readonly clock: Clock
  readonly ask: (family: Family, answered: (answer: FamilyAnswer) => void) => void
  /** Called once, with `ttlMs` as the servers said it; undefined for a look-up that had a failure in it. */
  readonly ended: (outcome: DnsOutcome, ttlMs: number | undefined) => void
}

const NOTHING: FamilyAnswer = { kind: 'failed' }

export class DnsQuestion {
  /** The first answer that is worth a dial. Errors: `name-not-found`, `name-lookup-failed`. */
  readonly first: Promise<Found>
  /** Every address, IPv6 first. Errors as above. */
  readonly all: Promise<readonly string[]>
  #first = Promise.withResolvers<Found>()
  #all = Promise.withResolvers<readonly string[]>()
  #options: QuestionOptions
  #six: FamilyAnswer | undefined
  #four: FamilyAnswer | undefined
  #ended = false
  #isFirstGiven = false
  #stopDeadline: () => void
  #stopDelay: (() => void) | undefined

  constructor(options: QuestionOptions) {
    this.#options = options
    this.first = this.#first.promise
    this.all = this.#all.promise
    // Most callers wait for one of the two only.
    this.first.catch(() => {})
    this.all.catch(() => {})
    this.#stopDeadline = options.clock.after(options.timeoutMs, () => this.#end())
    options.ask(6, (answer) => {
      this.#six ??= answer
      this.#answered()
    })
    options.ask(4, (answer) => {
      this.#four ??= answer
      this.#answered()
    })
  }

  #answered(): void {
    if (this.#ended) return
    if (this.#six !== undefined && this.#four !== undefined) return this.#end()
    if (this.#six?.kind === 'addresses') return this.#giveFirst(this.#six.addresses)
    if (this.#four?.kind !== 'addresses') return
    const { addresses } = this.#four
    this.#stopDelay = this.#options.clock.after(this.#options.resolutionDelayMs, () =>
      this.#giveFirst(addresses),
    )
  }

  #giveFirst(addresses: readonly string[]): void {
    if (this.#isFirstGiven) return
    this.#isFirstGiven = true
    const added = (all: readonly string[]): readonly string[] =>
      all.filter((address) => !addresses.includes(address))
    this.#first.resolve({ addresses, later: this.all.then(added) })
  }

  #end(): void {
    this.#ended = true
    this.#stopDeadline()
    this.#stopDelay?.()
    const answers = [this.#six ?? NOTHING, this.#four ?? NOTHING]
    const found = answers.filter((answer) => answer.kind === 'addresses')
    const hasFailed = answers.some(({ kind }) => kind === 'failed')
    if (found.length > 0) {
      const addresses = found.flatMap((answer) => answer.addresses)
      this.#options.ended({ addresses }, hasFailed ? undefined : Math.min(...found.map(({ ttlMs }) => ttlMs)))
      this.#all.resolve(addresses)
      return this.#first.resolve(addresses)
    }
    // A server that says there is no such name says it of both families (RFC 8020).
    const isNone = !hasFailed || answers.some(({ kind }) => kind === 'none')
    const code = isNone ? 'name-not-found' : 'name-lookup-failed'
    this.#options.ended({ code }, undefined)
    const error = new GatewayError(code, { side: 'upstream' })
    this.#all.reject(error)
    this.#first.reject(error)
  }
}
