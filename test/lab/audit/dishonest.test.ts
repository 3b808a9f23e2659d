// A dishonest proxy is caught on each count, and on that count alone.
import { describe, expect, it } from 'vitest'
import type { AuditResult } from '../../../src/lab/audit/audit.ts'
import type { Question } from '../../../src/lab/audit/checks.ts'
import { ALL_PASSED, answers, audit, controls, says, value } from './audits.ts'
import { startDishonestProxy, type Deed } from './dishonest-proxy.ts'

/** What each deed is caught at, beside the TLS of those that open it. */
const CASES: ReadonlyArray<readonly [Deed, readonly Question[], words: readonly [Question, RegExp]]> = [
  [
    'names-you',
    ['headers-name-you', 'request-changed'],
    ['headers-name-you', /^x-forwarded-for: \S*127\.0\.0\.1 \(http\)/],
  ],
  ['rewrites-requests', ['request-changed'], ['request-changed', /changed the body \(http\)/]],
  ['rewrites-answers', ['response-changed'], ['response-changed', /changed the body \(http\)/]],
  ['forges-reports', ['report-forged'], ['report-forged', /not sealed with its token/]],
]
const PLAIN_PROXY: readonly Question[] = ['names-by-proxy', 'program-named']

function caughtAt(result: AuditResult): string[] {
  return Object.entries(answers(result))
    .flatMap(([name, answer]) => (answer === 'yes' ? [name] : []))
    .toSorted()
}

describe('a proxy that leaves TLS alone and', () => {
  it.each(CASES)('%s', async (deed, caught, [question, words]) => {
    await using proxy = await startDishonestProxy(deed)
    const result = await audit(proxy.url)
    expect(caughtAt(result)).toEqual([...PLAIN_PROXY, ...caught].toSorted())
    expect(says(result, question)).toMatch(words)
    expect(says(result, question)).not.toContain('(https)')
    expect(result.answer).toMatch(/^this is a plain proxy: .*\. BEWARE: /)
    expect(controls(result)).toEqual(ALL_PASSED)
    expect(value(result, 'https', 'gateway-operator', 'content')).toBe('sealed')
    expect(value(result, 'https', 'destination', 'client-fingerprint')).toBe('clear')
  })
})

describe('a proxy that opens TLS and', () => {
  it.each([
    [
      'opens-tls',
      [],
      ['tls-intercepted', /certificate that was shown is not the probe's\n.*ClientHello.*JA4/],
    ],
    ...CASES,
  ] as typeof CASES)('%s', async (deed, caught, [question, words]) => {
    await using proxy = await startDishonestProxy('opens-tls', deed)
    const result = await audit(proxy.url)
    expect(caughtAt(result)).toEqual([...PLAIN_PROXY, 'tls-intercepted', ...caught].toSorted())
    expect(says(result, question)).toMatch(words)
    // Where it opens TLS it does to https what it does to http.
    if (/changed|name-you/.test(question)) expect(says(result, question)).toContain('(https)')
    expect(result.answer).toMatch(/^this is a plain proxy: .*\. BEWARE: it opens the TLS of https sites/)
    expect(controls(result)).toEqual(ALL_PASSED)
    expect(value(result, 'https', 'gateway-operator', 'content')).toBe('clear')
    expect(value(result, 'https', 'access-network', 'content')).toBe('sealed')
    expect(value(result, 'https', 'destination', 'client-fingerprint')).toBe('absent')
  })
})
