// The egress rules at work: holds what is asked for against the policy in force, with this process's own listeners,
// and throws or, in mode `report`, tells. Rule: a refusal carries a rule and a reason, never a destination.
import os from 'node:os'
import { GatewayError } from '../errors.ts'
import type { DialRequest } from '../outbound/outbound.ts'
import {
  judgeAddress,
  judgeAnswer,
  judgeName,
  policyFor,
  type EgressPolicies,
  type EgressVerdict,
} from '../policy/egress.ts'
import { judgeUnresolvedName } from '../policy/egress-upstream.ts'
import type { BoundAddress } from '../protocol/request.ts'
import { EgressRefusal } from './connection.ts'
import type { Observer } from './observer.ts'

export interface EgressGuardOptions {
  readonly policies: EgressPolicies
  readonly observer: Observer
  readonly newReference: () => string
  /** Every address that this process listens on: never to be reached through it. */
  readonly ownListeners: () => readonly BoundAddress[]
}

/** What is judged: who asks for what. */
type Asked = Pick<DialRequest, 'mode' | 'identity' | 'destination'>

export class EgressGuard {
  /** The rules in force; a reload puts others here. */
  policies: EgressPolicies
  #options: EgressGuardOptions
  #reported = new WeakSet<Asked>()
  readonly #localAddresses = Object.values(os.networkInterfaces()).flatMap(
    (list) => list?.map((entry) => entry.address) ?? [],
  )

  constructor(options: EgressGuardOptions) {
    this.#options = options
    this.policies = options.policies
  }

  /** Step one: the name, before it is looked up. `isFinal` where it is somebody else who looks it up. */
  name(asked: Asked, isFinal = false, told?: Set<string>): void {
    const judge = isFinal ? judgeUnresolvedName : judgeName
    this.#enforce(judge(policyFor(this.policies, asked.identity), asked.destination), asked, told)
  }

  /** Step two: one address, before it is dialled. `relays`: own UDP relays. */
  address(asked: Asked, address: string, relays: Iterable<BoundAddress> = [], told?: Set<string>): void {
    const own = [...this.#options.ownListeners(), ...relays]
    const verdict = judgeAddress(policyFor(this.policies, asked.identity), {
      ...asked.destination,
      address,
      own,
      localAddresses: this.#localAddresses,
    })
    this.#enforce(verdict, asked, told)
  }

  /** Beside step two: what all addresses of a name are together. */
  answer(asked: Asked, addresses: readonly string[], told?: Set<string>): void {
    const verdict = judgeAnswer(policyFor(this.policies, asked.identity), { ...asked.destination, addresses })
    this.#enforce(verdict, asked, told)
  }

  /** An upstream that is this gateway would be asked by itself without end. Errors: `upstream-unavailable`. */
  upstream(address: string, port: number): void {
    const verdict = judgeAddress(policyFor(this.policies, undefined), {
      host: address,
      port,
      address,
      own: this.#options.ownListeners(),
      localAddresses: this.#localAddresses,
    })
    if (!verdict.allowed && verdict.reason === 'own-listener') throw new GatewayError('upstream-unavailable')
  }

  #enforce(verdict: EgressVerdict, asked: Asked, told?: Set<string>): void {
    if (verdict.allowed) return
    const { rule, reason } = verdict
    const { mode, identity } = asked
    if (this.policies.mode === 'enforce' || reason === 'own-listener') {
      throw new GatewayError('destination-denied', { side: 'client', cause: new EgressRefusal(rule, reason) })
    }
    // An association tells each rule once, a connection the first that refuses it: its name and each of its addresses
    // are judged, and `enforce` would refuse it once.
    if (told === undefined ? this.#reported.has(asked) : told.has(rule)) return
    if (told === undefined) this.#reported.add(asked)
    else told.add(rule)
    const reference = this.#options.newReference()
    this.#options.observer.wouldRefuse({
      mode,
      identity,
      code: 'destination-denied',
      reference,
      rule,
      reason,
    })
  }
}
