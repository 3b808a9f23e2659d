// `dns` in a config file: what it takes, what it says of a mistake, and that a reload puts it in force.
import { afterEach, describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { DnsResolver } from '../../src/transport/dns-resolver.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { startDnsServer } from '../support/dns-server.ts'
import { connectHead } from '../support/through.ts'
import { startRawOrigin, Wire } from '../support/wire.ts'

const INBOUNDS: ConfigInput['inbounds'] = [{ type: 'http', listen: '127.0.0.1:0' }]
const open: Gateway[] = []
afterEach(() => {
  for (const gateway of open.splice(0)) gateway.destroy()
})

function read(dns: unknown): unknown {
  return parseConfig(JSON.stringify({ inbounds: INBOUNDS, dns }), 'a.yaml').dns
}

describe('dns', () => {
  it('may be left out', () => {
    const defaults = { timeoutMs: 5_000, cacheEntries: 10_000, minTtlMs: 0, maxTtlMs: 300_000 }
    expect(configSchema.parse({ inbounds: INBOUNDS }).dns).toEqual(defaults)
  })

  it('takes servers by address, with a port or without', () => {
    const servers = ['192.0.2.1', '192.0.2.1:5353', '2001:db8::1', '[2001:db8::1]:53']
    expect(read({ servers })).toMatchObject({ servers })
  })

  it('asks from the address that it is given, and refuses one that is none', async () => {
    await using server = await startDnsServer(({ type }) =>
      type === 'A' ? { addresses: ['127.0.0.1'] } : {},
    )
    const options = { servers: [server.address], timeoutMs: 5_000, cacheEntries: 0, maxTtlMs: 0, minTtlMs: 0 }
    for (const [localAddress, from] of [
      ['127.45.6.7', '127.45.6.7'],
      [undefined, '127.0.0.1'],
    ]) {
      const resolver = new DnsResolver({ ...options, localAddress })
      expect(await resolver.resolve('a.test', 5_000)).toEqual(['127.0.0.1'])
      expect(new Set(server.asked.splice(0).map((question) => question.from))).toEqual(new Set([from]))
      resolver.destroy()
    }
    expect(() => read({ localAddress: 'eth0' })).toThrow('a.yaml: dns.localAddress: ')
  })

  it.each(['dns.test', 'localhost:53', '*:53', '192.0.2.1:0', '192.0.2.1:65536', '192.0.2', '[::1]', ''])(
    'refuses the server %j',
    (server) => {
      expect(() => read({ servers: [server] })).toThrow(
        `a.yaml: dns.servers[0]: not the address of a DNS server; write it as 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53 (found ${JSON.stringify(server)})`,
      )
    },
  )

  it.each<[unknown, string]>([
    [
      { minTtlMs: 2, maxTtlMs: 1 },
      'a.yaml: dns.minTtlMs: is more than maxTtlMs; give the smaller one here (found 2)',
    ],
    [{ server: [] }, 'a.yaml: dns: unknown key "server"'],
    [{ timeoutMs: 0 }, 'a.yaml: dns.timeoutMs: '],
  ])('refuses %j', (dns, message) => {
    expect(() => read(dns)).toThrow(message)
  })

  it('is taken anew by a reload, which also forgets what names meant', async () => {
    await using origin = await startRawOrigin()
    await using before = await startDnsServer(() => ({ rcode: 'NXDOMAIN' }))
    await using after = await startDnsServer(({ type }) => (type === 'A' ? { addresses: ['127.0.0.1'] } : {}))
    const config = (server: string) =>
      configSchema.parse({ inbounds: INBOUNDS, egress: { allow: ['127.0.0.1'] }, dns: { servers: [server] } })
    const gateway = await Gateway.start({
      config: config(before.address),
      observer: new Metrics('test').observer,
    })
    open.push(gateway)
    const status = async (): Promise<string> => {
      using wire = await Wire.connect(gateway.addresses[0]?.address.port ?? 0)
      wire.send(connectHead('a.test', origin.port))
      return (await wire.untilText('\r\n\r\n')).toString('latin1').slice(9, 12)
    }
    expect(await status()).toBe('502')
    await gateway.reload(config(after.address))
    expect(await status()).toBe('200')
    expect(before.asked.length).toBe(2)
  })
})
