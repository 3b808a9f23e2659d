// The tunnel behind what stands between a client and its gateway: an HTTP proxy that must be asked by CONNECT, on TLS and
// with a password or without, and balancers that pass TCP on (HAProxy stands in proxy-protocol.test.ts).
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { freePort, startProgram } from '../support/chain.ts'
import { sightline } from '../support/gateway-process.ts'
import { isMissing } from '../support/programs.ts'
import { clientConfig, startStack, type Stack } from '../support/stacks.ts'
import { TunnelScene } from '../support/tunnel-scene.ts'
import { connectHead } from '../support/through.ts'
import { startRawOrigin, Wire, type RawOrigin } from '../support/wire.ts'

const STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so'
const hasStreams = process.env['SIGHTLINE_NO_SKIPS'] === '1' || existsSync(STREAM_MODULE)
const PASSWORD = 'secret:wörd/@#'

let stack: Stack
/** Another gateway, as the proxy: no gateway serves as a way to itself. */
let proxies: Stack
let guarded: Stack
let origin: RawOrigin
beforeAll(async () => {
  origin = await startRawOrigin((wire) => wire.socket.end('hello'))
  stack = await startStack()
  proxies = await startStack()
  const users = stack.pki.file('users')
  const added = await sightline(['user', 'add', 'ann', '--file', users], { input: `${PASSWORD}\n` })
  if (added.code !== 0) throw new Error(added.stderr)
  await writeFile(stack.pki.file('password'), `${PASSWORD}\n`)
  guarded = await startStack({ users })
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
  await proxies[Symbol.asyncDispose]()
  await guarded[Symbol.asyncDispose]()
  await origin[Symbol.asyncDispose]()
})

type Proxy = NonNullable<Extract<NonNullable<ConfigInput['outbounds']>[string], { type: 'tunnel' }>['proxy']>

/** What is told of a tunnel that is reached through `proxy`, and what a request gets by it, where it is up. */
async function fetchThrough(proxy: Proxy): Promise<{ text: string; states: string[] }> {
  const config = clientConfig(stack.pki, stack.ports.tunnel)
  const states: string[] = []
  const client = await Gateway.start({
    config: configSchema.parse({
      ...config,
      outbounds: { gateway: { ...config.outbounds?.['gateway'], proxy } },
    }),
    observer: new Metrics('test').observer,
    onTunnelState: (state) => states.push('error' in state ? state.error.code : state.state),
  })
  try {
    if (states.at(-1) !== 'up') return { text: '', states }
    using wire = await Wire.connect(client.addresses[0]?.address.port ?? 0)
    wire.send(connectHead('127.0.0.1', origin.port))
    await wire.ended()
    return { text: wire.text, states }
  } finally {
    client.destroy()
  }
}

describe('a tunnel through an HTTP proxy', () => {
  it('asks it for the gateway by CONNECT, and for nothing else', async () => {
    const { text, states } = await fetchThrough({ url: `http://127.0.0.1:${proxies.ports.http}` })
    expect(text).toMatch(/^HTTP\/1\.1 200 .*hello$/s)
    expect(states).toEqual(['connecting', 'up'])
  })

  it('shows it a name and a password', async () => {
    const url = `http://127.0.0.1:${guarded.ports.http}`
    const passwordFile = stack.pki.file('password')
    expect((await fetchThrough({ url, username: 'ann', passwordFile })).text).toMatch(/hello$/)
    const encoded = `http://ann:${encodeURIComponent(PASSWORD)}@127.0.0.1:${guarded.ports.http}`
    expect((await fetchThrough({ url: encoded })).text).toMatch(/hello$/)
    for (const wrong of [url, url.replace('//', '//ann:wrong@')]) {
      const { states } = await fetchThrough({ url: wrong })
      expect(states[1]).toBe('upstream-auth-failed')
    }
  })

  it('reaches it on TLS where it speaks that, and believes its own authority only', async () => {
    const url = `https://localhost:${proxies.ports.https}`
    const { text } = await fetchThrough({ url, authority: proxies.pki.file('ca.crt') })
    expect(text).toMatch(/hello$/)
    const { states } = await fetchThrough({ url, authority: guarded.pki.file('ca.crt') })
    expect(states[1]).toBe('upstream-untrusted')
  })

  it('does without nothing: a proxy that is away, refuses or is none is not gone around', async () => {
    const closed = await freePort()
    await using mute = await startRawOrigin((wire) => wire.socket.end('SSH-2.0-x\r\n'))
    await using refuses = await startRawOrigin((wire) =>
      wire.socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'),
    )
    for (const [port, code] of [
      [closed, 'connection-refused'],
      [mute.port, 'upstream-unavailable'],
      [refuses.port, 'destination-denied'],
    ] as const) {
      const { states } = await fetchThrough({ url: `http://127.0.0.1:${port}` })
      expect(states).toEqual(['connecting', code])
    }
  })

  it.skipIf(isMissing('tinyproxy'))('works with tinyproxy (needs tinyproxy)', async () => {
    const port = await freePort()
    const lines = [`Port ${port}`, 'Listen 127.0.0.1', 'Allow 127.0.0.1', 'BasicAuth ann right']
    await writeFile(
      stack.pki.file('tiny.conf'),
      `${lines.join('\n')}\nLogFile "${stack.pki.file('tiny.log')}"\n`,
    )
    await using _ = await startProgram('tinyproxy', ['-d', '-c', stack.pki.file('tiny.conf')], port)
    expect((await fetchThrough({ url: `http://ann:right@127.0.0.1:${port}` })).text).toMatch(/hello$/)
    expect((await fetchThrough({ url: `http://ann:wrong@127.0.0.1:${port}` })).states[1]).toBe(
      'upstream-auth-failed',
    )
  })
})

describe.skipIf(isMissing('nginx') || !hasStreams)(
  'a tunnel through nginx (needs nginx with its stream module)',
  () => {
    it.each([
      ['that passes TCP on', '', {}],
      ['with the PROXY protocol', 'proxy_protocol on;', { proxyProtocol: ['127.0.0.1'] }],
    ])('%s', async (_how, line, inbound) => {
      await using scene = await TunnelScene.make()
      const gateway = await scene.startGateway(0, inbound)
      const port = await freePort()
      const own = scene.pki.path
      await writeFile(
        scene.pki.file('nginx.conf'),
        `load_module ${STREAM_MODULE};
daemon off; pid ${own}/nginx.pid; error_log stderr; worker_processes 1; master_process off;
events { worker_connections 64; }
stream { server { listen 127.0.0.1:${port}; proxy_pass 127.0.0.1:${gateway.port}; ${line} } }
`,
      )
      await using _ = await startProgram(
        'nginx',
        ['-p', own, '-e', 'stderr', '-c', scene.pki.file('nginx.conf')],
        port,
      )
      const client = await scene.startClient([port])
      using wire = await client.open()
      const data = once(wire.socket, 'data')
      wire.send('through nginx')
      await data
      await wire.untilText('through nginx')
      expect(client.states).toEqual(['connecting', `up ${port}`])
    })
  },
)
