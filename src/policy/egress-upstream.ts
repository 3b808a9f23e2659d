// The egress rules where no address is ever seen here, since an upstream proxy looks names up; and what the rules say
// of loopback. Pure. Rules: what a rule by address would have to decide is not decided by silence (`allowOnly` refuses a
// name that no rule names), and names of loopback are judged as the addresses that they are.
import { judgeName, normalizeHost, type EgressPolicy, type EgressVerdict } from './egress.ts'
import { inPrefix, parseAddress, prefix } from './ip-address.ts'

/** What `localhost` and the names below it are, wherever they are looked up (RFC 6761 section 6.3). */
export const LOOPBACK_ADDRESSES = ['127.0.0.1', '::1'] as const

const LOOPBACK_RANGES = [prefix('127.0.0.0/8'), prefix('::1')]

/** `address` as normalizeHost gives it; false for what is none. */
export function isLoopbackAddress(address: string): boolean {
  const bytes = parseAddress(address)
  return bytes !== undefined && LOOPBACK_RANGES.some((range) => inPrefix(bytes, range))
}

/** True where some rule lets some of loopback be reached. */
export function allowsLoopback({ allow }: EgressPolicy): boolean {
  return allow.some(
    ({ host }) =>
      host.kind === 'range' &&
      LOOPBACK_RANGES.some(
        (range) => inPrefix(range.bytes, host.prefix) || inPrefix(host.prefix.bytes, range),
      ),
  )
}

/** `name` as normalizeHost gives it. */
export function isLoopbackName(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost')
}

/**
 * As `judgeName`, but final for names: there is no step two. An address is judged by `judgeAddress` as ever, with the
 * name of loopback. Errors: `bad-request` for a malformed host.
 */
export function judgeUnresolvedName(
  policy: EgressPolicy,
  asked: { host: string; port: number },
): EgressVerdict {
  const verdict = judgeName(policy, asked)
  if (!verdict.allowed || !policy.allowOnly || verdict.rule !== 'default') return verdict
  const host = normalizeHost(asked.host)
  if (host.kind === 'address' || isLoopbackName(host.name)) return verdict
  return { allowed: false, rule: 'allow-only', reason: 'not-allowed' }
}
