// docs/conformance.md and the tables say the same: every key that a case names has its line, every line is named by a
// case. And the comparison itself is given what it has to find.
import { describe, expect, it } from 'vitest'
import { conformanceKeys, differences, judge, keysOf } from './compare.ts'
import type { Case, Outcome } from './script.ts'
import { HTTP_TABLES, SOCKS_TABLES } from './tables.ts'

const TABLES = [...SOCKS_TABLES, ...HTTP_TABLES]
const CASES = TABLES.flatMap(({ cases }) => cases)

describe('docs/conformance.md', () => {
  const keys = conformanceKeys()

  it('has one line for each key', () => {
    expect(keys.length).toBeGreaterThan(0)
    expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([])
  })

  it('has a line for every key that a case names', () => {
    expect([...new Set(keysOf(CASES))].filter((key) => !keys.includes(key))).toEqual([])
  })

  it('has no line that no case names', () => {
    const named = new Set(keysOf(CASES))
    expect(keys.filter((key) => !named.has(key))).toEqual([])
  })

  it('is read row by row', () => {
    expect(conformanceKeys('| key | what |\n| --- | --- |\n| `a-b` | x |\nsee `c`\n| `d` | y |\n')).toEqual([
      'a-b',
      'd',
    ])
  })
})

describe('the tables', () => {
  it.each(TABLES)('$title: every case has a name of its own, and looks at something', ({ cases }) => {
    const names = cases.map(({ name }) => name)
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
    expect(cases.filter(({ outcome }) => Object.keys(outcome).length === 0)).toEqual([])
  })

  it('hold at least 20 cases of each kind', () => {
    const [negotiation, failures, overSocks, connect, forwarding, overHttp] = TABLES.map(
      ({ cases }) => cases.length,
    )
    for (const count of [negotiation, failures, connect, forwarding, (overSocks ?? 0) + (overHttp ?? 0)])
      expect(count).toBeGreaterThanOrEqual(20)
  })
})

describe('the comparison', () => {
  const row: Case = { name: 'a case', script: [], outcome: { status: '200', echo: 'yes' } }
  const ran = (theirs: Outcome, ours: Outcome = row.outcome): Map<string, Outcome> =>
    new Map([
      ['http-proxy', ours],
      ['squid', theirs],
    ])
  const named = (fields: Record<string, string>): Case => ({ ...row, differs: { squid: fields } })

  it('finds nothing where all is the same', () => {
    expect(judge(row, ran(row.outcome))).toEqual([])
  })

  it('finds a difference that no key names', () => {
    expect(judge(row, ran({ status: '503' }))).toEqual([
      'squid: status is "503", http-proxy has "200": fix or justify it',
    ])
  })

  it('takes one that a key names, and no other', () => {
    expect(judge(named({ status: 'a-key' }), ran({ status: '503' }))).toEqual([])
    expect(judge(named({ status: 'a-key' }), ran({ status: '503', echo: 'gone' }))).toHaveLength(1)
  })

  it('finds a key that is not needed any more', () => {
    expect(judge(named({ status: 'a-key' }), ran(row.outcome))).toEqual([
      'squid: status does not differ: a-key is not needed here',
    ])
  })

  it('finds a key for a program that was not run', () => {
    expect(judge({ ...row, differs: { dante: {} } }, ran(row.outcome))).toEqual([
      'dante is named, and was not run',
    ])
  })

  it('finds that Sightline does not do what is recorded, though the others do the same', () => {
    const changed = { status: '200', echo: 'gone' }
    expect(judge(row, ran(changed, changed))).toEqual(['http-proxy: echo is "gone", recorded is "yes"'])
  })

  it('holds no field against a program whose run ended before it', () => {
    expect(differences({ method: '05 00', reply: '05 00 00' }, { method: 'gone' })).toEqual(['method'])
  })
})
