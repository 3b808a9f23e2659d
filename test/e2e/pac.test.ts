// What an HTTP listener says when it is asked for itself: proxy.pac and the page of settings, for what runs. Programs
// then use just that, and the gateway's counters prove it.
import { X509Certificate } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import http2 from 'node:http2'
import os from 'node:os'
import vm from 'node:vm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { eventually } from '../support/eventually.ts'
import { sum } from '../support/metrics.ts'
import { startOrigin, type Origin } from '../support/origin.ts'
import { isMissing, run, succeed } from '../support/programs.ts'
import { LOOPBACK_EGRESS, startStack, type Stack } from '../support/stacks.ts'
import { tempDir } from '../support/temp-dir.ts'
import { reach } from '../support/through.ts'
import { Wire } from '../support/wire.ts'

let stack: Stack
let origin: Origin
beforeAll(async () => {
  stack = await startStack({ resolve: async () => ['127.0.0.1'] })
  origin = await startOrigin()
})
afterAll(async () => {
  await origin.close()
  await stack[Symbol.asyncDispose]()
})

interface Answer {
  readonly status: number
  readonly head: string
  readonly body: string
}

async function answerOn(wire: Wire, head: string): Promise<Answer> {
  wire.send(`${head}\r\nConnection: close\r\n\r\n`)
  await wire.ended()
  const [start = '', ...rest] = wire.text.split('\r\n\r\n')
  wire.socket.destroy()
  return { status: Number(start.split(' ')[1]), head: start, body: rest.join('\r\n\r\n') }
}

/** Asks a listener of the stack for itself. */
async function get(
  listener: Parameters<typeof reach>[1],
  path: string,
  host?: string,
  method = 'GET',
): Promise<Answer> {
  const authority = host ?? `127.0.0.1:${stack.ports[listener]}`
  return answerOn(await reach(stack, listener), `${method} ${path} HTTP/1.1\r\nHost: ${authority}`)
}

function findProxy(script: string, url: string): string {
  const sandbox = vm.createContext({})
  vm.runInContext(script, sandbox)
  return String(
    vm.runInContext(
      `FindProxyForURL(${JSON.stringify(url)}, ${JSON.stringify(new URL(url).hostname)})`,
      sandbox,
    ),
  )
}

