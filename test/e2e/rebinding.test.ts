// DNS rebinding against a real look-up: a server whose answers for one name change from public to private between two
// questions, with a time to live of 0. Rule to hold: what is dialled is the answer that was judged, in every order of
// answers, and a name is asked for once for each connection.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { watchDials, type DialWatch } from '../support/dial-watch.ts'
import { startDnsServer, type DnsReply, type DnsServer } from '../support/dns-server.ts'
import { eventually } from '../support/eventually.ts'
import { connectHead } from '../support/through.ts'
import { startRawOrigin, Wire, type RawOrigin } from '../support/wire.ts'

const PUBLIC = '93.184.215.14'
const PUBLIC_SIX = '2606:2800:21f::14'

let dns: DnsServer
let victim: RawOrigin
let watch: DialWatch
const close: Array<() => unknown> = []

beforeEach(async () => {
  dns = await startDnsServer()
  victim = await startRawOrigin()
  close.push(
    () => dns[Symbol.asyncDispose](),
    () => victim[Symbol.asyncDispose](),
    () => watch[Symbol.dispose](),
  )
})
afterEach(async () => {
  for (const end of close.splice(0)) await end()
})

/** The port of a gateway that asks only the test's DNS server. Dials to the public network are seen and refused. */
async function gateway(
  egress: ConfigInput['egress'] = {},
  settings: ConfigInput['dns'] = {},
): Promise<number> {
  const started = await Gateway.start({
    config: configSchema.parse({
      inbounds: [{ type: 'http', listen: '127.0.0.1:0' }],
      egress,
      dns: { servers: [dns.address], ...settings },
    }),
    observer: new Metrics('test').observer,
  })
  close.push(() => started.destroy())
  const port = started.addresses[0]?.address.port ?? 0
  watch = watchDials([port])
  return port
}

/** The addresses that were dialled, in order. */
function hosts(): string[] {
  return watch.dialled.map((dial) => dial.split(' ')[0] ?? '')
}

async function askFor(port: number, host: string): Promise<string | undefined> {
  using wire = await Wire.connect(port)
  wire.send(connectHead(host, victim.port))
  const head = (await wire.untilText('\r\n\r\n')).toString('latin1')
  return /\r\nsightline-error: (\S+)\r\n/.exec(head)?.[1]
}

/** Answers each question for A with the next of these, again from the first; AAAA is missing. */
function inTurn(...answers: ReadonlyArray<readonly string[]>): DnsServer['reply'] {
  let count = 0
  return ({ type }): DnsReply => {
    if (type === 'AAAA') return {}
    count += 1
    return { addresses: answers[(count - 1) % answers.length] ?? [], ttlSeconds: 0 }
  }
}

describe('a name whose answer changes', () => {
  it('is dialled at the address that was judged, and refused when it is private', async () => {
    const port = await gateway()
    dns.reply = inTurn([PUBLIC], ['127.0.0.1'])
    const codes = []
    for (let index = 0; index < 6; index += 1) codes.push(await askFor(port, 'rebind.test'))
    expect(codes).toEqual(
      Array.from({ length: 3 }, () => ['connection-refused', 'destination-denied']).flat(),
    )
    expect(hosts()).toEqual([PUBLIC, PUBLIC, PUBLIC])
    expect(dns.asked.filter(({ type }) => type === 'A').length).toBe(6)
    expect(victim.wires).toEqual([])
  })

  it.each([
    ['public in one family, private in the other', [PUBLIC], ['::1']],
    ['private first in both', ['127.0.0.1', PUBLIC], ['::1', PUBLIC_SIX]],
    ['private behind public, for when that one fails', [PUBLIC, '127.0.0.1'], []],
  ])('is refused where it answers with both at once: %s', async (_, a, aaaa) => {
    const port = await gateway()
    dns.reply = ({ type }) => ({ addresses: type === 'A' ? a : aaaa, ttlSeconds: 0 })
    expect(await askFor(port, 'both.test')).toBe('destination-denied')
    expect(hosts()).toEqual([])
    expect(victim.wires).toEqual([])
  })

  it('does not get a private address in by the slower family', async () => {
    const gate = Promise.withResolvers<void>()
    const port = await gateway()
    dns.reply = ({ type }) =>
      type === 'AAAA'
        ? { addresses: [PUBLIC_SIX], ttlSeconds: 0 }
        : { addresses: ['127.0.0.1'], after: gate.promise }
    const asking = askFor(port, 'late.test')
    await eventually(() => expect(hosts()).toEqual([PUBLIC_SIX]))
    gate.resolve()
    expect(await asking).toBe('destination-denied')
    expect(hosts()).toEqual([PUBLIC_SIX])
    expect(victim.wires).toEqual([])
  })

  it('does not get past the cache either: what is kept is judged at every dial', async () => {
    const port = await gateway({}, { minTtlMs: 60_000, maxTtlMs: 60_000 })
    dns.reply = inTurn(['127.0.0.1'], [PUBLIC])
    expect(await askFor(port, 'kept.test')).toBe('destination-denied')
    expect(await askFor(port, 'kept.test')).toBe('destination-denied')
    expect(dns.asked.length).toBe(2)
    expect([hosts(), victim.wires]).toEqual([[], []])
  })

  it('is not lifted by a rule that allows the name', async () => {
    const port = await gateway({ allow: ['rebind.test', '*'] })
    dns.reply = inTurn(['127.0.0.1'])
    expect(await askFor(port, 'rebind.test')).toBe('destination-denied')
    expect([hosts(), victim.wires]).toEqual([[], []])
  })
})

it('a name that may be reached is reached, where a rule allows its address', async () => {
  const port = await gateway({ allow: ['127.0.0.0/8'] })
  dns.reply = inTurn(['127.0.0.1'])
  expect(await askFor(port, 'fine.test')).toBe(undefined)
  expect(hosts()).toEqual(['127.0.0.1'])
  expect((await victim.wire()).ending).toBe(undefined)
})
