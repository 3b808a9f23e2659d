// The egress rules where an upstream proxy looks names up, so that no address is ever seen here. Pure. Rules: what a
// rule by address would have to decide is not decided by silence (`allowOnly` refuses a name that no rule names), and
// names of loopback are judged as the addresses that they are.
import { judgeName, normalizeHost, type EgressPolicy, type EgressVerdict } from './egress.ts'

/** What `localhost` and the names below it are, wherever they are looked up (RFC 6761 section 6.3). */
export const LOOPBACK_ADDRESSES = ['127.0.0.1', '::1'] as const

/** `name` as normalizeHost gives it. */
export function isLoopbackName(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost')
}

/**
 * As `judgeName`, but final for names: there is no step two. An address is judged by `judgeAddress` as ever, with the
 * name of loopback. Errors: `bad-request` for a malformed host.
 */
export function judgeUnresolvedName(policy: EgressPolicy, asked: { host: string; port: number }): EgressVerdict {
  const verdict = judgeName(policy, asked)
  if (!verdict.allowed || !policy.allowOnly || verdict.rule !== 'default') return verdict
  const host = normalizeHost(asked.host)
  if (host.kind === 'address' || isLoopbackName(host.name)) return verdict
  return { allowed: false, rule: 'allow-only', reason: 'not-allowed' }
}
