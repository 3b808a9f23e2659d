// Gateways in a chain: in front of our own SOCKS, HTTP and TLS listeners, of two gateways behind a tunnel, and of other
// people's proxies. Bytes arrive whole and in order, names are looked up where they should be, and a failure at the
// far end has the same name at the near one.
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { freePort, startChained, startProgram } from '../support/chain.ts'
import { eventually } from '../support/eventually.ts'
import { sightline } from '../support/gateway-process.ts'
import { sum } from '../support/metrics.ts'
import { bytesHash, startOrigin, type Origin } from '../support/origin.ts'
import { isMissing } from '../support/programs.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { ask, open, reach, WAYS, type Way } from '../support/through.ts'
import { startRawOrigin, Wire } from '../support/wire.ts'

const COUNT = 3_000_000
const USER = 'ann'
const PASSWORD = 'secret:wörd/@#'

let dir: TempDir
let origin: Origin
/** The far gateway; it alone can look `origin.test` up. */
let far: Stack
/** The far gateway with users. */
let guarded: Stack
beforeAll(async () => {
  dir = await tempDir()
  await writeFile(dir.file('password'), `${PASSWORD}\n`)
  await writeFile(dir.file('wrong'), 'wrong\n')
  const added = await sightline(['user', 'add', USER, '--file', dir.file('users')], {
    input: `${PASSWORD}\n`,
  })
  if (added.code !== 0) throw new Error(added.stderr)
  origin = await startOrigin()
  const resolve = async (name: string): Promise<string[]> => {
    if (name === 'origin.test' || name === 'localhost') return ['127.0.0.1']
    throw new GatewayError('name-not-found', { side: 'upstream' })
  }
  far = await startStack({ resolve })
  guarded = await startStack({ resolve, users: dir.file('users') })
})
afterAll(async () => {
  await far[Symbol.asyncDispose]()
  await guarded[Symbol.asyncDispose]()
  await origin.close()
  await dir[Symbol.asyncDispose]()
})

type OutboundInput = Parameters<typeof startChained>[0]

const HOPS: ReadonlyArray<{ name: string; mode: string; upstream: () => OutboundInput }> = [
  {
    name: 'socks5h',
    mode: 'socks-proxy',
    upstream: () => ({ type: 'socks', url: `socks5h://127.0.0.1:${far.ports.socks}` }),
  },
  {
    name: 'socks4a',
    mode: 'socks-proxy',
    upstream: () => ({ type: 'socks', url: `socks4a://127.0.0.1:${far.ports.socks}` }),
  },
  {
    name: 'http',
    mode: 'http-proxy',
    upstream: () => ({ type: 'http', url: `http://127.0.0.1:${far.ports.http}` }),
  },
  {
    name: 'https',
    mode: 'https-proxy',
    upstream: () => ({
      type: 'http',
      url: `https://localhost:${far.ports.https}`,
      authority: far.pki.file('ca.crt'),
    }),
  },
  {
    name: 'a tunnel client, three hops',
    mode: 'tunnel',
    upstream: () => ({ type: 'socks', url: `socks5h://127.0.0.1:${far.ports.client}` }),
  },
  {
    name: 'socks5h with a user',
    mode: 'socks-proxy',
    upstream: () => ({
      type: 'socks',
      url: `socks5h://127.0.0.1:${guarded.ports.socks}`,
      username: USER,
      passwordFile: dir.file('password'),
    }),
  },
  {
    name: 'http with a user in the url',
    mode: 'http-proxy',
    upstream: () => ({
      type: 'http',
      url: `http://${USER}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${guarded.ports.http}`,
    }),
  },
]

/** Its own listeners, and its own name only: everything else would have to be looked up at the far end. */
const resolveProxyOnly = async (name: string): Promise<string[]> => {
  if (name === 'localhost') return ['127.0.0.1']
  throw new Error(`looked up ${name}`)
}
const NEAR_WAYS: readonly Way[] = WAYS.filter(({ listener }) => ['http', 'socks', 'mixed'].includes(listener))

const BY_HTTP: Way = { name: 'http', listener: 'http', protocol: 'http' }
const BY_SOCKS: Way = { name: 'socks', listener: 'socks', protocol: 'socks5' }

