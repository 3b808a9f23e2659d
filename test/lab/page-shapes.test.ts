// Pages told apart by the sizes of sealed records: by captured bytes alone, better than chance, and no better where the
// sizes say nothing or the labels are wrong.
import { beforeAll, describe, expect, it } from 'vitest'
import { assess } from '../../src/lab/assess.ts'
import { runName } from '../../src/lab/model.ts'
import { PAGES, pagePart, type PageLoads } from '../../src/lab/page-loads.ts'
import { isMoreThanChance, tellPages } from '../../src/lab/page-shapes.ts'
import type { Recording } from '../../src/lab/recording.ts'
import { measure, type Measured } from './measure.ts'

describe('telling pages apart by their sizes', () => {
  let measured: Measured
  const recordingOf = (mode: string): Recording & { readonly pageLoads: PageLoads } => {
    const found = measured.recordings.find(({ scenario }) => scenario.mode === mode)
    if (found?.pageLoads === undefined) throw new Error(`no pages were loaded in ${mode}`)
    return { ...found, pageLoads: found.pageLoads }
  }

  beforeAll(async () => {
    measured = await measure({
      seed: 'pages',
      modes: ['direct', 'https-proxy', 'tunnel'],
      variants: [],
      schemes: ['http'],
      tellsPages: true,
    })
  })

  it('is tried where the link seals what is read, and not where it can be read', () => {
    expect(measured.result.runs.map((run) => [runName(run), run.procedures.length])).toEqual([
      ['direct, http', 0],
      ['https-proxy, http', 1],
      ['tunnel, http', 1],
    ])
  })

  it('is right of most loads that it had not seen, in either mode, and says so as evidence of the shape', () => {
    for (const run of measured.result.runs.filter(({ procedures }) => procedures.length > 0)) {
      const [told] = run.procedures
      expect(told).toMatchObject({ name: 'page-of-20', of: PAGES, chance: 1 / PAGES })
      expect(told?.right).toBeGreaterThanOrEqual(PAGES / 2)
      const shape = run.cells.find(
        ({ observer, information }) => observer === 'access-network' && information === 'traffic-shape',
      )
      expect(shape?.value).toBe('clear')
      expect(shape?.evidence.at(-1)).toMatchObject({
        kind: 'procedure',
        field: 'page-of-20',
        excerpt: `${told?.right} of 20 pages told by their sizes; chance: 1 of 20`,
      })
      expect(run.findings).toEqual([])
    }
  })

  it('uses no key: the words of the pages stand nowhere on the link', () => {
    const { pageLoads } = recordingOf('tunnel')
    const bytes = Buffer.concat(pageLoads.connections.flatMap(({ frames }) => frames.map((one) => one.bytes)))
    expect(bytes.length).toBeGreaterThan(100_000)
    expect(bytes.includes('/pages/')).toBe(false)
  })

  it('is no better than chance where it learned the wrong pages', () => {
    const { pageLoads } = recordingOf('tunnel')
    for (const shift of [1, 7, 13]) {
      const loads = pageLoads.loads.map((load) =>
        load.isLearned ? { ...load, page: (load.page + shift) % PAGES } : load,
      )
      expect(isMoreThanChance(tellPages({ ...pageLoads, loads }))).toBe(false)
    }
  })

  it('is no better than chance where the sizes say nothing, and the run is red for it', () => {
    const recording = recordingOf('tunnel')
    const [first] = recording.pageLoads.loads
    if (first === undefined) throw new Error('no load')
    const { startedMs, endedMs } = first
    const loads = recording.pageLoads.loads.map((load) => ({ ...load, startedMs, endedMs }))
    const run = assess({ ...recording, pageLoads: { ...recording.pageLoads, loads } })
    expect(run.procedures).toMatchObject([{ right: 1 }])
    expect(run.findings).toEqual([
      'procedure page-of-20: 1 of 20 pages told by their sizes; chance: 1 of 20, which is no more than chance',
    ])
  })

  it('calls what chance gives once in a hundred times no proof', () => {
    const of20 = (right: number): boolean =>
      isMoreThanChance({ name: 'page-of-20', right, of: 20, chance: 1 / 20 })
    expect([0, 1, 3, 4, 5, 20].map(of20)).toEqual([false, false, false, false, true, true])
    expect(isMoreThanChance({ name: 'page-of-20', right: 0, of: 0, chance: 1 / 20 })).toBe(false)
  })
})

describe('pagePart', () => {
  it('gives the same part for the same seed, another size in each load, and nothing for any other path', () => {
    const sizes = [0, 1, 2].map((load) => pagePart('s', `/pages/3/${load}/0`)?.length ?? 0)
    expect(pagePart('s', '/pages/3/0/0')).toHaveLength(sizes[0] ?? 0)
    expect(new Set(sizes).size).toBe(3)
    expect(pagePart('other', '/pages/3/0/0')).not.toHaveLength(sizes[0] ?? 0)
    for (const path of ['/', '/pages/', '/pages/3', '/pages/3/0/0/0', '/x/pages/3/0/0'])
      expect(pagePart('s', path)).toBeUndefined()
  })
})
