// `egress.mode: report`: nothing changes for a client, and what `enforce` would refuse is counted and logged once a
// request, with a rule id and a reason and nothing of the destination.
import { afterEach, describe, expect, it } from 'vitest'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { joinObservers, Log } from '../../src/telemetry/log.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { samples } from '../support/metrics.ts'
import { connectHead } from '../support/through.ts'
import { startRawOrigin, Wire } from '../support/wire.ts'

const NAME = 'planted-marker.test'
const open: Gateway[] = []
afterEach(() => {
  for (const gateway of open.splice(0)) gateway.destroy()
})

async function start(egress: ConfigInput['egress'], answers: readonly string[]) {
  const metrics = new Metrics('test')
  const lines: string[] = []
  const log = new Log('debug', { write: (line) => void lines.push(line) })
  const gateway = await Gateway.start({
    config: configSchema.parse({ inbounds: [{ type: 'http', listen: '127.0.0.1:0' }], egress }),
    observer: joinObservers(metrics.observer, log.observer),
    resolve: async () => answers,
  })
  open.push(gateway)
  return {
    port: gateway.addresses[0]?.address.port ?? 0,
    lines,
    reported: async () =>
      samples(await metrics.registry.metrics(), 'sightline_egress_decisions_total', {
        decision: 'reported',
      }).map(({ labels: { mode, reason }, value }) => ({ mode, reason, value })),
  }
}

async function statusOf(port: number, host: string, target: number): Promise<number> {
  using wire = await Wire.connect(port)
  wire.send(connectHead(host, target))
  return Number((await wire.untilText('\r\n\r\n')).toString('latin1').split(' ')[1])
}

describe('egress mode report', () => {
  it.each<[string, ConfigInput['egress'], readonly string[], string, string]>([
    ['a private address', {}, ['127.0.0.1'], 'built-in', 'denied-range'],
    [
      'two of them, of which the first cannot be reached',
      {},
      ['127.255.0.9', '127.0.0.1'],
      'built-in',
      'denied-range',
    ],
    [
      'a rule that denies name and address',
      { deny: [NAME, '127.0.0.0/8'] },
      ['127.0.0.1'],
      'deny[0]',
      'denied-rule',
    ],
    ['what nothing allows', { allowOnly: true }, ['127.0.0.1'], 'allow-only', 'not-allowed'],
  ])('connects, and tells once: %s', async (_, egress, answers, rule, reason) => {
    await using origin = await startRawOrigin()
    const gateway = await start({ mode: 'report', ...egress }, answers)
    expect(await statusOf(gateway.port, NAME, origin.port)).toBe(200)
    expect(origin.wires.length).toBe(1)
    expect(await gateway.reported()).toEqual([{ mode: 'http-proxy', reason, value: 1 }])
    const told = gateway.lines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ msg }) => msg === 'would refuse')
    expect(told).toEqual([
      expect.objectContaining({ rule, reason, code: 'destination-denied', mode: 'http-proxy' }),
    ])
    expect(gateway.lines.join('')).not.toMatch(/planted-marker|127\.|"port"/)
    expect(gateway.lines.join('')).not.toContain(String(origin.port))

    expect(await statusOf(gateway.port, NAME, origin.port)).toBe(200)
    expect(await gateway.reported()).toEqual([{ mode: 'http-proxy', reason, value: 2 }])
  })

  it('says nothing of what enforce lets pass', async () => {
    await using origin = await startRawOrigin()
    const gateway = await start({ mode: 'report', allow: ['127.0.0.1'] }, ['127.0.0.1'])
    expect(await statusOf(gateway.port, NAME, origin.port)).toBe(200)
    expect(await gateway.reported()).toEqual([])
    expect(gateway.lines.filter((line) => line.includes('would refuse'))).toEqual([])
  })

  it('does not reach the gateway itself', async () => {
    const gateway = await start({ mode: 'report', allow: ['127.0.0.0/8'] }, ['127.0.0.1'])
    expect(await statusOf(gateway.port, NAME, gateway.port)).toBe(403)
    expect(await gateway.reported()).toEqual([])
  })
})