describe.each(HOPS)('a gateway in front of $name', ({ mode, upstream }) => {
  it.each(NEAR_WAYS.filter(({ protocol }) => protocol !== 'socks4'))(
    'relays whole files by name, both ways, by $name',
    async (way) => {
      await using near = await startChained(upstream(), { resolve: resolveProxyOnly })
      const count = async (): Promise<number> =>
        sum(await far.gatewayMetrics(), 'sightline_streams_total', { mode }) +
        sum(await guarded.gatewayMetrics(), 'sightline_streams_total', { mode })
      const before = await count()
      using wire = await open(near.stack, way, 'origin.test', origin.port)
      wire.send(`GET /bytes/${COUNT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
      await wire.untilText('\r\n\r\n')
      expect(await wire.ended()).toBe('end')
      wire.socket.end()
      const body = wire.received.subarray(wire.received.indexOf('\r\n\r\n') + 4)
      expect(createHash('sha256').update(body).digest('hex')).toBe(bytesHash(COUNT))
      await eventually(async () => expect((await count()) - before).toBe(1))
    },
  )

  it('keeps what the origin says first, and each half open', async () => {
    const greeting = Buffer.alloc(70_000, 'hello ')
    await using banner = await startRawOrigin((wire) => wire.send(greeting))
    await using near = await startChained(upstream(), { resolve: resolveProxyOnly })
    for (const [index, way] of NEAR_WAYS.entries()) {
      using wire = await open(near.stack, way, '127.0.0.1', banner.port, Buffer.from('early'))
      const there = await banner.wire(index)
      await wire.untilBytes(greeting.length)
      expect(wire.received.equals(greeting)).toBe(true)
      await there.untilText('early')
      wire.socket.end('last')
      expect(await there.ended()).toBe('end')
      expect(there.text).toBe('earlylast')
      there.socket.end('after the end')
      await wire.untilText('after the end')
      expect(await wire.ended()).toBe('end')
    }
  })

  it('breaks off where the origin breaks off', async () => {
    await using near = await startChained(upstream(), { resolve: resolveProxyOnly })
    using wire = await open(near.stack, BY_HTTP, '127.0.0.1', origin.port)
    wire.send('GET /truncated HTTP/1.1\r\nhost: x\r\n\r\n')
    expect(await wire.ended()).toBe('reset')
  })

  it('forwards absolute-form requests, several on one connection', async () => {
    await using near = await startChained(upstream(), { resolve: resolveProxyOnly })
    using wire = await Wire.connect(near.ports.http)
    for (const number of [1, 2]) {
      wire.send(
        `GET http://origin.test:${origin.port}/${number} HTTP/1.1\r\nhost: origin.test:${origin.port}\r\n\r\n`,
      )
      await wire.untilText('hello\n')
      expect(wire.text).toMatch(/^HTTP\/1\.1 200 /)
      wire.take(wire.received.length)
    }
  })

  it('calls a failure what the far gateway calls it', async () => {
    const closed = await startRawOrigin()
    await closed[Symbol.asyncDispose]()
    await using near = await startChained(upstream(), { resolve: resolveProxyOnly })
    const isSocks4 = 'url' in upstream() && JSON.stringify(upstream()).includes('socks4a')
    const failures = [
      {
        host: '127.0.0.1',
        port: closed.port,
        http: 502,
        code: isSocks4 ? 'dial-failed' : 'connection-refused',
        socks5: isSocks4 ? 1 : 5,
      },
      { host: 'unknown.test', port: 80, http: 502, code: undefined, socks5: isSocks4 ? 1 : 4 },
    ]
    for (const { host, port, http, code, socks5 } of failures) {
      using byHttp = await reach(near.stack, 'http')
      const answer = await ask(byHttp, BY_HTTP, host, port)
      expect([host, answer.reply]).toEqual([host, http])
      if (code !== undefined) expect(answer.head).toContain(`sightline-error: ${code}\r\n`)
      using bySocks = await reach(near.stack, 'socks')
      const reply = await ask(bySocks, BY_SOCKS, host, port)
      expect([host, reply.reply]).toEqual([host, socks5])
    }
  })
})

async function fetchThrough(upstream: OutboundInput, host = 'localhost'): Promise<string> {
  await using near = await startChained(upstream)
  using wire = await reach(near.stack, 'socks')
  const answer = await ask(wire, BY_SOCKS, host, origin.port)
  if (answer.reply !== 0) {
    using again = await reach(near.stack, 'http')
    return (await ask(again, BY_HTTP, host, origin.port)).head.match(/sightline-error: (\S+)/)?.[1] ?? 'none'
  }
  wire.send('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  await wire.ended()
  return wire.text
}

describe.skipIf(isMissing('microsocks'))('in front of microsocks (needs microsocks)', () => {
  it('relays, by name and by address; says that a password is wrong, and which port is closed', async () => {
    const port = await freePort()
    await using _ = await startProgram(
      'microsocks',
      ['-i', '127.0.0.1', '-p', String(port), '-u', 'ann', '-P', 'right'],
      port,
    )
    const url = (password: string): OutboundInput => ({
      type: 'socks',
      url: `socks5h://ann:${password}@127.0.0.1:${port}`,
    })
    expect(await fetchThrough(url('right'))).toContain('hello')
    expect(await fetchThrough(url('right'), '127.0.0.1')).toContain('hello')
    expect(await fetchThrough(url('wrong'))).toBe('upstream-auth-failed')
    expect(await fetchThrough({ type: 'socks', url: `socks5h://127.0.0.1:${port}` })).toBe(
      'upstream-auth-failed',
    )
    await using near = await startChained(url('right'))
    using wire = await reach(near.stack, 'http')
    expect((await ask(wire, BY_HTTP, '127.0.0.1', await freePort())).head).toContain('connection-refused')
  }, 30_000)
})

describe.skipIf(isMissing('tinyproxy'))('in front of tinyproxy (needs tinyproxy)', () => {
  it('relays, by name and by address; says that a password is wrong', async () => {
    const port = await freePort()
    const lines = [
      `Port ${port}`,
      'Listen 127.0.0.1',
      'Allow 127.0.0.1',
      'BasicAuth ann right',
      `LogFile "${dir.file('tiny.log')}"`,
    ]
    await writeFile(dir.file('tiny.conf'), `${lines.join('\n')}\n`)
    await using _ = await startProgram('tinyproxy', ['-d', '-c', dir.file('tiny.conf')], port)
    const url = (password: string): OutboundInput => ({
      type: 'http',
      url: `http://ann:${password}@127.0.0.1:${port}`,
    })
    expect(await fetchThrough(url('right'))).toContain('hello')
    expect(await fetchThrough(url('right'), '127.0.0.1')).toContain('hello')
    expect(await fetchThrough(url('wrong'))).toBe('upstream-auth-failed')
    await using near = await startChained(url('right'))
    using wire = await reach(near.stack, 'http')
    expect((await ask(wire, BY_HTTP, '127.0.0.1', await freePort())).head).toMatch(
      /sightline-error: dial-failed/,
    )
  }, 30_000)
})
