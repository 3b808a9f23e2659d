// One scrape of several processes: what rises is summed and never falls, what stands is the worst of all, and what all have
// in common is there once.
import { Gauge } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { keepTotals, mergedMetrics, type MetricSamples } from '../../src/workers/merge.ts'
import { samples, sum } from '../support/metrics.ts'

const samplesOf = async (act: (metrics: Metrics) => void): Promise<MetricSamples[]> => {
  const metrics = new Metrics('test', { ofProcess: false })
  act(metrics)
  // As they are sent: by value.
  return JSON.parse(JSON.stringify(await metrics.registry.getMetricsAsJSON())) as MetricSamples[]
}

const open = (count: number) => (metrics: Metrics) => {
  for (let index = 0; index < count; index += 1) metrics.observer.connectionOpened('http-proxy')
  metrics.observer.dialled('http-proxy', 5)
  metrics.observer.stateChanged('serving')
}

describe('a merged scrape', () => {
  it('sums counters, histograms and what is open, and shows steps of the sum', async () => {
    const [none, four, three] = await Promise.all([
      samplesOf(() => {}),
      samplesOf(open(4)),
      samplesOf(open(3)),
    ])
    const text = await mergedMetrics(none, [four, three], 1)
    expect(sum(text, 'sightline_connections_total')).toBe(7)
    expect(sum(text, 'sightline_connections')).toBe(7)
    expect(sum(text, 'sightline_dial_seconds_count')).toBe(2)
    expect(samples(text, 'sightline_dial_seconds_bucket', { le: '0.01' }).map(({ value }) => value)).toEqual([
      2,
    ])
    // Each alone would have been shown as none.
    expect(sum(await mergedMetrics(none, [four, three], 10), 'sightline_connections')).toBe(10)
  })

  it('shows what is the same everywhere once, as the primary has it', async () => {
    const primary = await samplesOf(({ observer }) => {
      observer.stateChanged('leaving')
      observer.reloaded('ok')
    })
    const text = await mergedMetrics(primary, [await samplesOf(open(1)), await samplesOf(open(1))], 1)
    expect(samples(text, 'sightline_build_info').map(({ value }) => value)).toEqual([1])
    expect(sum(text, 'sightline_state', { state: 'leaving' })).toBe(1)
    expect(sum(text, 'sightline_state', { state: 'serving' })).toBe(0)
    expect(sum(text, 'sightline_reloads_total')).toBe(1)
  })

  it('shows the worst of what stands or ends', async () => {
    const ending = (day: number) => (metrics: Metrics) => {
      metrics.observer.tunnelState(day === 1 ? 'down' : 'up', undefined)
      metrics.observer.certificateEnds([
        { part: 'listener-certificate', begins: new Date(0), ends: new Date(day * 86_400_000) },
      ])
    }
    const text = await mergedMetrics(
      await samplesOf(() => {}),
      [await samplesOf(ending(2)), await samplesOf(ending(1))],
      1,
    )
    expect(sum(text, 'sightline_tunnel_up')).toBe(0)
    expect(sum(text, 'sightline_certificate_expiry_timestamp_seconds')).toBe(86_400)
  })

  it('shows the descriptors of the process that is nearest to none left', async () => {
    const holding = (count: number) => (metrics: Metrics) => {
      const registers = [metrics.registry]
      new Gauge({ name: 'process_open_fds', help: 'open', registers }).set(count)
      new Gauge({ name: 'process_max_fds', help: 'most', registers }).set(1_000)
    }
    const [primary, ...workers] = await Promise.all([30, 950, 100].map((count) => samplesOf(holding(count))))
    const text = await mergedMetrics(primary!, workers, 1)
    expect([sum(text, 'process_open_fds'), sum(text, 'process_max_fds')]).toEqual([950, 1_000])
  })

  it('never falls when workers end, and forgets what they had open', async () => {
    const none = await samplesOf(() => {})
    const once = await keepTotals([], await samplesOf(open(4)))
    const twice = await keepTotals(once, await samplesOf(open(3)))
    const text = await mergedMetrics(none, [twice, await samplesOf(open(1))], 1)
    expect(sum(text, 'sightline_connections_total')).toBe(8)
    expect(sum(text, 'sightline_dial_seconds_count')).toBe(3)
    expect(sum(text, 'sightline_connections')).toBe(1)
  })
})
