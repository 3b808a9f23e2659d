// The gateway's own page: live numbers from the registry, and nothing about who or where, whatever passed.
import { writeFile } from 'node:fs/promises'
import { Counter } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { gatewayFacts } from '../../../src/lab/console/gateway-facts.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'
import { EventReader } from '../../support/console-events.ts'
import { runConsole } from '../../support/console.ts'
import { makeTestPki } from '../../support/pki.ts'
import { tempDir } from '../../support/temp-dir.ts'

const NOW_MS = Date.now()

describe('gatewayFacts', () => {
  it('gives the counters, and days left of each certificate by its role alone', async () => {
    await using directory = await tempDir()
    const { authority: pem } = await makeTestPki()
    await writeFile(directory.file('ca.crt'), pem.certificate)
    const metrics = new Metrics('1.2.3')
    metrics.observer.refused({ mode: 'http-proxy', code: 'auth-failed', reference: 'secret-reference' })
    metrics.observer.relayed('tunnel', 'up', 'yes', 4711)
    const facts = await gatewayFacts(
      {
        version: '1.2.3',
        registry: metrics.registry,
        ready: () => true,
        certificates: { authority: directory.file('ca.crt'), lost: directory.file('none.crt') },
      },
      NOW_MS,
    )
    expect(facts).toMatchObject({
      ready: true,
      version: '1.2.3',
      refusals: [{ labels: { mode: 'http-proxy', code: 'auth-failed' }, value: 1 }],
    })
    expect(facts.bytes).toContainEqual({
      labels: { mode: 'tunnel', direction: 'up', readable: 'yes' },
      value: 4711,
    })
    const [authority, lost] = facts.certificates
    expect(authority?.role).toBe('authority')
    expect(authority?.daysLeft).toBeGreaterThan(300)
    expect(lost).toEqual({ role: 'lost', daysLeft: null })
    expect(JSON.stringify(facts)).not.toMatch(/secret-reference|BEGIN|CN=|127\./)
  })

  it('lets no label through that it does not know', async () => {
    const metrics = new Metrics('1')
    const planted = new Counter({
      name: 'sightline_planted_total',
      help: 'planted',
      labelNames: ['destination'],
      registers: [metrics.registry],
    })
    planted.inc({ destination: 'clinic.example' })
    metrics.registry.removeSingleMetric('sightline_streams_total')
    const other = new Counter({
      name: 'sightline_streams_total',
      help: 'planted',
      labelNames: ['destination'],
      registers: [metrics.registry],
    })
    other.inc({ destination: 'clinic.example' })
    const source = { version: '1', registry: metrics.registry, ready: () => false, certificates: {} }
    const facts = await gatewayFacts(source, NOW_MS)
    expect(facts.streamsEnded).toEqual([])
    expect(JSON.stringify(facts)).not.toContain('clinic')
  })
})

describe('the console', () => {
  it('tells the figures of the gateway beside it, live', async () => {
    const metrics = new Metrics('1')
    await using running = await runConsole({
      gateway: () =>
        gatewayFacts(
          { version: '1', registry: metrics.registry, ready: () => true, certificates: {} },
          NOW_MS,
        ),
    })
    using reader = await EventReader.open(running.port)
    expect((await reader.event('welcome')).welcome.gateway).toBe(true)
    await reader.event('gateway', ({ gateway }) => gateway.refusals.length === 0)
    metrics.observer.refused({ mode: 'tunnel', code: 'certificate-revoked', reference: 'x' })
    const { gateway } = await reader.event('gateway', (event) => event.gateway.refusals.length > 0)
    expect(gateway.refusals).toEqual([{ labels: { mode: 'tunnel', code: 'certificate-revoked' }, value: 1 }])
  })
})