describe('proxy.pac', () => {
  it('names what listens: the one that was asked first, the encrypted one last', async () => {
    const { http, https, mixed, socks } = stack.ports
    const { status, head, body } = await get('http', '/proxy.pac')
    expect(status).toBe(200)
    expect(head).toMatch(/^content-type: application\/x-ns-proxy-autoconfig$/im)
    const h = '127.0.0.1'
    expect(findProxy(body, 'http://example.org/')).toBe(
      `PROXY ${h}:${http}; PROXY ${h}:${mixed}; SOCKS5 ${h}:${socks}; SOCKS5 ${h}:${mixed}; HTTPS ${h}:${https}`,
    )
    expect(findProxy((await get('mixed', '/proxy.pac')).body, 'http://example.org/')).toMatch(
      `PROXY ${h}:${mixed}; PROXY ${h}:${http};`,
    )
  })

  it('names only the encrypted one to who asks by it, over HTTP/1.1 and HTTP/2', async () => {
    const host = `localhost:${stack.ports.https}`
    const { body } = await get('https', '/proxy.pac', host)
    expect(findProxy(body, 'http://example.org/')).toBe(`HTTPS ${host}`)
    const session = http2.connect(`https://${host}`, { ca: stack.authority })
    try {
      const stream = session.request({ ':path': '/proxy.pac' })
      const status = new Promise((resolve) => stream.on('response', (headers) => resolve(headers[':status'])))
      expect(await stream.setEncoding('utf8').reduce((text: string, chunk: string) => text + chunk, '')).toBe(
        body,
      )
      expect(await status).toBe(200)
    } finally {
      session.destroy()
    }
  })

  it('sends loopback where the rules let it, and leaves it where they do not or a tunnel leads elsewhere', async () => {
    expect(findProxy((await get('http', '/proxy.pac')).body, 'http://localhost/')).toMatch(/^PROXY /)
    expect(findProxy((await get('client', '/proxy.pac')).body, 'http://localhost/')).toBe('DIRECT')
    expect(findProxy((await get('http', '/proxy.pac', '192.0.2.9:3128')).body, 'http://localhost/')).toBe(
      'DIRECT',
    )
    await using other = await listening([{ type: 'http', listen: '127.0.0.1:0' }], {})
    const answer = await other.get(0, '/proxy.pac')
    expect(findProxy(answer.body, 'http://localhost/')).toBe('DIRECT')
  })

  it('uses the address and port that the client used, which may be mapped, and leaves out what it cannot reach', async () => {
    await using other = await listening([
      { type: 'http', listen: '0.0.0.0:0', allowOpenProxy: true },
      { type: 'socks', listen: '0.0.0.0:0', allowOpenProxy: true },
      { type: 'socks', listen: '127.0.0.1:0' },
    ])
    const { body } = await other.get(0, '/proxy.pac', '192.0.2.7:8080')
    expect(findProxy(body, 'http://example.org/')).toBe(
      `PROXY 192.0.2.7:8080; SOCKS5 192.0.2.7:${other.port(1)}`,
    )
    const v6 = await other.get(0, '/proxy.pac', '[2001:db8::7]:8080')
    expect(findProxy(v6.body, 'http://example.org/')).toBe('PROXY [2001:db8::7]:8080')
  })

  it('never names a listener with another outbound, nor SOCKS where a password is wanted', async () => {
    await using dir = await tempDir()
    await writeFile(dir.file('users'), '')
    await using other = await listening(
      [
        { type: 'http', listen: '127.0.0.1:0' },
        { type: 'http', listen: '127.0.0.1:0', outbound: 'other' },
        { type: 'mixed', listen: '127.0.0.1:0', auth: { users: dir.file('users') } },
      ],
      LOOPBACK_EGRESS,
      { other: { type: 'socks', url: 'socks5h://ann:hunter2-canary@127.0.0.1:1' } },
    )
    const { body } = await other.get(0, '/proxy.pac')
    expect(findProxy(body, 'http://example.org/')).toBe(
      `PROXY 127.0.0.1:${other.port(0)}; PROXY 127.0.0.1:${other.port(2)}`,
    )
    const page = await other.get(1, '/')
    expect(page.body).not.toContain('hunter2-canary')
    expect(page.body).not.toContain(String(other.port(0)))
    const asked = await other.get(2, '/')
    expect([
      asked.status,
      asked.body.includes('a user name and password'),
      asked.body.includes(dir.path),
    ]).toEqual([200, true, false])
  })
})

interface Listening extends AsyncDisposable {
  port(index: number): number
  get(index: number, path: string, host?: string): Promise<Answer>
}

async function listening(
  inbounds: ConfigInput['inbounds'],
  egress: ConfigInput['egress'] = LOOPBACK_EGRESS,
  outbounds: ConfigInput['outbounds'] = {},
): Promise<Listening> {
  const config = configSchema.parse({ inbounds, egress, outbounds })
  const gateway = await Gateway.start({ config, observer: new Metrics('test').observer })
  const port = (index: number): number => gateway.addresses[index]?.address.port ?? 0
  return {
    port,
    get: async (index, path, host = `127.0.0.1:${port(index)}`) =>
      answerOn(await Wire.connect(port(index)), `GET ${path} HTTP/1.1\r\nHost: ${host}`),
    [Symbol.asyncDispose]: async () => gateway.destroy(),
  }
}

