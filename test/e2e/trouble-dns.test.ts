// The DNS server is away: names fail in time with a code of their own, addresses and the hosts file go on, and as soon as
// it is back so are names.
import { afterEach, describe, expect, it } from 'vitest'
import { configSchema } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { startDnsServer } from '../support/dns-server.ts'
import { eventually } from '../support/eventually.ts'
import { sum } from '../support/metrics.ts'
import { startRawOrigin, Wire } from '../support/wire.ts'

const opened: Gateway[] = []
afterEach(() => {
  for (const gateway of opened.splice(0)) gateway.destroy()
})

async function start(
  server: string,
  timeoutMs: number,
): Promise<{ readonly ask: (host: string, port: number) => Promise<string>; metrics: Metrics }> {
  const metrics = new Metrics('test')
  const gateway = await Gateway.start({
    config: configSchema.parse({
      inbounds: [{ type: 'http', listen: '127.0.0.1:0' }],
      egress: { allow: ['127.0.0.0/8', '[::1/128]'] },
      dns: { servers: [server], timeoutMs },
    }),
    observer: metrics.observer,
  })
  opened.push(gateway)
  return {
    metrics,
    ask: async (host, port) => {
      using wire = await Wire.connect(gateway.addresses[0]?.address.port ?? 0)
      wire.send(`CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
      await wire.untilText('\r\n\r\n')
      const [, status = ''] = wire.text.split(' ')
      return `${status} ${/sightline-error: (\S+)/.exec(wire.text)?.[1] ?? ''}`.trim()
    },
  }
}

describe('a DNS server that is away', () => {
  it.each([
    ['does not answer', { silent: true } as const],
    ['fails', { rcode: 'SERVFAIL' } as const],
    ['refuses', { rcode: 'REFUSED' } as const],
  ])('%s: names fail with a code, all else goes on, and names are back when it is', async (_how, reply) => {
    await using origin = await startRawOrigin()
    await using dns = await startDnsServer(() => reply)
    const { ask, metrics } = await start(dns.address, 600)
    expect(await ask('site.example', origin.port)).toBe('502 name-lookup-failed')
    expect(await ask('127.0.0.1', origin.port)).toBe('200')
    expect(await ask('localhost', origin.port)).toBe('200')
    expect(
      sum(await metrics.registry.metrics(), 'sightline_refusals_total', { code: 'name-lookup-failed' }),
    ).toBe(1)
    dns.reply = ({ type }) => (type === 'A' ? { addresses: ['127.0.0.1'], ttlSeconds: 60 } : {})
    await eventually(async () => expect(await ask('site.example', origin.port)).toBe('200'))
  })

  it('is gone: nothing listens there', async () => {
    const gone = await startDnsServer()
    await gone[Symbol.asyncDispose]()
    const { ask } = await start(gone.address, 600)
    expect(await ask('site.example', 80)).toBe('502 name-lookup-failed')
  })
})
