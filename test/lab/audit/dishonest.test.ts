// A dishonest proxy is caught on each count, and on that count alone.
import { describe, expect, it } from 'vitest'
import type { Question } from '../../../src/lab/audit/checks.ts'
import { ALL_PASSED, answers, audit, controls, says, value } from './audits.ts'
import { startDishonestProxy, type Deed } from './dishonest-proxy.ts'

/** It always opens TLS: what it does else, it does to https too. */
const CASES: ReadonlyArray<readonly [Deed, readonly Question[], words: readonly [Question, RegExp]]> = [
  ['opens-tls', [], ['tls-intercepted', /certificate that was shown is not the probe's\n.*ClientHello.*JA4/]],
  [
    'names-you',
    ['headers-name-you', 'request-changed'],
    ['headers-name-you', /^x-forwarded-for: \S*127\.0\.0\.1 \(http\)\nx-forwarded-for: .* \(https\)$/],
  ],
  ['rewrites-requests', ['request-changed'], ['request-changed', /changed the body \(http\)/]],
  ['rewrites-answers', ['response-changed'], ['response-changed', /changed the body \(http\)/]],
  ['forges-reports', ['report-forged'], ['report-forged', /not sealed with its token/]],
]

describe('a proxy that', () => {
  it.each(CASES)('%s', async (deed, caught, [question, words]) => {
    await using proxy = await startDishonestProxy(deed)
    const result = await audit(proxy.url)
    const found = Object.entries(answers(result)).filter(([, answer]) => answer === 'yes')
    expect(found.map(([name]) => name).toSorted()).toEqual(
      ['names-by-proxy', 'tls-intercepted', ...caught].toSorted(),
    )
    expect(says(result, question)).toMatch(words)
    expect(result.answer).toMatch(/^this is a plain proxy: .*\. BEWARE: it opens the TLS of https sites/)
    expect(controls(result)).toEqual(ALL_PASSED)
    expect(value(result, 'https', 'gateway-operator', 'content')).toBe('clear')
    expect(value(result, 'https', 'access-network', 'content')).toBe('sealed')
    expect(value(result, 'https', 'destination', 'client-fingerprint')).toBe('absent')
  })
})
