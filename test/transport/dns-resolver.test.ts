// The resolver against a DNS server on loopback: families, failures, cache, joined look-ups, hosts file, limits.
import { writeFile } from 'node:fs/promises'
import { pbkdf2 } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { DnsResolver, type DnsOptions } from '../../src/transport/dns-resolver.ts'
import type { Found } from '../../src/transport/resolve.ts'
import { startDnsServer, type DnsReply, type DnsServer } from '../support/dns-server.ts'
import { eventually } from '../support/eventually.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { tempDir } from '../support/temp-dir.ts'

const SIX = '2001:db8::6'
const FOUR = '192.0.2.4'

let server: DnsServer
let clock: ManualClock
beforeAll(async () => void (server = await startDnsServer()))
afterAll(() => server[Symbol.asyncDispose]())
beforeEach(() => {
  clock = new ManualClock()
  server.reply = byType({ addresses: [FOUR] }, { addresses: [SIX] })
  ;(server.asked as unknown[]).length = 0
})

function byType(a: DnsReply, aaaa: DnsReply): DnsServer['reply'] {
  return ({ type }) => (type === 'A' ? a : aaaa)
}

function resolver(options: Partial<DnsOptions> = {}): DnsResolver {
  return new DnsResolver({
    servers: [server.address],
    timeoutMs: 5_000,
    cacheEntries: 100,
    maxTtlMs: 300_000,
    minTtlMs: 0,
    hostsFile: '/dev/null',
    clock,
    ...options,
  })
}

async function codeOf(asked: () => unknown): Promise<string> {
  try {
    return `resolved ${JSON.stringify(await asked())}`
  } catch (thrown) {
    return thrown instanceof GatewayError ? `${thrown.code} ${thrown.side}` : String(thrown)
  }
}

describe('a name that DNS knows', () => {
  it('has the addresses of both families, IPv6 first', async () => {
    expect(await resolver().resolve('a.test', 1_000)).toEqual([SIX, FOUR])
    expect(server.asked.map(({ name, type }) => `${name} ${type}`).toSorted()).toEqual([
      'a.test A',
      'a.test AAAA',
    ])
  })

  it.each<[string, DnsReply, DnsReply, string]>([
    ['AAAA is missing', { addresses: [FOUR] }, {}, `resolved ["${FOUR}"]`],
    ['A is missing', {}, { addresses: [SIX] }, `resolved ["${SIX}"]`],
    ['AAAA fails', { addresses: [FOUR] }, { rcode: 'SERVFAIL' }, `resolved ["${FOUR}"]`],
    ['A fails', { rcode: 'SERVFAIL' }, { addresses: [SIX] }, `resolved ["${SIX}"]`],
    [
      'AAAA is said not to exist (RFC 4074)',
      { addresses: [FOUR] },
      { rcode: 'NXDOMAIN' },
      `resolved ["${FOUR}"]`,
    ],
    ['neither exists', {}, {}, 'name-not-found upstream'],
    ['the name does not exist', { rcode: 'NXDOMAIN' }, { rcode: 'NXDOMAIN' }, 'name-not-found upstream'],
    [
      'it does not, and one answer fails',
      { rcode: 'NXDOMAIN' },
      { rcode: 'SERVFAIL' },
      'name-not-found upstream',
    ],
    ['one is missing, the other fails', {}, { rcode: 'SERVFAIL' }, 'name-lookup-failed upstream'],
    ['both fail', { rcode: 'SERVFAIL' }, { rcode: 'SERVFAIL' }, 'name-lookup-failed upstream'],
    ['the server refuses', { rcode: 'REFUSED' }, { rcode: 'REFUSED' }, 'name-lookup-failed upstream'],
  ])('%s', async (_, a, aaaa, expected) => {
    server.reply = byType(a, aaaa)
    const names = resolver()
    expect(await codeOf(() => names.resolve('a.test', 1_000))).toBe(expected)
    expect(await codeOf(async () => names.lookup('a.test', 1_000))).toBe(expected)
  })

  it('is followed along its CNAME', async () => {
    server.reply = byType({ addresses: [FOUR], cname: 'b.test' }, { addresses: [SIX], cname: 'b.test' })
    expect(await resolver().resolve('a.test', 1_000)).toEqual([SIX, FOUR])
  })

  it('has at most 8 addresses of a family, each once', async () => {
    const many = Array.from({ length: 20 }, (_, index) => `192.0.2.${index + 1}`)
    server.reply = byType({ addresses: many }, { addresses: [SIX, SIX, SIX] })
    expect(await resolver().resolve('a.test', 1_000)).toEqual([SIX, ...many.slice(0, 8)])
  })

  it('is asked for as it is, whatever search domains the system has', async () => {
    await resolver().resolve('single', 1_000)
    expect(new Set(server.asked.map(({ name }) => name))).toEqual(new Set(['single']))
  })
})

