// Who asks for the name of the site: the probe's name server, and what an audit says of who asked it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { judge } from '../../../src/lab/audit/audit.ts'
import { measure, type Measured } from '../../../src/lab/audit/measure.ts'
import { startProbe, type Probe } from '../../../src/lab/audit/probe.ts'
import { newId } from '../../../src/lab/audit/seal.ts'
import { lookUp } from '../../../src/lab/look-up.ts'
import { readProxyUrl } from '../../../src/config/proxy-url.ts'
import { says, value } from './audits.ts'
import { startDishonestProxy, type DishonestProxy } from './dishonest-proxy.ts'

const ZONE = 'audit.sightline.test'
const CLIENT = '198.51.100.7'
const CLIENT_RESOLVER = '198.51.100.53'
const PROXY = '203.0.113.9'

let probe: Probe
let zoneless: Probe
let proxy: DishonestProxy
let measured: Measured
beforeAll(async () => {
  const names = { zone: ZONE, port: 0, address: '192.0.2.1' }
  const ports = { http: 0, https: 0, echo: 0 }
  probe = await startProbe({ listen: '127.0.0.1', host: 'localhost', ports, names })
  proxy = await startDishonestProxy()
  const url = readProxyUrl(proxy.url, 'http')
  if ('problem' in url) throw new Error(url.problem)
  const own = { zone: undefined, port: 0, address: '127.0.0.1' }
  zoneless = await startProbe({ listen: '127.0.0.1', host: 'localhost', ports, names: own })
  measured = await measure({ proxy: url, probe: zoneless.address, ownDns: zoneless.dns, seed: 'zone' })
})
afterAll(async () => {
  probe.close()
  zoneless.close()
  await proxy[Symbol.asyncDispose]()
})

describe('the name server of a zone', () => {
  const ask = (name: string): Promise<string> =>
    lookUp(name, { resolver: { address: '127.0.0.1', port: probe.dns ?? 0 }, from: '127.0.0.1' })

  it('has the zone itself and the names of its audits', async () => {
    expect(probe.address.zone).toBe(ZONE)
    const { token } = probe.address
    expect(await ask(`${newId(token)}.${ZONE}`)).toBe('192.0.2.1')
    expect(await ask(ZONE)).toBe('192.0.2.1')
  })

  it.each([
    ['of an audit that has not its token', () => `${newId('0'.repeat(40))}.${ZONE}`],
    ['of another zone', () => `${newId(probe.address.token)}.example.test`],
    ['below one of an audit', () => `www.${newId(probe.address.token)}.${ZONE}`],
    ['of its host', () => 'localhost'],
  ])('has none %s', async (_, name) => {
    await expect(ask(name())).rejects.toMatchObject({ code: 'ENOTFOUND' })
  })
})

describe('the audit says of a look-up that came from', () => {
  /** As if it had been measured over a network, and these had asked. */
  function askedBy(address: string, scheme: 'http' | 'socks5'): ReturnType<typeof judge> {
    const { report, beside } = measured
    if (report === undefined || beside === undefined) throw new Error('no report')
    const lookedUp = (from: string): { name: string; from: { address: string; port: number } } => ({
      name: `0123.${ZONE}`,
      from: { address: from, port: 1 },
    })
    const [own] = beside.arrived
    if (own === undefined) throw new Error('nothing arrived beside the proxy')
    return judge({
      ...measured,
      ...{ isOneMachine: false, local: '10.0.0.2', remote: PROXY, probe: { ...measured.probe, zone: ZONE } },
      proxy: { ...measured.proxy, scheme },
      report: {
        ...report,
        arrived: report.arrived.map((one) => ({ ...one, from: { address: PROXY, port: 1 } })),
        lookUps: [lookedUp(address)],
      },
      beside: {
        ...beside,
        arrived: [{ ...own, from: { address: CLIENT, port: 1 } }],
        lookUps: [lookedUp(CLIENT_RESOLVER)],
      },
    })
  }

  it.each([
    [PROXY, 'http', 'the proxy itself', 'absent'],
    ['203.0.113.53', 'http', 'a resolver of its own', 'absent'],
    [CLIENT_RESOLVER, 'http', 'the resolver that this machine asks too', 'absent'],
    [CLIENT, 'http', 'the resolver that this machine asks too', 'clear'],
    [CLIENT_RESOLVER, 'socks5', 'your resolver', 'inferable'],
    [CLIENT, 'socks5', 'your resolver', 'clear'],
  ] as const)('%s, with a proxy of %s: %s, client-address %s', (from, scheme, who, cell) => {
    const result = askedBy(from, scheme)
    expect(says(result, 'names-by-proxy')).toContain(`the look-up came to the probe from ${from}: ${who}`)
    expect(value(result, 'http', 'resolver', 'client-address')).toBe(cell)
    expect(value(result, 'http', 'resolver', 'destination-name')).toBe('clear')
    expect(value(result, 'http', 'resolver', 'content')).toBe('absent')
  })

  it('nobody: who asks is not measured', () => {
    const result = judge({
      ...measured,
      isOneMachine: false,
      remote: PROXY,
      probe: { ...measured.probe, zone: ZONE },
    })
    expect(value(result, 'http', 'resolver', 'destination-name')).toBe('not-measured')
    expect(result.runs[0]?.cells.find(({ observer }) => observer === 'resolver')?.reason).toBe(
      `no look-up of ${ZONE} arrived at the probe: is the zone delegated to it?`,
    )
  })
})
