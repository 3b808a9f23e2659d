// Egress mode `report`: what `enforce` would have refused goes through, is counted, and stands in the log with its rule
// and the reason, and never with where it was going. The gateway's own listeners are refused all the same.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { joinObservers, Log } from '../../src/telemetry/log.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { sum } from '../support/metrics.ts'
import { connectHead } from '../support/through.ts'
import { startRawOrigin, Wire, type RawOrigin } from '../support/wire.ts'

const NAME = 'reported-name.example'
let origin: RawOrigin
beforeAll(async () => {
  origin = await startRawOrigin((wire) => wire.send('hello'))
})
afterAll(() => origin[Symbol.asyncDispose]())

interface Started extends Disposable {
  readonly port: number
  readonly lines: string[]
  metrics(): Promise<string>
}

async function start(egress: ConfigInput['egress']): Promise<Started> {
  const lines: string[] = []
  const metrics = new Metrics('test')
  const log = new Log('debug', { write: (text) => void lines.push(text) })
  const gateway = await Gateway.start({
    config: configSchema.parse({ inbounds: [{ type: 'http', listen: '127.0.0.1:0' }], egress }),
    observer: joinObservers(metrics.observer, log.observer),
    resolve: async () => ['127.0.0.1'],
  })
  return {
    port: gateway.addresses[0]?.address.port ?? 0,
    lines,
    metrics: () => metrics.registry.metrics(),
    [Symbol.dispose]: () => gateway.destroy(),
  }
}

async function connect(started: Started, host: string, port: number): Promise<string> {
  using wire = await Wire.connect(started.port)
  wire.send(connectHead(host, port))
  await wire.untilText('\r\n\r\n')
  return wire.text.split('\r\n')[0] ?? ''
}

const DENIED = { allow: [], deny: [`${NAME}:*`] }

describe('egress mode report', () => {
  it('lets through what enforce refuses', async () => {
    using enforcing = await start({ mode: 'enforce', ...DENIED })
    expect(await connect(enforcing, NAME, origin.port)).toBe('HTTP/1.1 403 Forbidden')
    using reporting = await start({ mode: 'report', ...DENIED })
    expect(await connect(reporting, NAME, origin.port)).toBe('HTTP/1.1 200 Connection established')
  })

  it('counts each request once, by its reason, and not as refused', async () => {
    using reporting = await start({ mode: 'report', ...DENIED })
    for (let count = 0; count < 3; count += 1) await connect(reporting, NAME, origin.port)
    await connect(reporting, '127.0.0.1', origin.port)
    const text = await reporting.metrics()
    expect(
      sum(text, 'sightline_egress_decisions_total', {
        decision: 'reported',
        mode: 'http-proxy',
        reason: 'denied-rule',
      }),
    ).toBe(3)
    expect(
      sum(text, 'sightline_egress_decisions_total', {
        decision: 'reported',
        mode: 'http-proxy',
        reason: 'denied-range',
      }),
    ).toBe(1)
    expect(sum(text, 'sightline_refusals_total')).toBe(0)
  })

  it('logs rule and reason, and no destination', async () => {
    using reporting = await start({ mode: 'report', ...DENIED })
    await connect(reporting, NAME, origin.port)
    const lines = reporting.lines.filter((line) => line.includes('would refuse'))
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      {
        level: 'info',
        time: expect.any(String),
        msg: 'would refuse',
        mode: 'http-proxy',
        code: 'destination-denied',
        reference: expect.stringMatching(/^[0-9a-f]{12}$/),
        rule: 'deny[0]',
        reason: 'denied-rule',
      },
    ])
    expect(reporting.lines.join('')).not.toMatch(new RegExp(`${NAME}|127\\.0\\.0\\.1|:${origin.port}\\b`))
  })

  it("still refuses the gateway's own listeners: a loop is no policy", async () => {
    using reporting = await start({ mode: 'report', allow: ['127.0.0.0/8'] })
    expect(await connect(reporting, '127.0.0.1', reporting.port)).toBe('HTTP/1.1 403 Forbidden')
    expect(sum(await reporting.metrics(), 'sightline_egress_decisions_total', { decision: 'reported' })).toBe(
      0,
    )
  })
})