describe('the first answer (RFC 8305 section 3)', () => {
  it('is AAAA as soon as it is there; A comes later', async () => {
    const gate = Promise.withResolvers<void>()
    server.reply = byType({ addresses: [FOUR], after: gate.promise }, { addresses: [SIX] })
    const found = (await resolver().lookup('a.test', 1_000)) as Exclude<Found, readonly string[]>
    expect(found.addresses).toEqual([SIX])
    gate.resolve()
    expect(await found.later).toEqual([FOUR])
  })

  it('is A only when AAAA has had 50 ms', async () => {
    const gate = Promise.withResolvers<void>()
    server.reply = byType({ addresses: [FOUR] }, { addresses: [SIX], after: gate.promise })
    const looking = resolver().lookup('a.test', 1_000)
    await eventually(() => expect(clock.waits).toEqual([50, 5_000]))
    clock.advance(50)
    const found = (await looking) as Exclude<Found, readonly string[]>
    expect(found.addresses).toEqual([FOUR])
    gate.resolve()
    expect(await found.later).toEqual([SIX])
    expect(clock.waits).toEqual([])
  })

  it('is A alone where AAAA never answers', async () => {
    server.reply = byType({ addresses: [FOUR] }, { silent: true })
    const names = resolver()
    const looking = names.lookup('a.test', 1_000)
    await eventually(() => expect(clock.waits).toEqual([50, 5_000]))
    clock.advance(5_000)
    const found = (await looking) as Exclude<Found, readonly string[]>
    expect([found.addresses, await found.later]).toEqual([[FOUR], []])
    // What lacks a family is not kept for its time to live.
    expect(names.lookup('a.test', 1_000)).toEqual([FOUR])
    clock.advance(1_000)
    expect(names.lookup('a.test', 1_000)).toBeInstanceOf(Promise)
  })
})

describe('a look-up', () => {
  it('ends by its time where no server answers', async () => {
    server.reply = () => ({ silent: true })
    const looking = codeOf(async () => resolver().lookup('a.test', 60_000))
    await eventually(() => expect(server.asked.length).toBeGreaterThan(1))
    clock.advance(5_000)
    expect(await looking).toBe('name-lookup-failed upstream')
  })

  it('may be left before it ends, and ends for the others', async () => {
    const gate = Promise.withResolvers<void>()
    server.reply = byType({ addresses: [FOUR], after: gate.promise }, {})
    const names = resolver()
    const left = codeOf(() => names.resolve('a.test', 100))
    const patient = names.resolve('a.test', 60_000)
    await eventually(() => expect(server.asked.length).toBe(2))
    clock.advance(100)
    expect(await left).toBe('name-lookup-failed upstream')
    gate.resolve()
    expect(await patient).toEqual([FOUR])
  })

  it('fails at once where nothing listens at the server, and is not taken for a refused connection', async () => {
    const gone = await startDnsServer()
    await gone[Symbol.asyncDispose]()
    expect(await codeOf(() => resolver({ servers: [gone.address] }).resolve('a.test', 60_000))).toBe(
      'name-lookup-failed upstream',
    )
  })

  it('fails at once where the server is no address', async () => {
    expect(await codeOf(() => resolver({ servers: ['nonsense'] }).resolve('a.test', 60_000))).toBe(
      'name-lookup-failed upstream',
    )
  })

  it('is one for all who ask meanwhile', async () => {
    const gate = Promise.withResolvers<void>()
    server.reply = byType(
      { addresses: [FOUR], after: gate.promise },
      { addresses: [SIX], after: gate.promise },
    )
    const names = resolver()
    const all = Array.from({ length: 50 }, () => names.resolve('a.test', 1_000))
    await eventually(() => expect(server.asked.length).toBe(2))
    gate.resolve()
    for (const found of await Promise.all(all)) expect(found).toEqual([SIX, FOUR])
    expect(server.asked.length).toBe(2)
  })

  it('ends when the resolver does', async () => {
    server.reply = () => ({ silent: true })
    const names = resolver()
    const looking = codeOf(async () => names.lookup('a.test', 60_000))
    await eventually(() => expect(server.asked.length).toBe(2))
    names.destroy()
    expect(await looking).toBe('name-lookup-failed upstream')
  })

  it('does not wait for the thread pool, however full it is', async () => {
    let hashing = 24
    const done = Promise.withResolvers<void>()
    for (let index = 0; index < 24; index += 1) {
      pbkdf2('x', 'y', 150_000, 64, 'sha512', () => {
        hashing -= 1
        if (hashing === 0) done.resolve()
      })
    }
    expect(await resolver().resolve('a.test', 60_000)).toEqual([SIX, FOUR])
    // A look-up behind them in the pool would end with the last four.
    expect(hashing).toBeGreaterThan(4)
    await done.promise
  })
})

