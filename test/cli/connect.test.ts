// sightline connect as a person meets it: what its options may be, what it prints for programs, and the line at the
// bottom of a terminal.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectConfig } from '../../src/cli/connect-config.ts'
import { connectCommand } from '../../src/cli/connect.ts'
import { RateMeter, statusLine } from '../../src/cli/connect-status.ts'
import { BottomLine } from '../../src/cli/bottom-line.ts'
import type { ServiceIo } from '../../src/cli/io.ts'
import { GatewayError } from '../../src/errors.ts'
import { eventually } from '../support/eventually.ts'
import { run, isMissing } from '../support/programs.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { startRawOrigin } from '../support/wire.ts'
import { type } from './terminal.ts'

const URL = 'wss://gateway.example.org:8443/tunnel'
const FACTS = { protocol: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', group: 'X25519MLKEM768' }
const UP = { state: 'up', facts: FACTS, gateway: 'gateway.example.org:8443' } as const
const TRAFFIC = { connections: 1, streams: 3, receivedBytes: 0, sentBytes: 0 }
const RATES = { receivedPerSecond: 1_234_567, sentPerSecond: 999 }

describe('its options', () => {
  it.each<[string, string[], number, RegExp]>([
    ['no gateway', [], 2, /^error: no gateway given/],
    ['no authority', [URL], 2, /^error: no authority given/],
    [
      'one that is none',
      ['http://x', '--authority', 'a'],
      1,
      /^error: URL: .*wss:\/\/host:8443\/tunnel \(found "http:\/\/x"\)/,
    ],
    ['a second that is none', [URL, 'x', '--authority', 'a'], 1, /^error: URL: .* \(found "x"\)/],
    ['too many', [...Array.from({ length: 9 }, () => URL), '--authority', 'a'], 1, /^error: URL: /],
    [
      'a number of connections that is none',
      [URL, '--authority', 'a', '--connections', 'many'],
      1,
      /^error: --connections: .*auto.* \(found "many"\)/,
    ],
    [
      'a proxy of another kind',
      [URL, '--authority', 'a', '--proxy', 'socks5://x:1'],
      1,
      /^error: --proxy: not the address of such a proxy/,
    ],
    [
      'a password for no proxy',
      [URL, '--authority', 'a', '--proxy-password-file', 'p'],
      1,
      /^error: --proxy-password-file: goes with --proxy/,
    ],
    [
      'no proxy in the environment',
      [URL, '--authority', 'a', '--proxy', 'env'],
      1,
      /^error: --proxy env: neither/,
    ],
  ])('%s', async (_what, words, exit, err) => {
    const typed = await type(['connect', ...words])
    expect([typed.exit, typed.out]).toEqual([exit, ''])
    expect(typed.err).toMatch(err)
  })

  it('take a proxy from the environment when asked to, and only then', () => {
    const env = { HTTPS_PROXY: 'proxy.example:3128' }
    const proxyOf = (proxy?: string): unknown => {
      const { outbounds } = connectConfig([URL], { authority: 'a', proxy }, env)
      return outbounds['gateway']?.type === 'tunnel' ? outbounds['gateway'].proxy : 'no tunnel'
    }
    expect(proxyOf('env')).toEqual({ url: 'http://proxy.example:3128' })
    expect(proxyOf()).toBe(undefined)
  })

  it('refuse this client itself as its proxy', () => {
    const env = { https_proxy: 'http://127.0.0.1:1081' }
    expect(() => connectConfig([URL], { authority: 'a', proxy: 'env' }, env)).toThrow(/this client itself/)
  })

  it('repeat no password', async () => {
    const words = ['connect', URL, '--authority', 'a', '--proxy', 'http://name:s3cret@x:1/path']
    const { err, exit } = await type(words)
    expect([exit, err.includes('s3cret')]).toEqual([1, false])
  })
})

describe('--print-env', () => {
  it.skipIf(isMissing('bash'))('is read by a shell, and names the client that runs', async () => {
    await using listener = await startRawOrigin()
    const { out, exit } = await type(['connect', '--print-env', '--listen', `127.0.0.1:${listener.port}`])
    expect(exit).toBe(0)
    const { stdout } = await run('bash', ['-c', `${out}\nenv`])
    const set = stdout
      .toString()
      .split('\n')
      .filter((line) => /_proxy=/i.test(line))
    const url = `http://127.0.0.1:${listener.port}`
    const names = ['http_proxy', 'https_proxy', 'all_proxy'].flatMap((name) => [name, name.toUpperCase()])
    const own = ['no_proxy', 'NO_PROXY'].map((name) => `${name}=localhost,127.0.0.1,::1`)
    expect(set.toSorted()).toEqual([...names.map((name) => `${name}=${url}`), ...own].toSorted())
  })

  it('says that nothing listens there', async () => {
    const gone = await startRawOrigin()
    await gone[Symbol.asyncDispose]()
    const { out, err, exit } = await type(['connect', '--print-env', '--listen', `127.0.0.1:${gone.port}`])
    expect([out, exit]).toEqual(['', 1])
    expect(err).toMatch(/^error: nothing listens on 127\.0\.0\.1:\d+; hint: start it first/)
  })
})

describe('the status line', () => {
  it('says state, gateway, TLS, streams and rates, and no more than fits', () => {
    const at = (columns: number): string => statusLine(UP, TRAFFIC, RATES, columns).text
    expect(at(200)).toBe(
      'up  gateway.example.org:8443  TLSv1.3 X25519MLKEM768 TLS_AES_256_GCM_SHA384  3 streams on 1 connection  in 1.2 MB/s, out 999 B/s',
    )
    expect(at(100)).toBe(
      'up  gateway.example.org:8443  TLSv1.3 X25519MLKEM768  3 streams  in 1.2 MB/s, out 999 B/s',
    )
    expect(at(70)).toBe('up  gateway.example.org:8443  3 streams  in 1.2 MB/s, out 999 B/s')
    expect(at(50)).toBe('up  3 streams  in 1.2 MB/s, out 999 B/s')
    expect(at(10)).toBe('up')
  })

  it('says why the tunnel is down, and what it waits for', () => {
    const error = new GatewayError('certificate-revoked')
    const line = (state: 'down' | 'refused'): string => statusLine({ state, error }, TRAFFIC, RATES, 80).text
    expect(line('down')).toBe('down  certificate-revoked, trying again')
    expect(line('refused')).toBe('refused  certificate-revoked, waiting for a new certificate')
  })

  it('reads rates off two looks', () => {
    const meter = new RateMeter()
    expect(meter.look(TRAFFIC, 1_000)).toEqual({ receivedPerSecond: 0, sentPerSecond: 0 })
    const later = { ...TRAFFIC, receivedBytes: 3_000, sentBytes: 500 }
    expect(meter.look(later, 3_000)).toEqual({ receivedPerSecond: 1_500, sentPerSecond: 250 })
    expect(meter.look(TRAFFIC, 4_000)).toEqual({ receivedPerSecond: 0, sentPerSecond: 0 })
  })
})

describe('the bottom of a terminal', () => {
  const draw = (env: Record<string, string>): string => {
    let screen = ''
    const terminal = { columns: () => 12, write: (text: string) => void (screen += text) }
    const bottom = new BottomLine(terminal, env)
    const io = bottom.under({ out: (line: string) => void (screen += `${line}\n`) } as ServiceIo)
    io.out('before')
    bottom.show('up  0123456789', 'green')
    io.out('above')
    bottom.end()
    io.out('after')
    return screen
  }

  it('is drawn again below what is written, is no wider than the terminal, and goes at the end', () => {
    const clear = '\r\u001B[2K'
    const line = `${clear}\u001B[32mup\u001B[0m  0123456`
    expect(draw({})).toBe(`before\n${line}${clear}above\n${line}${clear}after\n`)
  })

  it('has no colour with NO_COLOR', () => {
    expect(draw({ NO_COLOR: '1' })).not.toContain('\u001B[3')
    expect(draw({ NO_COLOR: '' })).toContain('\u001B[32m')
  })
})

describe('a client at a terminal', () => {
  let stack: Stack
  beforeAll(async () => void (stack = await startStack()))
  afterAll(() => stack[Symbol.asyncDispose]())

  it('shows settings and state, and clears its line when it ends', async () => {
    let screen = ''
    const said: string[] = []
    const signals = new Map<string, () => void>()
    const io: ServiceIo = {
      out: (line) => void said.push(line),
      err: (line) => void said.push(line),
      env: { NO_COLOR: '1' },
      isTty: true,
      readStdin: async () => '',
      log: { write: () => {}, lost: 0 },
      onSignal: (signal, handler) => void signals.set(signal, handler),
      terminal: { columns: () => 200, write: (text) => void (screen += text) },
    }
    const { pki, ports } = stack
    const files = [
      '--certificate',
      pki.file('client.crt'),
      '--key',
      pki.file('client.key'),
      '--authority',
      pki.file('ca.crt'),
    ]
    const url = `wss://localhost:${ports.tunnel}/tunnel`
    const ended = connectCommand([url, ...files, '--listen', '127.0.0.1:0'], io)
    await eventually(() => expect(screen).toContain('0 streams on 1 connection'))
    const all = said.join('\n')
    const [, port] = /^ready client 127\.0\.0\.1:(\d+)$/m.exec(all) ?? []
    expect(all).toMatch(/^tunnel up: localhost:\d+, TLSv1\.3, TLS_\w+, key exchange X25519MLKEM768$/m)
    for (const line of [
      `curl --proxy socks5h://127.0.0.1:${port} https://example.org/`,
      `git config --global http.proxy http://127.0.0.1:${port}`,
      `ssh -o ProxyCommand='nc -X connect -x 127.0.0.1:${port} %h %p' user@example.org`,
      `chromium --proxy-server=http://127.0.0.1:${port}`,
      `eval "$(sightline connect --print-env --listen 127.0.0.1:${port})"`,
    ]) {
      expect(
        said
          .join('\n')
          .split('\n')
          .map((text) => text.trim()),
      ).toContain(line)
    }
    signals.get('SIGINT')?.()
    expect(await ended).toBe(0)
    expect(screen.endsWith('\r\u001B[2K')).toBe(true)
  })
})
