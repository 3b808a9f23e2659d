// The egress rules of a config file, read once: `HOST[:PORTS]`, where HOST is an address, a CIDR, a DNS name,
// `*.example.org` (any depth below it, not itself) or `*`, and PORTS is N, N-M or `*`. Rule: a rule that
// could be read in two ways, or that says more than it seems to, is an error with a hint, never a guess.
import { GatewayError } from '../errors.ts'
import { normalizeHost } from './host.ts'
import {
  type Prefix,
  formatAddress,
  maskPrefix,
  parsePrefix,
  sameAddress,
  unmapAddress,
} from './ip-address.ts'

interface RuleLists {
  readonly allow: readonly string[]
  readonly deny: readonly string[]
  readonly allowOnly: boolean
}

export interface EgressConfig extends RuleLists {
  readonly mode: 'enforce' | 'report'
  /** By user or certificate name: rules for that identity, beside the general ones. */
  readonly identities?: Readonly<Record<string, RuleLists>>
}

type RuleHost =
  | { readonly kind: 'any' }
  | { readonly kind: 'name'; readonly name: string }
  /** `suffix` begins with a dot. */
  | { readonly kind: 'below'; readonly suffix: string }
  | { readonly kind: 'range'; readonly prefix: Prefix }

export interface EgressRule {
  /**
   * Stable id, safe for logs and metrics: `allow[2]` is the third entry of `egress.allow`, `identity.allow[2]` of the
   * list of whoever asks.
   */
  readonly id: string
  readonly host: RuleHost
  readonly firstPort: number
  readonly lastPort: number
}

export interface EgressPolicy {
  readonly mode: 'enforce' | 'report'
  readonly allow: readonly EgressRule[]
  readonly deny: readonly EgressRule[]
  readonly allowOnly: boolean
}

/** The general law, and what it is for each identity that has rules of its own. */
export interface EgressPolicies extends EgressPolicy {
  readonly identities: ReadonlyMap<string, EgressPolicy>
}

/** Reads the rules of a config. Errors: `config-invalid`, with the rule and its place in the detail. */
export function parseEgressRules(config: EgressConfig): EgressPolicies {
  const general: EgressPolicy = {
    mode: config.mode,
    allow: config.allow.map((text, index) => parseRule(text, `allow[${index}]`)),
    deny: config.deny.map((text, index) => parseRule(text, `deny[${index}]`)),
    allowOnly: config.allowOnly,
  }
  const identities = new Map<string, EgressPolicy>()
  for (const [name, own] of Object.entries(config.identities ?? {})) {
    const rules = (list: 'allow' | 'deny'): EgressRule[] =>
      own[list].map((text, index) =>
        parseRule(text, `identity.${list}[${index}]`, `identities.${name}.${list}[${index}]`),
      )
    identities.set(name, {
      mode: general.mode,
      allow: [...general.allow, ...rules('allow')],
      deny: [...general.deny, ...rules('deny')],
      allowOnly: general.allowOnly || own.allowOnly,
    })
  }
  return { ...general, identities }
}

/** The law for an identity: the general one with its own rules, read once when the config was. */
export function policyFor(
  policies: EgressPolicies,
  identity: { readonly name: string } | undefined,
): EgressPolicy {
  return identity === undefined ? policies : (policies.identities.get(identity.name) ?? policies)
}

function parseRule(text: string, id: string, place: string = id): EgressRule {
  const fail = (what: string, hint: string): never => {
    const detail = `egress.${place}: ${JSON.stringify(text)}: ${what}`
    throw new GatewayError('config-invalid', { side: 'self', detail, hint })
  }
  const { host, ports } =
    splitRule(text) ?? fail('not HOST[:PORTS]', 'write an IPv6 host as [2001:db8::/32]:443')
  const range = parsePorts(ports)
  if (range === undefined) return fail('not a port or a range of ports', 'write 443, 9000-9010 or *')
  return { id, host: parseRuleHost(host, fail), firstPort: range[0], lastPort: range[1] }
}

/** IPv6 without brackets takes no port: every colon in it is its own. */
function splitRule(text: string): { host: string; ports: string } | undefined {
  const bracketed = /^\[([^\][]*)\](\/\d+)?(?::(.+))?$/.exec(text)
  if (bracketed !== null) {
    const [, host = '', bits = '', ports = '*'] = bracketed
    return host.includes(':') && !(host.includes('/') && bits !== '')
      ? { host: host + bits, ports }
      : undefined
  }
  const colon = text.indexOf(':')
  if (colon < 0) return { host: text, ports: '*' }
  if (colon === text.lastIndexOf(':')) return { host: text.slice(0, colon), ports: text.slice(colon + 1) }
  return parsePrefix(text) === undefined ? undefined : { host: text, ports: '*' }
}

function parsePorts(text: string): readonly [number, number] | undefined {
  if (text === '*') return [1, 65_535]
  const match = /^([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(text)
  if (match === null) return undefined
  const first = Number(match[1])
  const last = Number(match[2] ?? match[1])
  return first <= last && last <= 65_535 ? [first, last] : undefined
}

function parseRuleHost(text: string, fail: (what: string, hint: string) => never): RuleHost {
  if (text === '*') return { kind: 'any' }
  const prefix = parsePrefix(text)
  if (prefix !== undefined) return { kind: 'range', prefix: parseRange(prefix, fail) }
  if (text.includes('/')) return fail('not a CIDR', 'write 10.0.0.0/8 or 2001:db8::/32')
  const below = text.startsWith('*.')
  const name = parseName(below ? text.slice(2) : text)
  if (name === undefined) {
    return fail(
      'not an address, a CIDR, a DNS name, *.NAME or *',
      'write 192.0.2.1, example.org or *.example.org',
    )
  }
  return below ? { kind: 'below', suffix: `.${name}` } : { kind: 'name', name }
}

/** A mapped range is the IPv4 range it maps: destinations are judged by that too. */
function parseRange(prefix: Prefix, fail: (what: string, hint: string) => never): Prefix {
  const masked = maskPrefix(prefix)
  if (!sameAddress(masked.bytes, prefix.bytes)) {
    return fail(
      'the address has bits beyond the prefix',
      `write ${formatAddress(masked.bytes)}/${prefix.bits}`,
    )
  }
  const bytes = unmapAddress(prefix.bytes)
  return bytes.length === prefix.bytes.length || prefix.bits < 96 ? prefix : { bytes, bits: prefix.bits - 96 }
}

/**
 * undefined for what is no name, and for the loose spellings of addresses (`127.1`), which a rule cannot
 * mean.
 */
function parseName(text: string): string | undefined {
  try {
    const host = normalizeHost(text)
    return host.kind === 'name' ? host.name : undefined
  } catch {
    return undefined
  }
}
