// Gateways before an upstream that fails, egress rules that hold before one, and configs that give one wrongly: what the
// client is told blames the right party, and no password is told to anybody.
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'
import { GatewayError } from '../../src/errors.ts'
import { freePort, startChained } from '../support/chain.ts'
import { sightline } from '../support/gateway-process.ts'
import { sum } from '../support/metrics.ts'
import { startOrigin, type Origin } from '../support/origin.ts'
import { everyInbound, startStack, type Stack } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { ask, reach, type Way } from '../support/through.ts'
import { startRawOrigin } from '../support/wire.ts'

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

/** Its own listeners, and its own name only: everything else would have to be looked up at the far end. */
const resolveProxyOnly = async (name: string): Promise<string[]> => {
  if (name === 'localhost') return ['127.0.0.1']
  throw new Error(`looked up ${name}`)
}
const BY_HTTP: Way = { name: 'http', listener: 'http', protocol: 'http' }
const BY_SOCKS: Way = { name: 'socks', listener: 'socks', protocol: 'socks5' }

/** What a client of the near gateway is told. */
async function told(
  upstream: OutboundInput,
  host = 'origin.test',
  limits = {},
): Promise<{ http: string; socks5: number; metrics: string }> {
  await using near = await startChained(upstream, { resolve: resolveProxyOnly, limits })
  using byHttp = await reach(near.stack, 'http')
  const answer = await ask(byHttp, BY_HTTP, host, origin.port)
  using bySocks = await reach(near.stack, 'socks')
  const reply = await ask(bySocks, BY_SOCKS, host, origin.port)
  const code = /sightline-error: (\S+)/.exec(answer.head)?.[1]
  return { http: `${answer.reply} ${code}`, socks5: reply.reply, metrics: await near.metrics() }
}

describe('an upstream that fails', () => {
  it.each([
    ['socks', 'socks5h'],
    ['http', 'http'],
  ] as const)('refuses a wrong password: the client is not blamed (%s)', async (type, scheme) => {
    const port = guarded.ports[type]
    const outcome = await told({
      type,
      url: `${scheme}://127.0.0.1:${port}`,
      username: USER,
      passwordFile: dir.file('wrong'),
    })
    expect(outcome).toMatchObject({ http: '502 upstream-auth-failed', socks5: 1 })
    expect(sum(outcome.metrics, 'sightline_refusals_total', { code: 'upstream-auth-failed' })).toBe(2)
  })

  it('takes the password once its file has been mended and the gateway reloads', async () => {
    await writeFile(dir.file('mended'), 'wrong\n')
    const url = `http://127.0.0.1:${guarded.ports.http}`
    const upstream = { type: 'http', url, username: USER, passwordFile: dir.file('mended') } as const
    await using near = await startChained(upstream)
    using first = await reach(near.stack, 'http')
    expect((await ask(first, BY_HTTP, 'origin.test', origin.port)).head).toContain('upstream-auth-failed')
    await writeFile(dir.file('mended'), `${PASSWORD}\n`)
    await near.gateway.reload(near.config)
    using second = await reach(near.stack, 'http')
    expect((await ask(second, BY_HTTP, 'origin.test', origin.port)).reply).toBe(200)
  })

  it.each([
    ['socks', 'socks5h'],
    ['http', 'http'],
  ] as const)('wants a password that nobody gave (%s)', async (type, scheme) => {
    const outcome = await told({ type, url: `${scheme}://127.0.0.1:${guarded.ports[type]}` })
    expect(outcome).toMatchObject({ http: '502 upstream-auth-failed', socks5: 1 })
  })

  it('is not there', async () => {
    const port = await freePort()
    const outcome = await told({ type: 'socks', url: `socks5h://127.0.0.1:${port}` })
    expect(outcome).toMatchObject({ http: '502 upstream-unavailable', socks5: 1 })
  })

  it('is this gateway itself', async () => {
    const port = await freePort()
    await using near = await startChained({ type: 'http', url: `http://127.0.0.1:${port}` })
    const own = near.ports.http
    await using loop = await startChained({ type: 'http', url: `http://127.0.0.1:${own}` })
    using wire = await reach(loop.stack, 'http')
    expect((await ask(wire, BY_HTTP, 'origin.test', 80)).head).toContain('upstream-unavailable')
  })

  it('shows a certificate of nobody that is trusted', async () => {
    const outcome = await told({ type: 'http', url: `https://localhost:${far.ports.https}` })
    expect(outcome).toMatchObject({ http: '502 upstream-untrusted', socks5: 1 })
  })

  it('does not answer: dial-timeout, and nothing stays open', async () => {
    await using silent = await startRawOrigin((wire) => {
      wire.socket.once('data', () => wire.send(Buffer.from([5, 0])))
    })
    const outcome = await told({ type: 'socks', url: `socks5h://127.0.0.1:${silent.port}` }, 'origin.test', {
      dialMs: 300,
    })
    expect(outcome).toMatchObject({ http: '504 dial-timeout', socks5: 6 })
    for (const wire of silent.wires) expect(await wire.ended()).toBe('end')
  })

  it('closes in the middle of a relay: the client sees a break, not an end', async () => {
    await using proxy = await startRawOrigin((wire) => {
      void wire.untilText('\r\n\r\n').then(() => {
        wire.send('HTTP/1.1 200 OK\r\n\r\nhalf of')
        setImmediate(() => wire.reset())
      })
    })
    await using near = await startChained({ type: 'http', url: `http://127.0.0.1:${proxy.port}` })
    using wire = await reach(near.stack, 'http')
    wire.send('CONNECT origin.test:80 HTTP/1.1\r\nhost: origin.test:80\r\n\r\n')
    expect(await wire.ended()).toBe('reset')
  })
})