describe('who is answered', () => {
  it.each([
    ['/', 'GET', undefined],
    ['/', 'HEAD', undefined],
    ['/proxy.pac', 'HEAD', undefined],
    ['/', 'GET', 'localhost'],
    ['/', 'GET', 'LOCALHOST.:1'],
    ['/', 'GET', '[::1]:3128'],
    ['/', 'GET', '198.51.100.1'],
    ['/', 'GET', `${os.hostname()}:3128`],
  ])('%s by %s with Host %s', async (path, method, host) => {
    const { status, head, body } = await get('http', path, host, method)
    expect(status).toBe(200)
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1])
    expect(length).toBeGreaterThan(0)
    expect(Buffer.byteLength(body)).toBe(method === 'HEAD' ? 0 : length)
  })

  it.each([
    ['a name that is not its own', '/proxy.pac', 'rebound.example:3128', 'GET'],
    ['a name below localhost', '/', 'a.localhost', 'GET'],
    ['a Host that is none', '/', 'a b', 'GET'],
    ['a Host with markup', '/', '"><b>', 'GET'],
    ['no Host', '/', '', 'GET'],
    ['another path', '/wpad.dat', undefined, 'GET'],
    ['a path with a query', '/?x', undefined, 'GET'],
    ['a longer path', '/proxy.pac/', undefined, 'GET'],
    ['another method', '/', undefined, 'POST'],
    ['a path of the admin', '/metrics', undefined, 'GET'],
  ])('not %s', async (_, path, host, method) => {
    const { status, head, body } = await get('http', path, host, method)
    expect(status).toBe(404)
    expect(head).toMatch(/^sightline-error: not-found$/im)
    expect(body).toMatch(/^error: there is nothing at this path/)
  })

  it('a name of its certificate, on TLS', async () => {
    await using gateway = await listening([
      {
        type: 'http',
        listen: '127.0.0.1:0',
        tls: { certificate: stack.pki.file('gateway.crt'), key: stack.pki.file('gateway.key') },
      },
    ])
    const wire = async (): Promise<Wire> => Wire.connectTls(gateway.port(0), { ca: stack.authority })
    const names = new X509Certificate(await readFile(stack.pki.file('gateway.crt'))).subjectAltName ?? ''
    const own = [...names.matchAll(/DNS:([^,]+)/g)].map(([, name = '']) => name)
    expect(own.length).toBeGreaterThan(0)
    for (const name of own)
      expect((await answerOn(await wire(), `GET / HTTP/1.1\r\nHost: ${name}`)).status).toBe(200)
    expect((await answerOn(await wire(), 'GET / HTTP/1.1\r\nHost: rebound.example')).status).toBe(404)
  })

  it('nobody from an address that is not listed', async () => {
    await using gateway = await listening([
      { type: 'http', listen: '127.0.0.1:0', auth: { sources: ['192.0.2.0/24'] } },
    ])
    // The reset may come before or after this end takes the connection for open.
    const outcome = await Wire.connect(gateway.port(0)).then(
      async (wire) => {
        wire.send('GET /proxy.pac HTTP/1.1\r\nHost: localhost\r\n\r\n')
        return `${await wire.ended()}, ${wire.received.length} bytes`
      },
      (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? 'reset, 0 bytes' : error.code),
    )
    expect(outcome).toBe('reset, 0 bytes')
  })

  it('with a body is refused before it could be read as a request', async () => {
    const wire = await reach(stack, 'http')
    wire.send('GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello')
    await wire.untilText('not-found')
    expect(wire.text).toMatch(/^HTTP\/1\.1 404/)
    wire.socket.destroy()
  })

  it('keeps its connection for a request to be forwarded', async () => {
    const wire = await reach(stack, 'http')
    wire.send('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await wire.untilText('</html>\n')
    wire.send(`GET http://origin.test:${origin.port}/ HTTP/1.1\r\nHost: origin.test:${origin.port}\r\n\r\n`)
    await wire.untilText('hello\n')
    expect(wire.text.match(/^HTTP\/1\.1 \d+/gm)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200'])
    wire.socket.destroy()
  })
})

describe('the page', () => {
  it('runs nothing, is framed by nobody, and is kept by nobody', async () => {
    const { head, body } = await get('http', '/')
    expect(head).toMatch(
      /^content-security-policy: default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/im,
    )
    expect(head).toMatch(/^x-content-type-options: nosniff$/im)
    expect(head).toMatch(/^cache-control: no-store$/im)
    expect(head).toMatch(/^cross-origin-resource-policy: same-origin$/im)
    expect(body).not.toMatch(
      /<script|<form|<iframe|\son\w+=|\ssrc=|https?:\/\/(?!127\.0\.0\.1:|example\.org)\w/i,
    )
  })

  it('says what each way hides and what it does not', async () => {
    expect((await get('http', '/')).body).toContain('it encrypts nothing')
    const secure = (await get('https', '/')).body
    expect(secure).toContain('is encrypted (TLS 1.3)')
    expect(secure).not.toContain('it encrypts nothing')
    expect((await get('client', '/')).body).toContain('through an encrypted tunnel to a gateway')
    for (const listener of ['http', 'https', 'client'] as const) {
      expect((await get(listener, '/')).body).not.toMatch(
        /anonym|untraceable|military|unblockable|\btotal\b/i,
      )
    }
  })

  it('holds nothing of files, rules or the machine', async () => {
    const { body } = await get('http', '/')
    for (const secret of [stack.pki.path, '.crt', '.key', 'allow', os.userInfo().homedir])
      expect(body).not.toContain(secret)
  })
})

