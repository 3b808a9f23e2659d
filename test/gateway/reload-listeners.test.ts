// A reload that opens, closes and changes listeners, outbounds and limits: no connection is refused in between or ended,
// and a config that cannot be put in force as a whole leaves everything as it was.
import { describe, expect, it } from 'vitest'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { eventually } from '../support/eventually.ts'
import { sum } from '../support/metrics.ts'
import { clientConfig, everyInbound, LOOPBACK_EGRESS, startStack } from '../support/stacks.ts'
import { connectHead, open, WAYS } from '../support/through.ts'
import { startRawOrigin, Wire } from '../support/wire.ts'

type Inbounds = ConfigInput['inbounds']

interface Running extends AsyncDisposable {
  readonly gateway: Gateway
  port(index: number): number
  reload(changes: Partial<ConfigInput>): Promise<void>
  metrics(): Promise<string>
}

async function start(inbounds: Inbounds, changes: Partial<ConfigInput> = {}): Promise<Running> {
  const metrics = new Metrics('test')
  const config = (more: Partial<ConfigInput>): ConfigInput => ({
    inbounds,
    egress: LOOPBACK_EGRESS,
    ...changes,
    ...more,
  })
  const gateway = await Gateway.start({
    config: configSchema.parse(config({})),
    observer: metrics.observer,
  })
  return {
    gateway,
    port: (index) => gateway.addresses[index]?.address.port ?? 0,
    reload: (more) => gateway.reload(configSchema.parse(config(more))),
    metrics: () => metrics.registry.metrics(),
    [Symbol.asyncDispose]: async () => gateway.destroy(),
  }
}

/** A relay through the HTTP proxy at `port`. Rejects where it was refused. */
async function relayed(port: number, target: number): Promise<Wire> {
  const wire = await Wire.connect(port)
  wire.send(connectHead('127.0.0.1', target))
  await wire.untilText('HTTP/1.1 200 ')
  return wire
}

const HTTP = { type: 'http', listen: '127.0.0.1:0' } as const
const SOCKS = { type: 'socks', listen: '127.0.0.1:0' } as const

