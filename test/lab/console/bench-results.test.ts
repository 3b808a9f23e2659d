// The bench's results as the cost shows them: what the bench's own writer makes of samples is read, and what is missing,
// broken or of another version is no results.
import { mkdir, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { readBenchResults } from '../../../src/lab/console/bench-results.ts'
import { BENCH_RESULTS as RESULTS } from '../../support/bench-results.ts'
import { tempDir } from '../../support/temp-dir.ts'

describe('readBenchResults', () => {
  it("gives Sightline's modes in their order, with medians, ranges and what they hide", async () => {
    await using folder = await tempDir()
    await writeFile(folder.file('modes.json'), JSON.stringify(RESULTS))
    const measured = readBenchResults(folder.path)
    expect(measured?.startedAt).toBe(RESULTS.startedAt)
    expect(measured?.machine).toMatchObject({ cpus: RESULTS.machine.cpus, loadBefore: 0.5 })
    expect(measured?.costs).toMatchObject([
      { mode: 'http-proxy', variant: null, latencyMs: 1, megabytesPerSecond: 500, hides: [] },
      {
        mode: 'tunnel',
        latencyMs: 2,
        megabytesPerSecond: 200,
        ranges: { latencyMs: [1, 3], megabytesPerSecond: [100, 300] },
        hides: expect.arrayContaining(['content', 'destination-name']) as string[],
      },
    ])
  })

  it('takes the comparison where there is no run of the modes, and the run of the modes where both are', async () => {
    await using folder = await tempDir()
    const compare = { ...RESULTS, startedAt: '2026-11-24T07:00:00.000Z' }
    await writeFile(folder.file('compare.json'), JSON.stringify(compare))
    expect(readBenchResults(folder.path)?.startedAt).toBe(compare.startedAt)
    await writeFile(folder.file('modes.json'), JSON.stringify(RESULTS))
    expect(readBenchResults(folder.path)?.startedAt).toBe(RESULTS.startedAt)
  })

  it.each([
    ['broken', '{'],
    ['of another version', JSON.stringify({ ...RESULTS, version: 2 })],
    ['without a mode of ours', JSON.stringify({ ...RESULTS, subjects: RESULTS.subjects.slice(4) })],
    ['huge', `${JSON.stringify(RESULTS)}${' '.repeat(5_000_000)}`],
  ])('a file that is %s is no results', async (_, text) => {
    await using folder = await tempDir()
    await writeFile(folder.file('modes.json'), text)
    expect(readBenchResults(folder.path)).toBeUndefined()
  })

  it('nothing there is no results', async () => {
    await using folder = await tempDir()
    expect(readBenchResults(folder.path)).toBeUndefined()
    await mkdir(folder.file('modes.json'))
    expect(readBenchResults(folder.path)).toBeUndefined()
  })
})
