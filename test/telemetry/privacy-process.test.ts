// The privacy contract (DESIGN section 3) of a whole process, by all that it writes on both streams: at each log level, over
// UDP, through a balancer's PROXY header, on a reload that fails, and in its last words when it crashes. A leak that is planted
// is found, so that the search is known to see these streams.
import { writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { crashLine } from '../../src/cli/crash.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import { hashPassword } from '../../src/gateway/users.ts'
import { eventually } from '../support/eventually.ts'
import { get, serve, type SightlineProcess } from '../support/gateway-process.ts'
import { sum } from '../support/metrics.ts'
import { SocksUdpClient, UdpPeer } from '../support/socks-udp-client.ts'
import { tempDir } from '../support/temp-dir.ts'
import { startRawOrigin, Wire } from '../support/wire.ts'
import { findMarkers, newMarker } from './markers.ts'

const FIELDS = [
  'user',
  'password',
  'wrong',
  'denied',
  'unknown',
  'path',
  'header',
  'body',
  'answer',
  'payload',
  'garbage',
] as const
type Markers = Record<(typeof FIELDS)[number], string>

/** What each level lets through of a life in which something of every level happens. */
const LOGGED = {
  debug: ['debug', 'info', 'warn', 'error'],
  info: ['info', 'warn', 'error'],
  warn: ['warn', 'error'],
  error: ['error'],
  silent: [],
} as const
type Level = keyof typeof LOGGED

/** Addresses that no other text of the process has: a balancer names one, datagrams go to the other. */
const NAMED_ADDRESS = '203.0.113.77'
const UDP_ADDRESS = '127.99.8.7'

/** A gateway with a marker in every field, and what it writes. */
interface Watched extends AsyncDisposable {
  readonly gateway: SightlineProcess
  readonly markers: Readonly<Record<string, string>>
  /** Does what can be done to it at this level; gives all that was written and answered meanwhile. */
  live(level: Level): Promise<{ readonly written: string; readonly metrics: string }>
}

/** `before`: as of `serve`. */
async function watch(before?: string[]): Promise<Watched> {
  const markers = Object.fromEntries(FIELDS.map((field) => [field, newMarker()])) as Markers
  const origin = await startRawOrigin()
  const dir = await tempDir()
  const users = dir.file('users')
  const goodUsers = `${markers.user}:${await hashPassword(markers.password)}\n`
  await writeFile(users, goodUsers)
  const config = (level: Level): ConfigInput => ({
    inbounds: [
      { type: 'http', listen: '127.0.0.1:0', auth: { users } },
      { type: 'socks', listen: '127.0.0.1:0' },
      { type: 'mixed', listen: '127.0.0.1:0', auth: { users }, proxyProtocol: ['127.0.0.1'] },
    ],
    egress: { allow: ['127.0.0.0/8'], deny: [`${markers.denied}.example:*`] },
    log: { level },
    admin: { listen: '127.0.0.1:0' },
    dns: { servers: ['127.0.0.1:1'], timeoutMs: 100 },
  })
  const file = dir.file('gateway.json')
  const gateway = await serve(file, config('info'), before)
  const reload = async (pattern: RegExp): Promise<void> => {
    const count = (): number => [...gateway.out, ...gateway.err].filter((line) => pattern.test(line)).length
    const already = count()
    gateway.kill('SIGHUP')
    await eventually(() => expect(count()).toBeGreaterThan(already))
  }
  return {
    gateway,
    markers: { ...markers, NAMED_ADDRESS, UDP_ADDRESS },
    live: async (level) => {
      await writeFile(file, JSON.stringify(config(level)))
      await reload(/^reloaded /)
      const from = gateway.err.length
      const index = origin.wires.length
      const said = [
        ...(await refusals(gateway, markers)),
        ...(await exchange(gateway, markers, origin.port, () => origin.wire(index))),
      ]
      await datagrams(gateway, markers)
      const metrics = (await get(gateway.port('admin'), '/metrics')).body
      said.push(metrics, (await get(gateway.port('admin'), `/${markers.path}`)).body)
      await writeFile(users, `${markers.user} is no line of a users file\n`)
      await reload(/nothing was changed/)
      await writeFile(users, goodUsers)
      return { written: [...gateway.out, ...gateway.err.slice(from), ...said].join('\n'), metrics }
    },
    [Symbol.asyncDispose]: async () => {
      await gateway[Symbol.asyncDispose]()
      await origin[Symbol.asyncDispose]()
      await dir[Symbol.asyncDispose]()
    },
  }
}

function credentials({ user }: Markers, password: string): string {
  return `Proxy-Authorization: Basic ${Buffer.from(`${user}:${password}`).toString('base64')}\r\n`
}

/** Every way to be turned away; gives what was said. */
async function refusals(gateway: SightlineProcess, markers: Markers): Promise<string[]> {
  const good = credentials(markers, markers.password)
  const connect = (host: string, shown: string): string =>
    `CONNECT ${host} HTTP/1.1\r\nHost: x\r\n${shown}\r\n`
  const ways: ReadonlyArray<readonly [listener: string, text: string]> = [
    ['http', connect(`${markers.denied}.example:80`, good)],
    ['http', connect(`${markers.unknown}.example:80`, good)],
    ['http', connect('127.0.0.1:1', good)],
    ['http', connect('127.0.0.1:1', credentials(markers, markers.wrong))],
    ['http', `${markers.garbage}\r\n\r\n`],
    ['mixed', `PROXY TCP4 ${NAMED_ADDRESS} 127.0.0.1 4000 80\r\n${connect('127.0.0.1:1', good)}`],
    ['mixed', `PROXY TCP4 ${markers.garbage}\r\n`],
  ]
  const said: string[] = []
  for (const [listener, text] of ways) {
    using wire = await Wire.connect(gateway.port(listener))
    wire.send(text)
    await wire.ended()
    said.push(wire.text)
  }
  return said
}

/** A whole request, and the head of its answer. */
async function exchange(
  gateway: SightlineProcess,
  markers: Markers,
  port: number,
  atOrigin: () => Promise<Wire>,
): Promise<string[]> {
  using wire = await Wire.connect(gateway.port('http'))
  const { path, header, body, answer } = markers
  wire.send(
    `POST http://127.0.0.1:${port}/${path} HTTP/1.1\r\nHost: x\r\n${credentials(markers, markers.password)}X-A: ${header}\r\n` +
      `Connection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  const site = await atOrigin()
  await site.untilText(body)
  site.send(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`)
  site.socket.end()
  await wire.untilText(answer)
  return [wire.text.slice(0, wire.text.indexOf(answer))]
}

/** One that is answered, and one that is refused. */
async function datagrams(gateway: SightlineProcess, markers: Markers): Promise<void> {
  await using echo = await UdpPeer.echo(UDP_ADDRESS)
  await using client = await SocksUdpClient.associate(gateway.port('socks'))
  await client.send(`${markers.denied}.example`, 53, markers.payload)
  expect(await client.exchange(UDP_ADDRESS, echo.port, markers.payload)).toBe(markers.payload)
}

const CODES = [
  'destination-denied',
  'name-lookup-failed',
  'connection-refused',
  'auth-failed',
  'bad-request',
  'proxy-header-invalid',
]

/** Runs a statement in the process on SIGUSR2, as if it stood in it; PLANTED is a marker. */
function onSignal(statement: string, planted: string): string[] {
  const source = `process.on('SIGUSR2', () => { ${statement} })`
  return [
    'env',
    `NODE_OPTIONS=--import=data:text/javascript,${encodeURIComponent(source)}`,
    `PLANTED=${planted}`,
  ]
}

describe('nothing that a client says stands in what a process writes', () => {
  it('at any log level; and a leak that is planted is found', { timeout: 60_000 }, async () => {
    const planted = newMarker()
    await using watched = await watch(onSignal(`console.error('looking up ' + process.env.PLANTED)`, planted))
    for (const level of Object.keys(LOGGED) as Level[]) {
      const { written, metrics } = await watched.live(level)
      for (const code of CODES)
        expect(sum(metrics, 'sightline_refusals_total', { code }), code).toBeGreaterThan(0)
      expect(sum(metrics, 'sightline_datagrams_dropped_total')).toBeGreaterThan(0)
      const levels = new Set([...written.matchAll(/^\{"level":"(\w+)"/gm)].map(([, found]) => found))
      expect(levels, level).toEqual(new Set(LOGGED[level]))
      expect(findMarkers(written, { ...watched.markers, planted }), level).toEqual([])
    }
    watched.gateway.kill('SIGUSR2')
    const line = await watched.gateway.errLine(/^looking up /)
    expect(findMarkers(line, { planted })).toEqual(['planted'])
  })
})

describe.concurrent('the last words of a crash', () => {
  const ERROR = `Object.assign(new Error('connect to ' + process.env.PLANTED), { code: 'ECONNREFUSED', address: process.env.PLANTED })`

  it.each([
    ['an error that is thrown', `throw ${ERROR}`],
    ['a promise that nobody waits for', `void Promise.reject(${ERROR})`],
    ['something thrown that is no error', 'throw process.env.PLANTED'],
  ])('hold a place in the code and no message: %s', { timeout: 40_000 }, async (_what, statement) => {
    const planted = newMarker()
    await using dir = await tempDir()
    const config: ConfigInput = { inbounds: [{ type: 'http', listen: '127.0.0.1:0' }] }
    await using gateway = await serve(dir.file('gateway.json'), config, onSignal(statement, planted))
    gateway.kill('SIGUSR2')
    expect(await gateway.exited).toBe(1)
    const written = [...gateway.out, ...gateway.err].join('\n')
    expect(/^\{"level":"fatal".*$/m.exec(written)?.[0]).toContain('crashed; this is a defect of sightline')
    expect(findMarkers(written, { planted })).toEqual([])
  })

  it('name the code and the frames', () => {
    const error = Object.assign(new Error('to 192.0.2.1\n    at fake (192.0.2.1:80:1)'), { code: 'EPIPE' })
    const line = JSON.parse(crashLine(error, new Date(0))) as { code: string; at: string[]; time: string }
    expect(line).toMatchObject({ code: 'EPIPE', name: 'Error', time: '1970-01-01T00:00:00.000Z' })
    expect(line.at[0]).toMatch(/privacy-process\.test\.ts:\d+:\d+/)
    expect(JSON.stringify(line)).not.toContain('192.0.2.1')
    expect(crashLine(Object.assign(new Error(''), { code: 'not a code' }), new Date(0))).not.toContain(
      'not a code',
    )
  })
})