describe('a reload', () => {
  it('opens a listener that is new, and closes one that is gone; its connections go on', async () => {
    await using origin = await startRawOrigin()
    await using running = await start([HTTP])
    const before = running.port(0)
    using held = await relayed(before, origin.port)
    await running.reload({ inbounds: [SOCKS] })
    await expect(Wire.connect(before)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(running.gateway.addresses.map(({ mode }) => mode)).toEqual(['socks-proxy'])
    using socks = await Wire.connect(running.port(0))
    socks.send(Uint8Array.of(5, 1, 0))
    expect([...(await socks.untilBytes(2))]).toEqual([5, 0])
    held.send('unharmed')
    await (await origin.wire()).untilText('unharmed')
  })

  it('leaves a listener alone whose settings are the same, wherever it stands', async () => {
    await using running = await start([HTTP, SOCKS])
    const ports = [running.port(0), running.port(1)]
    using kept = await Wire.connect(ports[0] ?? 0)
    await running.reload({ inbounds: [SOCKS, HTTP] })
    expect([running.port(1), running.port(0)]).toEqual(ports)
    kept.send('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
    expect((await kept.untilText('\r\n\r\n')).toString()).toMatch(/^connection: keep-alive\r$/im)
  })

  it('changes a listener under its port without refusing anybody', { timeout: 20_000 }, async () => {
    await using origin = await startRawOrigin()
    await using running = await start([HTTP])
    const port = running.port(0)
    const listen = `127.0.0.1:${port}`
    using held = await relayed(port, origin.port)
    let asked = 0
    const over = new AbortController()
    const asking = (async () => {
      while (!over.signal.aborted) {
        using wire = await relayed(port, origin.port)
        wire.reset()
        asked += 1
      }
    })()
    for (let turn = 0; turn < 20; turn += 1) {
      const sources = turn % 2 === 0 ? ['127.0.0.0/8'] : ['127.0.0.1/32']
      await running.reload({ inbounds: [{ type: 'http', listen, auth: { sources } }] })
      await eventually(() => expect(asked).toBeGreaterThan(turn))
    }
    over.abort()
    await asking
    expect(running.port(0)).toBe(port)
    held.send('unharmed')
    await (await origin.wire()).untilText('unharmed')
    await running.reload({ inbounds: [{ type: 'http', listen, auth: { sources: ['192.0.2.0/24'] } }] })
    await expect(relayed(port, origin.port)).rejects.toThrow(/ECONNRESET|reset before/)
    held.send(' still')
    await (await origin.wire()).untilText('unharmed still')
  })

  it('puts nothing in force where one of its listeners cannot listen', async () => {
    await using taken = await startRawOrigin()
    await using origin = await startRawOrigin()
    await using running = await start([HTTP])
    const port = running.port(0)
    const inUse = { type: 'socks', listen: `127.0.0.1:${taken.port}` } as const
    await expect(running.reload({ inbounds: [SOCKS, inUse], egress: { deny: ['*'] } })).rejects.toMatchObject(
      { code: 'address-in-use' },
    )
    expect(running.gateway.addresses.map(({ address }) => address.port)).toEqual([port])
    using wire = await relayed(port, origin.port)
    expect(wire.ending).toBe(undefined)
    expect(sum(await running.metrics(), 'sightline_reloads_total', { outcome: 'address-in-use' })).toBe(1)
  })

  it('uses other limits from the next connection on', async () => {
    await using origin = await startRawOrigin()
    await using running = await start([HTTP])
    const port = running.port(0)
    using first = await relayed(port, origin.port)
    await running.reload({ limits: { connections: 1, headBytes: 1_024 } })
    using refused = await Wire.connect(port)
    expect((await refused.untilText('\r\n\r\n')).toString()).toContain('too-many-connections')
    first.send('unharmed')
    await (await origin.wire()).untilText('unharmed')
    await running.reload({ limits: { connections: 10, headBytes: 1_024 } })
    using long = await Wire.connect(port)
    long.send(`GET / HTTP/1.1\r\nX: ${'x'.repeat(2_000)}\r\n\r\n`)
    expect((await long.untilText('\r\n\r\n')).toString()).toContain('head-too-large')
  })

  it('sends tunnels of a listener that changed to the one in its place; their streams go on', async () => {
    await using origin = await startRawOrigin()
    await using stack = await startStack()
    const way = WAYS.find(({ name }) => name === 'tunnel by HTTP')!
    using held = await open(stack, way, '127.0.0.1', origin.port)
    const inbounds = everyInbound(stack.pki).map((inbound, index) => ({
      ...inbound,
      listen: `127.0.0.1:${stack.gateway.addresses[index]?.address.port}`,
      ...(inbound.type === 'tunnel' && { auth: { sources: ['127.0.0.1/32'] } }),
    }))
    await stack.gateway.reload(configSchema.parse({ inbounds, egress: LOOPBACK_EGRESS }))
    await eventually(async () => {
      expect(sum(await stack.gatewayMetrics(), 'sightline_tunnel_sessions')).toBe(2)
    })
    held.send('unharmed')
    await (await origin.wire()).untilText('unharmed')
    using fresh = await open(stack, way, '127.0.0.1', origin.port)
    fresh.send('as before')
    await (await origin.wire(1)).untilText('as before')
  })

  it('takes another gateway for new streams, and ends the tunnel before with its last one', async () => {
    await using origin = await startRawOrigin()
    await using stack = await startStack()
    await using other = await startStack()
    const way = WAYS.find(({ name }) => name === 'tunnel by HTTP')!
    using held = await open(stack, way, '127.0.0.1', origin.port)
    const listen = `127.0.0.1:${stack.ports.client}`
    const config = clientConfig(other.pki, other.ports.tunnel)
    await stack.client.reload(
      configSchema.parse({ ...config, inbounds: [{ ...config.inbounds[0]!, listen }] }),
    )
    const counts = (metrics: string): number[] => [
      sum(metrics, 'sightline_streams', { mode: 'tunnel' }),
      sum(metrics, 'sightline_tunnel_sessions'),
    ]
    using fresh = await open(stack, way, '127.0.0.1', origin.port)
    expect(fresh.ending).toBe(undefined)
    expect(counts(await other.gatewayMetrics())).toEqual([1, 2])
    held.send('unharmed')
    await (await origin.wire()).untilText('unharmed')
    expect(counts(await stack.gatewayMetrics())).toEqual([1, 1])
    held.socket.end()
    origin.wires[0]?.socket.end()
    await eventually(async () => expect(counts(await stack.gatewayMetrics())).toEqual([0, 0]))
  })
})
