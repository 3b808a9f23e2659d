// The gateway's live exposure counts, held against the lab's cells for the very same traffic: what the counter says an
// observer could read is what the lab found clear in captured bytes, no more and no less.
import { describe, expect, it } from 'vitest'
import type { Observer as GatewayObserver } from '../../src/gateway/observer.ts'
import { runName, type Cell, type LabRun } from '../../src/lab/model.ts'
import type { Observer } from '../../src/policy/exposure.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { samples } from '../support/metrics.ts'
import { measure, valueOf } from './measure.ts'

/** One set of metrics for each run: all that the gateway tells goes to the latest. */
class PerRun {
  readonly taken: Metrics[] = []
  readonly observer: GatewayObserver = new Proxy(new Metrics('test').observer, {
    get: (first, name: keyof GatewayObserver) => (this.taken.at(-1)?.observer ?? first)[name],
  })
}

/**
 * All that the lab calls clear is counted, and nothing else, with no list of exceptions: `inferable` (who reads a name can
 * resolve it) and `sealed` are no `clear` to either, and the client's fingerprint is that of the application's own
 * ClientHello to both. But a gateway cannot know of look-ups that the client makes by itself (undefined here); and an
 * association has two destinations, the name server and the site, which the counter knows as one observer.
 */
function observerOf({ observer }: Cell, run: LabRun): Observer | undefined {
  if (observer !== 'resolver') return observer
  if (run.variant === 'udp') return 'destination'
  return valueOf(run, 'resolver', 'client-address') === 'clear' ? undefined : observer
}

function clearIn(run: LabRun): string[] {
  const clear = run.cells
    .filter(({ value }) => value === 'clear')
    .map((cell) => ({ observer: observerOf(cell, run), information: cell.information }))
    .filter(({ observer }) => observer !== undefined)
    .map(({ observer, information }) => `${observer}: ${information}`)
  return [...new Set(clear)].toSorted()
}

async function countedIn(metrics: Metrics, run: LabRun): Promise<string[]> {
  const exposed = samples(await metrics.registry.metrics(), 'sightline_exposed_streams_total')
  return exposed
    .map(({ labels, value }) => {
      expect([labels['mode'], value]).toEqual([run.mode, 1])
      return `${labels['observer']}: ${labels['information']}`
    })
    .toSorted()
}

describe('sightline_exposed_streams_total', () => {
  it('counts one stream for each cell that the lab calls clear, and for no other, in every mode of the gateway', async () => {
    const metrics = new PerRun()
    const { result } = await measure({
      modes: ['http-proxy', 'socks-proxy', 'https-proxy', 'tunnel'],
      observer: metrics.observer,
      progress: () => metrics.taken.push(new Metrics('test')),
    })
    expect(result.runs).toHaveLength(16)
    for (const [index, run] of result.runs.entries()) {
      const own = metrics.taken[index]
      if (own === undefined) throw new Error('a run without metrics')
      expect({ run: runName(run), exposed: await countedIn(own, run) }).toEqual({
        run: runName(run),
        exposed: clearIn(run),
      })
    }
  })

  it('counts nothing for a client that goes direct: there is no gateway to count', async () => {
    const metrics = new PerRun()
    await measure({
      modes: ['direct'],
      observer: metrics.observer,
      progress: () => metrics.taken.push(new Metrics('test')),
    })
    const texts = await Promise.all(metrics.taken.map(({ registry }) => registry.metrics()))
    expect(texts).toHaveLength(4)
    expect(texts.flatMap((text) => samples(text, 'sightline_exposed_streams_total'))).toEqual([])
  })

  it('counts differently once the tunnel has no TLS, as the cells do: it goes by the link’s mode, so the lab sees more', async () => {
    const metrics = new PerRun()
    const { result } = await measure({
      modes: ['tunnel'],
      variants: [],
      schemes: ['http'],
      observer: metrics.observer,
      progress: () => metrics.taken.push(new Metrics('test')),
      faults: { tunnelWithoutTls: true },
    })
    const [run] = result.runs
    const [own] = metrics.taken
    if (run === undefined || own === undefined) throw new Error('one run was asked for')
    const counted = await countedIn(own, run)
    expect(clearIn(run).filter((cell) => !counted.includes(cell))).toContain('access-network: content')
  })
})
