// The catalogues: every text of the page stands in them and nowhere else, each language fills all of it, and the words that
// may not be used of ourselves are not.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { EN } from '../../../../src/lab/console/page/texts/en.ts'
import { UR } from '../../../../src/lab/console/page/texts/ur.ts'

const PAGE = path.join(import.meta.dirname, '../../../../src/lab/console/page')

type Leaf = readonly [string, unknown]

function leaves(value: unknown, at = ''): Leaf[] {
  if (typeof value !== 'object' || value === null) return [[at, value]]
  return Object.entries(value).flatMap(([key, child]) => leaves(child, `${at}.${key}`))
}

/** Text that JSX would show as it stands: letters between tags, or in an attribute that is read aloud. */
function literalTexts(source: string): string[] {
  const between = [...source.matchAll(/>\s*([^<>{}=;()]*[A-Za-z]{3}[^<>{}=;()]*)\s*<\//g)].map(
    ([, text = '']) => text,
  )
  const said = [...source.matchAll(/\b(?:aria-label|title|alt|placeholder)="([^"]+)"/g)].map(
    ([, text = '']) => text,
  )
  return [...between, ...said].map((text) => text.trim())
}

describe('the catalogues', () => {
  it('have the same shape, and no empty text but the remark on a reviewed language', () => {
    const shape = (catalogue: unknown): string[] =>
      leaves(catalogue).map(([at, value]) => `${at}: ${typeof value}`)
    expect(shape(UR)).toEqual(shape(EN))
    const empty = [...leaves(EN), ...leaves(UR)].filter(([, value]) => value === '').map(([at]) => at)
    expect(empty).toEqual(['.notReviewed'])
    expect(UR.notReviewed).not.toBe('')
  })

  it('Urdu is Urdu: hardly a text of it is left as in English', () => {
    const english = new Map(leaves(EN))
    const same = leaves(UR).filter(([at, value]) => typeof value === 'string' && english.get(at) === value)
    expect(same.map(([at]) => at).filter((at) => !at.endsWith('.file'))).toEqual([
      '.sample.cookie',
      '.sample.password',
    ])
  })

  it('use no word that we may not use of ourselves', () => {
    const said = leaves(EN)
      .map(([, value]) => String(value))
      .join('\n')
    expect(said).not.toMatch(/anonym|untraceable|military|\btotal\b|unblockable/i)
  })

  it('hold every text of the page', () => {
    const parts = readdirSync(PAGE).filter((file) => file.endsWith('.tsx'))
    expect(parts.length).toBeGreaterThan(8)
    const found = parts.flatMap((file) =>
      literalTexts(readFileSync(path.join(PAGE, file), 'utf8')).map((text) => `${file}: ${text}`),
    )
    // Our name is the same in every language.
    expect(found).toEqual(['app.tsx: Sightline'])
    expect(literalTexts('<p>Some words</p><i title="said">{a}</i>')).toEqual(['Some words', 'said'])
  })
})