/** The boxes of a page, as a person copies them. */
async function boxes(listener: Parameters<typeof reach>[1], host?: string): Promise<string[]> {
  const { body } = await get(listener, '/', host)
  return [...body.matchAll(/<pre>([^<]*)<\/pre>/g)].map(([, text = '']) =>
    text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code))),
  )
}

async function streams(mode: string): Promise<number> {
  return sum(await stack.gatewayMetrics(), 'sightline_streams_total', { mode })
}

describe.skipIf(isMissing('curl'))('what the page says, as typed (needs curl)', () => {
  it('works in curl, by each line of the page', async () => {
    const env = { CURL_CA_BUNDLE: stack.pki.file('ca.crt') }
    for (const [listener, host, modes] of [
      ['http', undefined, ['http-proxy', 'socks-proxy']],
      ['https', `localhost:${stack.ports.https}`, ['https-proxy', 'socks-proxy']],
      ['client', undefined, ['tunnel', 'tunnel']],
    ] as const) {
      const lines = (await boxes(listener, host)).filter((text) => text.startsWith('curl '))
      expect(lines).toHaveLength(2)
      for (const [index, line] of lines.entries()) {
        const mode = modes[index] ?? ''
        const before = await streams(mode)
        const typed = `${line.replace('https://example.org/', `http://site.test:${origin.port}/`)} --silent --show-error --proxy-cacert ${stack.pki.file('ca.crt')}`
        const { stdout } = await succeed('sh', ['-c', typed], { env })
        expect([line, stdout.toString()]).toEqual([line, 'hello\n'])
        await eventually(async () => expect([line, (await streams(mode)) - before]).toEqual([line, 1]))
      }
    }
  })

  it('works by the environment variables', async () => {
    const lines = (await boxes('http')).find((text) => text.startsWith('export '))
    const before = await streams('http-proxy')
    const { stdout } = await succeed('sh', ['-c', `${lines}\ncurl -sS http://site.test:${origin.port}/`])
    expect(stdout.toString()).toBe('hello\n')
    await eventually(async () => expect((await streams('http-proxy')) - before).toBe(1))
  })

  it.skipIf(isMissing('git'))('works in git (needs git)', async () => {
    await using home = await tempDir()
    const line = (await boxes('http')).find((text) => text.startsWith('git config --global http.proxy'))
    const before = await streams('http-proxy')
    const env = { HOME: home.path, GIT_TERMINAL_PROMPT: '0' }
    await run('sh', ['-c', `${line} && git ls-remote http://site.test:${origin.port}/x.git`], { env })
    await eventually(async () => expect((await streams('http-proxy')) - before).toBeGreaterThan(0))
  })
})

describe.skipIf(isMissing('chromium'))('proxy.pac in a browser (needs chromium)', () => {
  it('leads Chromium through the proxy, and nowhere else', async () => {
    await using profile = await tempDir()
    const pac = `http://127.0.0.1:${stack.ports.http}/proxy.pac`
    const line = (await boxes('http')).find((text) => text.includes('--proxy-pac-url=')) ?? ''
    expect(line).toContain(pac)
    const flags = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-dev-shm-usage',
    ]
    flags.push(
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      `--user-data-dir=${profile.path}`,
    )
    const [program = '', ...options] = line.split(' ')
    const before = await streams('http-proxy')
    const seen = origin.requests.length
    const { stdout } = await succeed(
      program,
      [...flags, ...options, '--dump-dom', `http://site.test:${origin.port}/page`],
      { timeoutMs: 60_000 },
    )
    expect(stdout.toString()).toContain('hello')
    expect(origin.requests.slice(seen).map(({ url }) => url)).toContain('/page')
    await eventually(async () => expect(await streams('http-proxy')).toBeGreaterThan(before))
  }, 60_000)
})