describe('the egress rules before an upstream', () => {
  const upstream = (): OutboundInput => ({ type: 'socks', url: `socks5h://127.0.0.1:${far.ports.socks}` })

  it.each<[string, { allow?: string[]; deny?: string[]; allowOnly?: boolean }, string, boolean]>([
    ['an address of loopback', {}, '127.0.0.1', false],
    ['an address of loopback in hex', {}, '0x7f000001', false],
    ['a name of loopback', {}, 'localhost', false],
    [
      'a name of loopback that is allowed by address',
      { allow: ['127.0.0.0/8', '::1/128'] },
      'localhost',
      true,
    ],
    ['another name', {}, 'origin.test', true],
    ['a denied name', { deny: ['*.test'] }, 'origin.test', false],
    [
      'a name under allowOnly that a rule names',
      { allow: ['origin.test'], allowOnly: true },
      'origin.test',
      true,
    ],
    [
      'a name under allowOnly that only an address could allow',
      { allow: ['127.0.0.0/8'], allowOnly: true },
      'origin.test',
      false,
    ],
  ])('judge %s %j', async (_, egress, host, isAllowed) => {
    await using near = await startChained(upstream(), { egress })
    using wire = await reach(near.stack, 'http')
    const answer = await ask(wire, BY_HTTP, host, origin.port)
    expect(answer.head).toMatch(isAllowed ? /^HTTP\/1\.1 200/ : /sightline-error: destination-denied/)
  })

  it('judge by address what socks5:// looks up here', async () => {
    const url = `socks5://127.0.0.1:${far.ports.socks}`
    await using refused = await startChained(
      { type: 'socks', url },
      { egress: {}, resolve: async () => ['127.0.0.1'] },
    )
    using first = await reach(refused.stack, 'http')
    expect((await ask(first, BY_HTTP, 'here.test', origin.port)).head).toContain('destination-denied')
    await using allowed = await startChained({ type: 'socks', url }, { resolve: async () => ['127.0.0.1'] })
    using second = await reach(allowed.stack, 'http')
    expect((await ask(second, BY_HTTP, 'here.test', origin.port)).reply).toBe(200)
  })
})

describe('no password of an upstream', () => {
  it('is in what config check says, right or wrong', async () => {
    const pki = far.pki
    const secret = 'hunter2-canary'
    const inbounds = JSON.stringify(everyInbound(pki).slice(0, 1))
    const urls = [
      `socks5h://ann:${secret}@127.0.0.1:9050`,
      `socks5h://ann:${secret}@127.0.0.1:9050/path`,
      `ftp://ann:${secret}@127.0.0.1`,
      `ann:${secret}@127.0.0.1:9050`,
      `socks5h://ann:${secret}%@127.0.0.1`,
      `socks5h://ann:${secret}@[::1`,
      `socks4a://ann:${secret}@127.0.0.1`,
      `socks5h://ann:a/${secret}@127.0.0.1`,
      `socks5h://ann:${secret}#@127.0.0.1`,
    ]
    for (const url of urls) {
      await writeFile(
        dir.file('check.yaml'),
        `inbounds: ${inbounds}\noutbounds: { up: { type: socks, url: ${JSON.stringify(url)} } }\n`,
      )
      const { stdout, stderr, code } = await sightline(['config', 'check', dir.file('check.yaml')])
      expect([url, code]).toEqual([url, url === urls[0] ? 0 : 1])
      expect(`${stdout.toString()}${stderr}`).not.toContain(secret)
    }
  }, 30_000)

  it.each([
    [{ type: 'socks', url: 'http://127.0.0.1:1' }, 'not the address of such a proxy'],
    [{ type: 'http', url: 'socks5h://127.0.0.1:1' }, 'not the address of such a proxy'],
    [{ type: 'http', url: 'http://127.0.0.1:1/x' }, 'a proxy has no path'],
    [{ type: 'http', url: 'http://ann@127.0.0.1:1', username: 'ann' }, 'in one place'],
    [{ type: 'http', url: 'http://ann:x@127.0.0.1:1', passwordFile: 'f' }, 'in one place'],
    [{ type: 'http', url: 'http://127.0.0.1:1', passwordFile: 'f' }, 'needs a username'],
    [{ type: 'http', url: 'http://127.0.0.1:1', authority: 'f' }, 'reached by TLS'],
    [{ type: 'http', url: 'http://127.0.0.1:1', username: 'a:b' }, 'no colon'],
    [
      { type: 'socks', url: 'socks4a://127.0.0.1:1', username: 'a', passwordFile: 'f' },
      'SOCKS4 has no passwords',
    ],
    [{ type: 'socks', url: 'socks5://127.0.0.1:1', username: 'a' }, 'has a password'],
    [
      { type: 'socks', url: 'socks5://127.0.0.1:1', username: 'a\0b', passwordFile: 'f' },
      'control character',
    ],
    [
      { type: 'socks', url: 'socks5://127.0.0.1:1', username: 'a'.repeat(256), passwordFile: 'f' },
      '255 bytes',
    ],
    [{ type: 'socks', url: 'socks5://127.0.0.1:1', password: 'x' }, 'unknown key "password"'],
  ])('can be given in a way that has no meaning: %j', (outbound, message) => {
    const text = JSON.stringify({
      inbounds: [{ type: 'http', listen: '127.0.0.1:0' }],
      outbounds: { up: outbound },
    })
    expect(() => parseConfig(text, 'x.yaml')).toThrow(message)
  })
})
