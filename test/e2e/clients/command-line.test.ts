// Programs that know proxies themselves: curl, wget and socat, each through every listener that it can use and through
// the tunnel client, for http and, through CONNECT or SOCKS, for https. The gateway's counters prove the way.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { curlWays } from '../../support/curl-ways.ts'
import { isMissing, run, succeed } from '../../support/programs.ts'
import {
  counted,
  expectWhole,
  startClientStack,
  type ClientStack,
  type Listener,
  type Proof,
} from './counted.ts'

let clients: ClientStack
beforeAll(async () => {
  clients = await startClientStack()
})
afterAll(() => clients[Symbol.asyncDispose]())

const URLS = ['url', 'secureUrl'] as const

/** A client that has its answer may close before it read the site's last TLS records: its kernel then sends RST. */
const outcomeOf = (url: string): Proof => ({ outcome: url === 'secureUrl' ? 'any' : 'ok' })

describe.skipIf(isMissing('curl'))('curl (needs curl)', () => {
  const ways = curlWays({ http: 0, https: 0, socks: 0, client: 0 }, '').map(({ name }) => name)
  const listenerOf = (name: string): Listener =>
    name.startsWith('tunnel')
      ? 'client'
      : name.includes('socks')
        ? 'socks'
        : name.includes('https')
          ? 'https'
          : 'http'

  it.each(ways.flatMap((name) => URLS.map((url) => ({ name, url }))))(
    '$name, $url',
    async ({ name, url }) => {
      const { stack, caFile } = clients
      const way = curlWays(stack.ports, caFile).find((each) => each.name === name)!
      const args = ['-sS', '--fail', '--noproxy', '', '--cacert', caFile, ...way.options, clients[url]]
      const { stdout } = await counted(stack, listenerOf(name), () => succeed('curl', args), outcomeOf(url))
      expectWhole(stdout)
    },
  )
})

describe.skipIf(isMissing('wget'))('wget (needs wget)', () => {
  it.each([
    { listener: 'http', url: 'url' },
    { listener: 'http', url: 'secureUrl' },
    { listener: 'client', url: 'url' },
    { listener: 'client', url: 'secureUrl' },
  ] as const)('$listener, $url', async ({ listener, url }) => {
    const { stack, caFile } = clients
    const proxy = `http://127.0.0.1:${stack.ports[listener]}/`
    const env = { http_proxy: proxy, https_proxy: proxy, no_proxy: '', HOME: stack.pki.path }
    const args = ['--no-config', '-q', '--tries=1', `--ca-certificate=${caFile}`, '-O', '-', clients[url]]
    const { stdout } = await counted(stack, listener, () => succeed('wget', args, { env }), outcomeOf(url))
    expectWhole(stdout)
  })

  it('says why where the destination is refused', async () => {
    const proxy = `http://127.0.0.1:${clients.stack.ports.http}/`
    const env = { http_proxy: proxy, no_proxy: '', HOME: clients.stack.pki.path }
    const { code, stderr } = await run(
      'wget',
      ['--no-config', '--tries=1', '-O', '-', 'http://192.168.1.1/'],
      { env },
    )
    expect(code).toBe(8)
    expect(stderr).toContain('403')
  })
})

describe.skipIf(isMissing('socat'))('socat (needs socat)', () => {
  const address = (form: string, destination: string, port: number): string => {
    const [host, originPort] = destination.split(':')
    return form === 'PROXY'
      ? `PROXY:127.0.0.1:${host}:${originPort},proxyport=${port}`
      : `${form}:127.0.0.1:${host}:${originPort},socksport=${port}`
  }

  it.each([
    { form: 'SOCKS4', listener: 'socks', host: '127.0.0.1' },
    { form: 'SOCKS4A', listener: 'socks', host: 'localhost' },
    { form: 'PROXY', listener: 'http', host: 'localhost' },
    { form: 'SOCKS4', listener: 'client', host: '127.0.0.1' },
    { form: 'SOCKS4A', listener: 'client', host: 'localhost' },
    { form: 'PROXY', listener: 'client', host: 'localhost' },
  ] as const)('$form to $listener, with a half-close', async ({ form, listener, host }) => {
    const { stack, origin } = clients
    const target = address(form, `${host}:${origin.port}`, stack.ports[listener])
    const input = 'GET /bytes/200000 HTTP/1.0\r\n\r\n'
    // After the end of its input socat says so and waits for the answer.
    const { stdout } = await counted(stack, listener, () =>
      succeed('socat', ['-t', '10', '-', target], { input }),
    )
    const end = stdout.indexOf('\r\n\r\n')
    expect(stdout.subarray(0, 12).toString()).toBe('HTTP/1.1 200')
    expectWhole(stdout.subarray(end + 4))
  })
})
