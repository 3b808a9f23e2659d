// The lab as a whole: every mode and scheme agrees with the truth table, a seed repeats a measurement, and a run
// costs no more than its traffic.
import { describe, expect, it } from 'vitest'
import { runName, type LabRun } from '../../src/lab/model.ts'
import { INFORMATION, OBSERVERS } from '../../src/policy/exposure.ts'
import { measure, measureOne, valueOf } from './measure.ts'

/** Each run as one line: the values of all its cells, in the order of the tuples. */
function matrixOf(runs: readonly LabRun[]): string[] {
  return runs.map((run) => {
    const values = OBSERVERS.flatMap((observer) =>
      INFORMATION.map((information) => valueOf(run, observer, information)),
    )
    return `${runName(run)}: ${values.join(' ')}`
  })
}

describe('runLab', () => {
  it('agrees with the truth table in every mode, variant and scheme', async () => {
    const { result } = await measure()
    expect(result.runs.map(runName)).toEqual([
      'direct, http',
      'direct, https',
      'direct (tls12), https',
      'direct (udp), http',
      'http-proxy, http',
      'http-proxy, https',
      'http-proxy (tls12), https',
      'socks-proxy (socks5), http',
      'socks-proxy (socks5), https',
      'socks-proxy (socks5h), http',
      'socks-proxy (socks5h), https',
      'socks-proxy (tls12), https',
      'socks-proxy (udp), http',
      'https-proxy, http',
      'https-proxy, https',
      'https-proxy (tls12), https',
      'tunnel, http',
      'tunnel, https',
      'tunnel (tls12), https',
      'tunnel (udp), http',
    ])
    expect(result.runs.flatMap(({ findings }) => findings)).toEqual([])
    expect(result.runs.map(({ controls }) => controls)).toEqual(
      result.runs.map(() => ({ negative: 'passed', positive: 'passed' })),
    )
    expect(result.agreesWithTruthTable).toBe(true)
  })

  it('plants the same words and finds the same matrix again with the same seed, and other words with another', async () => {
    const options = { modes: ['http-proxy', 'tunnel'] as const }
    const first = await measure({ ...options, seed: 'one' })
    const second = await measure({ ...options, seed: 'one' })
    const other = await measure({ ...options, seed: 'other' })
    const [planted, again, others] = [first, second, other].map(({ recordings }) =>
      recordings.map(({ canaries, parties, siteName }) => ({ canaries, parties, siteName })),
    )
    expect(again).toEqual(planted)
    expect(matrixOf(second.result.runs)).toEqual(matrixOf(first.result.runs))
    expect(others?.[0]?.canaries.path).not.toBe(planted?.[0]?.canaries.path)
    expect(others?.[0]?.parties.client).not.toBe(planted?.[0]?.parties.client)
    expect(matrixOf(other.result.runs)).toEqual(matrixOf(first.result.runs))
  })

  it('says before each run what it measures', async () => {
    const said: string[] = []
    await measureOne('direct', 'http', { progress: (name) => said.push(name) })
    expect(said).toEqual(['direct, http'])
  })

  it('records each run alone: no connection of one stands in the capture of the next', async () => {
    const { recordings } = await measure({ modes: ['direct', 'http-proxy'], variants: [] })
    expect(
      recordings.map(({ access, exit, siteClients }) => [access.length, exit.length, siteClients.length]),
    ).toEqual([
      [0, 1, 1],
      [0, 1, 1],
      [1, 1, 1],
      [1, 1, 1],
    ])
  })
})
