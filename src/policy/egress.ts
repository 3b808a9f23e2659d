// Where the gateway may connect to, decided in two pure steps: by name before the look-up, by address after
// it and before the dial (which dials that very address). Rule: own listeners are never reached; then deny
// beats allow; an allow by address lifts the built-in denial of special ranges, an allow by name or `*` never
// does; `allowOnly` refuses what nothing allows. No verdict holds a destination.
import type { BoundAddress } from '../protocol/request.ts'
import { classifyAddress } from './address-ranges.ts'
import type { EgressPolicy, EgressRule } from './egress-rules.ts'
import { type Host, normalizeHost } from './host.ts'
import {
  type AddressBytes,
  heldAddresses,
  inPrefix,
  parseAddress,
  prefix,
  sameAddress,
  unmapAddress,
} from './ip-address.ts'

export {
  type EgressConfig,
  type EgressPolicies,
  type EgressPolicy,
  parseEgressRules,
  policyFor,
} from './egress-rules.ts'
export { normalizeHost } from './host.ts'

type EgressDenial = 'mixed-answer' | 'denied-range' | 'denied-rule' | 'not-allowed' | 'own-listener'

/**
 * `rule`: `allow[2]`, `identity.deny[0]`, or `own-listener`, `built-in`, `allow-only`, `default` where no written rule
 * spoke.
 */
export type EgressVerdict =
  | { readonly allowed: true; readonly rule: string }
  | { readonly allowed: false; readonly rule: string; readonly reason: EgressDenial; readonly range?: string }

/**
 * What the rules compare: the host as asked for, and the spellings of the address, apart for denial and for
 * allowance.
 */
interface Target {
  readonly host: Host
  readonly port: number
  readonly denyAs: readonly AddressBytes[]
  readonly allowAs: readonly AddressBytes[]
}

/**
 * Step one, before the look-up: refuses what a deny rule names and, under `allowOnly`, what no rule could
 * allow at any address, so that a refused name is not even looked up. `allowed: true` says only "go on to
 * step two". Errors: `bad-request` for a malformed host.
 */
export function judgeName(policy: EgressPolicy, asked: { host: string; port: number }): EgressVerdict {
  const host = normalizeHost(asked.host)
  const target: Target = { host, port: asked.port, ...spellings(host.kind === 'address' ? host.address : '') }
  const denied = policy.deny.find((rule) => matches(rule, target, target.denyAs))
  if (denied !== undefined) return { allowed: false, rule: denied.id, reason: 'denied-rule' }
  const allowed = policy.allow.find((rule) => matches(rule, target, target.allowAs))
  if (allowed !== undefined || !policy.allowOnly) return { allowed: true, rule: allowed?.id ?? 'default' }
  const byAddress = policy.allow.find((rule) => rule.host.kind === 'range' && hasPort(rule, asked.port))
  if (host.kind === 'name' && byAddress !== undefined) return { allowed: true, rule: 'default' }
  return { allowed: false, rule: 'allow-only', reason: 'not-allowed' }
}

/**
 * Step two, after the look-up: whether `address` (one answer of the look-up, or the literal itself) may be
 * dialled for `host`. `own`: the gateway's listeners; one on 0.0.0.0 or `::` stands for loopback and every
 * one of `localAddresses`. Errors: `bad-request` for a malformed host.
 */
export function judgeAddress(
  policy: EgressPolicy,
  asked: {
    readonly host: string
    readonly port: number
    readonly address: string
    readonly own: readonly BoundAddress[]
    readonly localAddresses?: readonly string[]
  },
): EgressVerdict {
  const target: Target = { host: normalizeHost(asked.host), port: asked.port, ...spellings(asked.address) }
  const local = (): AddressBytes[] =>
    (asked.localAddresses ?? []).flatMap((address) => spellings(address).denyAs)
  if (
    asked.own.some((listener) => listener.port === asked.port && listensOn(listener, target.denyAs, local))
  ) {
    return { allowed: false, rule: 'own-listener', reason: 'own-listener' }
  }
  const denied = policy.deny.find((rule) => matches(rule, target, target.denyAs))
  if (denied !== undefined) return { allowed: false, rule: denied.id, reason: 'denied-rule' }
  const lifted = policy.allow.find(
    (rule) => rule.host.kind === 'range' && matches(rule, target, target.allowAs),
  )
  if (lifted !== undefined) return { allowed: true, rule: lifted.id }
  const verdict = classifyAddress(asked.address)
  if (!verdict.global)
    return { allowed: false, rule: 'built-in', reason: 'denied-range', range: verdict.range }
  const allowed = policy.allow.find((rule) => matches(rule, target, target.allowAs))
  if (allowed !== undefined) return { allowed: true, rule: allowed.id }
  if (policy.allowOnly) return { allowed: false, rule: 'allow-only', reason: 'not-allowed' }
  return { allowed: true, rule: 'default' }
}

