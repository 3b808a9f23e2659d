// Programs that know no proxy, made to use one: proxychains4 and dante-client's socksify put themselves before the
// socket calls of any program, PySocks before those of Python. The gateway's counters prove the way.
import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { isMissing, plainEnvironment, succeed } from '../../support/programs.ts'
import { SocksGateway } from '../../support/socks-gateway.ts'
import { UdpPeer } from '../../support/socks-udp-client.ts'
import { counted, expectWhole, startClientStack, type ClientStack } from './counted.ts'

/** Debian's Python: another one on the PATH would not have its modules. */
const PYTHON = '/usr/bin/python3'

/** A name that no resolver of this machine has: who fetches from it has left the look-up to the gateway. */
const FAR_NAME = 'only-the-gateway-knows.example'

let clients: ClientStack
beforeAll(async () => {
  clients = await startClientStack({ resolve: async () => ['127.0.0.1'] })
})
afterAll(() => clients[Symbol.asyncDispose]())

const fetchArgs = (url: string): string[] => ['curl', '-sS', '--fail', '--noproxy', '*', url]

describe.skipIf(isMissing('proxychains4', 'curl'))('proxychains4 (needs proxychains4 and curl)', () => {
  it.each([
    { type: 'socks4', listener: 'socks' },
    { type: 'socks5', listener: 'socks' },
    { type: 'http', listener: 'http' },
    { type: 'socks4', listener: 'client' },
    { type: 'socks5', listener: 'client' },
    { type: 'http', listener: 'client' },
  ] as const)('curl by $type to $listener', async ({ type, listener }) => {
    const { stack, url } = clients
    const file = stack.pki.file(`proxychains-${type}-${listener}.conf`)
    await writeFile(
      file,
      `strict_chain\nquiet_mode\n[ProxyList]\n${type} 127.0.0.1 ${stack.ports[listener]}\n`,
    )
    // Without proxy_dns curl looks localhost up by itself, and the proxy gets the address.
    const args = ['-q', '-f', file, ...fetchArgs(url)]
    const { stdout } = await counted(stack, listener, () => succeed('proxychains4', args))
    expectWhole(stdout)
  })

  it.each(['socks', 'client'] as const)(
    'curl by socks5 to %s, the name looked up by the gateway',
    async (listener) => {
      const { stack, url } = clients
      const file = stack.pki.file(`proxychains-dns-${listener}.conf`)
      await writeFile(
        file,
        `strict_chain\nproxy_dns\n[ProxyList]\nsocks5 127.0.0.1 ${stack.ports[listener]}\n`,
      )
      const args = ['-q', '-f', file, ...fetchArgs(url.replace('localhost', FAR_NAME))]
      expectWhole((await counted(stack, listener, () => succeed('proxychains4', args))).stdout)
    },
  )
})

describe.skipIf(isMissing('socksify', 'curl'))(
  "dante-client's socksify (needs dante-client and curl)",
  () => {
    it.each([
      { version: 'socks_v4', listener: 'socks', host: '127.0.0.1' },
      { version: 'socks_v5', listener: 'socks', host: '127.0.0.1' },
      { version: 'socks_v5', listener: 'socks', host: FAR_NAME },
      { version: 'socks_v5', listener: 'client', host: FAR_NAME },
    ] as const)('curl by $version to $listener, $host', async ({ version, listener, host }) => {
      const { stack, url } = clients
      const file = stack.pki.file(`dante-${version}-${listener}-${host}.conf`)
      const route = [
        'route {',
        `  from: 0.0.0.0/0 to: 0.0.0.0/0 via: 127.0.0.1 port = ${stack.ports[listener]}`,
        `  proxyprotocol: ${version}`,
        '  command: connect',
        '  protocol: tcp',
        '  method: none',
        '}',
      ]
      await writeFile(file, `logoutput: stderr\nresolveprotocol: fake\n${route.join('\n')}\n`)
      const env = { SOCKS_CONF: file, SOCKS_AUTOADD_LANROUTES: 'no', SOCKS_DISABLE_THREADLOCK: '1' }
      const fetch = fetchArgs(url.replace('localhost', host))
      const { stdout } = await counted(stack, listener, () => succeed('socksify', fetch, { env }))
      expectWhole(stdout)
    })
  },
)

const lacksPySocks =
  process.env['SIGHTLINE_NO_SKIPS'] !== '1' &&
  spawnSync(PYTHON, ['-c', 'import socks'], { env: plainEnvironment() }).status !== 0

describe.skipIf(lacksPySocks)('PySocks (needs python3-socks)', () => {
  const python = (...lines: string[]) =>
    succeed(PYTHON, ['-I', '-c', ['import socks, sys', ...lines].join('\n')])

  it.each([
    { type: 'SOCKS4', listener: 'socks', remote: true },
    { type: 'SOCKS5', listener: 'socks', remote: false },
    { type: 'SOCKS5', listener: 'socks', remote: true },
    { type: 'HTTP', listener: 'http', remote: true },
    { type: 'SOCKS5', listener: 'client', remote: true },
    { type: 'HTTP', listener: 'client', remote: true },
  ] as const)('a stream by $type to $listener, far name: $remote', async ({ type, listener, remote }) => {
    const { stack, origin } = clients
    const { stdout } = await counted(stack, listener, () =>
      python(
        's = socks.socksocket()',
        `s.set_proxy(socks.${type}, '127.0.0.1', ${stack.ports[listener]}, rdns=${remote ? 'True' : 'False'})`,
        's.settimeout(10)',
        `s.connect(('${remote ? FAR_NAME : 'localhost'}', ${origin.port}))`,
        `s.sendall(b'GET /bytes/200000 HTTP/1.0\\r\\n\\r\\n')`,
        'f = s.makefile("rb")',
        'head = b"".join(iter(f.readline, b"\\r\\n"))',
        'sys.stdout.buffer.write(f.read())',
      ),
    )
    expectWhole(stdout)
  })

  describe('datagrams', () => {
    const socks = new SocksGateway()

    it('by UDP ASSOCIATE', async () => {
      const port = await socks.start()
      await using echo = await UdpPeer.echo()
      const { stdout } = await python(
        'import socket',
        's = socks.socksocket(socket.AF_INET, socket.SOCK_DGRAM)',
        `s.set_proxy(socks.SOCKS5, '127.0.0.1', ${port})`,
        's.settimeout(10)',
        'for n in range(20):',
        `    s.sendto(b'question %d' % n, ('127.0.0.1', ${echo.port}))`,
        '    answer, source = s.recvfrom(2000)',
        '    sys.stdout.write("%s from %s:%d\\n" % (answer.decode(), source[0], source[1]))',
      )
      const lines = Array.from({ length: 20 }, (_, n) => `question ${n} from 127.0.0.1:${echo.port}\n`)
      expect(stdout.toString()).toBe(lines.join(''))
      const bytes = lines.map((_, n) => `question ${n}`).join('').length
      await eventually(async () => expect(await socks.ended('ok')).toBe(1))
      expect(await socks.count('relayed_bytes_total', { direction: 'up' })).toBe(bytes)
      expect(await socks.count('relayed_bytes_total', { direction: 'down' })).toBe(bytes)
    })
  })
})
