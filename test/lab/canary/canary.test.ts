// Canaries must be repeatable, different from each other, and safe unescaped wherever they are planted.
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CANARY_FIELDS, makeCanaries } from '../../../src/lab/canary.ts'

describe('makeCanaries', () => {
  it('gives the same words for the same seed, on every machine', () => {
    expect(makeCanaries('a seed')).toEqual(makeCanaries('a seed'))
    expect(makeCanaries('1').neverSent).toBe('rwc5bcy3mmawbwpt7t32uih3g')
  })

  it('gives each probe names of its own, and the same words otherwise', () => {
    const [plain, one, other] = ['', 'direct, http', 'tunnel, http'].map((probe) => makeCanaries('s', probe))
    const names = { hostLabel: '', untoldLabel: '' }
    expect({ ...one, ...names }).toEqual({ ...plain, ...names })
    expect(new Set([plain, one, other].flatMap((words) => [words?.hostLabel, words?.untoldLabel])).size).toBe(
      6,
    )
  })

  it('has one for each field and no other', () => {
    expect(Object.keys(makeCanaries('s')).toSorted()).toEqual([...CANARY_FIELDS].toSorted())
  })

  it('gives words that differ between fields and seeds', () => {
    const words = [...Object.values(makeCanaries('one')), ...Object.values(makeCanaries('two'))]
    expect(new Set(words).size).toBe(words.length)
  })

  it('gives a letter and 24 characters of base32 for any seed, so that it fits every field', () => {
    fc.assert(
      fc.property(fc.string(), (seed) => {
        for (const word of Object.values(makeCanaries(seed))) expect(word).toMatch(/^[a-z][a-z2-7]{24}$/)
      }),
      { numRuns: 50 },
    )
  })
})