/**
 * Of a whole answer of the look-up, before any of it is dialled: a name that leads to the public network and into a
 * special-purpose range at once is refused outright, since an honest name does one or the other, and an attacker's does
 * both (rebinding, split answers). Addresses that a rule lifts are as good as public ones.
 */
export function judgeAnswer(
  policy: EgressPolicy,
  asked: { readonly host: string; readonly port: number; readonly addresses: readonly string[] },
): EgressVerdict {
  const { addresses, ...rest } = asked
  const verdicts = addresses.map((address) => judgeAddress(policy, { ...rest, address, own: [] }))
  const denied = verdicts.find((verdict) => !verdict.allowed && verdict.reason === 'denied-range')
  const isPublic = addresses.some((address) => classifyAddress(address).global)
  if (denied === undefined || denied.allowed || !isPublic) return { allowed: true, rule: 'default' }
  return { allowed: false, rule: denied.rule, reason: 'mixed-answer' }
}

/** Translated forms: the packets go to that IPv4 host itself. The tunnel forms only pass through theirs. */
const SAME_HOST_FORMS: ReadonlySet<string> = new Set(['mapped', 'translated', 'nat64'])

/**
 * Denial looks at the address, whatever zone it has, and at every IPv4 address inside it. Allowance is
 * narrower: no zoned address, an IPv4 inside only where it is the same host, and a mapped address only as
 * IPv4, so that `::/0` does not lift 127.0.0.1.
 */
function spellings(address: string): Pick<Target, 'denyAs' | 'allowAs'> {
  const bytes = parseAddress(withoutZone(address))
  if (bytes === undefined) return { denyAs: [], allowAs: [] }
  const held = heldAddresses(bytes)
  const denyAs = [bytes, ...held.map((inner) => inner.bytes)]
  if (address.includes('%')) return { denyAs, allowAs: [] }
  const same = held.filter((inner) => SAME_HOST_FORMS.has(inner.form)).map((inner) => inner.bytes)
  return { denyAs, allowAs: [unmapAddress(bytes), ...same] }
}

function matches(rule: EgressRule, target: Target, addresses: readonly AddressBytes[]): boolean {
  if (!hasPort(rule, target.port)) return false
  const { host } = rule
  switch (host.kind) {
    case 'any':
      return true
    case 'name':
      return target.host.kind === 'name' && target.host.name === host.name
    case 'below':
      return target.host.kind === 'name' && target.host.name.endsWith(host.suffix)
    case 'range':
      return addresses.some((address) => inPrefix(address, host.prefix))
  }
}

function hasPort(rule: EgressRule, port: number): boolean {
  return rule.firstPort <= port && port <= rule.lastPort
}

const UNSPECIFIED = [prefix('0.0.0.0'), prefix('::')]
const LOOPBACK = [prefix('127.0.0.0/8'), prefix('::1')]

/** Connecting to 0.0.0.0 or `::` connects to this machine's loopback (Linux, BSD). */
function listensOn(
  listener: BoundAddress,
  to: readonly AddressBytes[],
  local: () => readonly AddressBytes[],
): boolean {
  const parsed = parseAddress(withoutZone(listener.address))
  if (parsed === undefined) return false
  const at = unmapAddress(parsed)
  const reached = to.map((address) => {
    const family = UNSPECIFIED.findIndex((unspecified) => inPrefix(address, unspecified))
    return family === 0 ? [127, 0, 0, 1] : family === 1 ? LOOPBACK[1]!.bytes : address
  })
  if (!UNSPECIFIED.some((unspecified) => inPrefix(at, unspecified))) {
    return reached.some((address) => sameAddress(address, at))
  }
  return reached.some((address) => {
    if (at.length === 4 && address.length === 16) return false
    const isLoopback = LOOPBACK.some((loopback) => inPrefix(address, loopback))
    return isLoopback || local().some((own) => sameAddress(own, address))
  })
}

function withoutZone(address: string): string {
  const percent = address.indexOf('%')
  return percent < 0 ? address : address.slice(0, percent)
}