describe('the cache', () => {
  it('gives what is known at once, without a promise, for as long as the shorter time to live', async () => {
    server.reply = byType({ addresses: [FOUR], ttlSeconds: 30 }, { addresses: [SIX], ttlSeconds: 60 })
    const names = resolver()
    await names.resolve('a.test', 1_000)
    clock.advance(29_999)
    expect(names.lookup('a.test', 1_000)).toEqual([SIX, FOUR])
    expect(server.asked.length).toBe(2)
    clock.advance(1)
    expect(await names.resolve('a.test', 1_000)).toEqual([SIX, FOUR])
    expect(server.asked.length).toBe(4)
  })

  it.each([
    ['no longer than maxTtlMs', 86_400, { maxTtlMs: 10_000 }, 10_000],
    ['not at all for a time to live of 0', 0, {}, 0],
    ['at least minTtlMs', 0, { minTtlMs: 2_000 }, 2_000],
    ['not at all with cacheEntries 0', 60, { cacheEntries: 0 }, 0],
  ])('%s', async (_, ttlSeconds, options, keptMs) => {
    server.reply = byType({ addresses: [FOUR], ttlSeconds }, {})
    const names = resolver(options)
    await names.resolve('a.test', 1_000)
    if (keptMs > 0) {
      clock.advance(keptMs - 1)
      expect(names.lookup('a.test', 1_000)).toEqual([FOUR])
      clock.advance(1)
    }
    expect(names.lookup('a.test', 1_000)).toBeInstanceOf(Promise)
    await names.resolve('a.test', 1_000)
  })

  it.each([
    ['a name that does not exist, for 5 s', 'NXDOMAIN', 'name-not-found upstream', 5_000],
    ['a failure, for 1 s', 'SERVFAIL', 'name-lookup-failed upstream', 1_000],
  ] as const)('knows %s', async (_, rcode, code, keptMs) => {
    server.reply = () => ({ rcode })
    const names = resolver()
    expect(await codeOf(() => names.resolve('a.test', 60_000))).toBe(code)
    const before = server.asked.length
    clock.advance(keptMs - 1)
    expect(() => names.lookup('a.test', 1_000)).toThrow(GatewayError)
    expect(server.asked.length).toBe(before)
    clock.advance(1)
    server.reply = byType({ addresses: [FOUR] }, {})
    expect(await names.resolve('a.test', 1_000)).toEqual([FOUR])
  })

  it('holds so many names; the one not asked for the longest goes', async () => {
    const names = resolver({ cacheEntries: 2 })
    await names.resolve('a.test', 1_000)
    await names.resolve('b.test', 1_000)
    clock.advance(1_000)
    expect(names.lookup('a.test', 1_000)).toEqual([SIX, FOUR])
    await names.resolve('c.test', 1_000)
    const known = ['a.test', 'b.test', 'c.test'].map((name) => Array.isArray(names.lookup(name, 1_000)))
    expect(known).toEqual([true, false, true])
    await names.resolve('b.test', 1_000)
  })
})

describe('names that need no server', () => {
  it.each(['localhost', 'a.localhost', 'a.b.localhost'])('%s is loopback (RFC 6761)', (name) => {
    expect(resolver().lookup(name, 1_000)).toEqual(['::1', '127.0.0.1'])
    expect(server.asked).toEqual([])
  })

  it.each(['a.onion', 'onion', 'a.invalid'])('%s is never asked for (RFC 6761, RFC 7686)', async (name) => {
    expect(await codeOf(async () => resolver().lookup(name, 1_000))).toBe('name-not-found upstream')
    expect(await codeOf(() => resolver().resolve(name, 1_000))).toBe('name-not-found upstream')
    expect(server.asked).toEqual([])
  })

  it('those like them are asked for', async () => {
    await resolver().resolve('notlocalhost', 1_000)
    await resolver().resolve('myonion', 1_000)
    expect(server.asked.length).toBe(4)
  })

  it('the hosts file comes first, and a change of it is seen within seconds', async () => {
    await using directory = await tempDir()
    const hostsFile = directory.file('hosts')
    await writeFile(hostsFile, '192.0.2.77 box.test\n10.0.0.9 localhost')
    const names = resolver({ hostsFile })
    expect(names.lookup('box.test', 1_000)).toEqual(['192.0.2.77'])
    expect(names.lookup('localhost', 1_000)).toEqual(['10.0.0.9'])
    await writeFile(hostsFile, '192.0.2.78 box.test # new')
    expect(names.lookup('box.test', 1_000)).toEqual(['192.0.2.77'])
    clock.advance(5_000)
    expect(names.lookup('box.test', 1_000)).toEqual(['192.0.2.78'])
    expect(await names.resolve('other.test', 1_000)).toEqual([SIX, FOUR])
    await directory[Symbol.asyncDispose]()
    clock.advance(5_000)
    expect(names.lookup('box.test', 1_000)).toBeInstanceOf(Promise)
    await names.resolve('box.test', 1_000)
  })
})
