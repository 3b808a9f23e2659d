// The privacy contract (DESIGN section 3): whatever clients put into whatever field, in each mode, and however their
// requests end, nothing of it stands in the log (at debug), in /metrics, in the admin answers, or in a refusal. Four
// leaks that are planted at the end must each be found, or the search finds nothing.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import http2 from 'node:http2'
import net from 'node:net'
import { text as textOf } from 'node:stream/consumers'
import tls from 'node:tls'
import { Counter } from 'prom-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { get } from '../support/gateway-process.ts'
import { sum } from '../support/metrics.ts'
import { SocksUdpClient, UdpPeer } from '../support/socks-udp-client.ts'
import { encodeAsk } from '../support/through.ts'
import { startRawOrigin, Wire, type RawOrigin } from '../support/wire.ts'
import { findMarkers, formsOf, newMarker } from './markers.ts'
import { ORIGIN_ADDRESS, startWatchedStack, type WatchedOptions, type WatchedStack } from './watched-stack.ts'

const FIELDS = [
  'user',
  'password',
  'wrongUser',
  'wrongPassword',
  'socks4User',
  'certificate',
  'revoked',
  'name',
  'unknownName',
  'deniedName',
  'path',
  'query',
  'headerName',
  'headerValue',
  'body',
  'payload',
  'answer',
  'garbage',
  'adminPath',
  'upgradePath',
] as const
type Markers = Record<(typeof FIELDS)[number], string>

/** The client's address, which no other process of a test run has. */
const SOURCE_ADDRESS = '127.88.7.6'
const ADDRESSES = { sourceAddress: SOURCE_ADDRESS, originAddress: ORIGIN_ADDRESS }

const newMarkers = (): Markers => Object.fromEntries(FIELDS.map((field) => [field, newMarker()])) as Markers
const host = (marker: string): string => `${marker}.example`

let origin: RawOrigin
beforeAll(async () => {
  origin = await startRawOrigin(undefined, ORIGIN_ADDRESS)
})
afterAll(() => origin[Symbol.asyncDispose]())

function start(markers: Markers, leak?: WatchedOptions['leak']): Promise<WatchedStack> {
  return startWatchedStack({
    certificateName: markers.certificate,
    revokedName: markers.revoked,
    user: markers.user,
    password: markers.password,
    known: [host(markers.name)],
    denied: `${host(markers.deniedName)}:*`,
    ...(leak !== undefined && { leak }),
  })
}

type Listener = 'http' | 'https' | 'mixed' | 'socks' | 'client' | 'revoked'

/** Connects from the address that is a marker. */
async function reach(stack: WatchedStack, listener: Listener): Promise<Wire> {
  const socket = net.connect({
    host: '127.0.0.1',
    port: stack.ports[listener],
    localAddress: SOURCE_ADDRESS,
    allowHalfOpen: true,
  })
  await once(socket, 'connect')
  if (listener !== 'https') return new Wire(socket)
  const secured = tls.connect({ socket, servername: 'localhost', ca: stack.pki.authority.certificate })
  await once(secured, 'secureConnect')
  return new Wire(secured, socket)
}

/** Sends, ends, and gives what was answered. */
async function exchange(
  stack: WatchedStack,
  listener: Listener,
  bytes: Uint8Array | string,
): Promise<string> {
  using wire = await reach(stack, listener)
  wire.send(bytes)
  await wire.ended()
  return wire.text
}

const basic = (name: string, password: string): string =>
  `Proxy-Authorization: Basic ${Buffer.from(`${name}:${password}`).toString('base64')}\r\n`

const socks5Password = (name: string, password: string): Buffer =>
  Buffer.from([5, 1, 2, 1, name.length, ...Buffer.from(name), password.length, ...Buffer.from(password)])

/** A whole request by absolute-form, answered by the origin and ended by both. */
async function forward(
  stack: WatchedStack,
  listener: Listener,
  markers: Markers,
  credentials: string,
): Promise<void> {
  const before = origin.wires.length
  using wire = await reach(stack, listener)
  wire.send(
    `POST http://${host(markers.name)}:${origin.port}/${markers.path}?${markers.query} HTTP/1.1\r\nHost: x\r\n${credentials}` +
      `X-${markers.headerName}: ${markers.headerValue}\r\nConnection: close\r\nContent-Length: ${markers.body.length}\r\n\r\n${markers.body}`,
  )
  const site = await origin.wire(before)
  await site.untilText(markers.body)
  site.send(
    `HTTP/1.1 200 OK\r\nConnection: close\r\nX-Answer: ${markers.answer}\r\nContent-Length: ${markers.answer.length}\r\n\r\n${markers.answer}`,
  )
  site.socket.end()
  await wire.untilText(`\r\n\r\n${markers.answer}`)
  wire.socket.end()
  await wire.ended()
}

/** A byte stream that carries something of its own, and is broken off by the client. */
async function tunnelled(
  stack: WatchedStack,
  listener: Listener,
  markers: Markers,
  ask: Uint8Array,
): Promise<void> {
  const before = origin.wires.length
  using wire = await reach(stack, listener)
  wire.send(ask)
  const site = await origin.wire(before)
  wire.send(markers.payload)
  await site.untilText(markers.payload)
  site.send(markers.answer)
  await wire.untilText(markers.answer)
  wire.reset()
  await site.ended()
}

/** A request and a byte stream over HTTP/2, and one that is refused; gives what was told of that. */
async function overHttp2(stack: WatchedStack, markers: Markers): Promise<string> {
  const socket = tls.connect({
    socket: net.connect({ host: '127.0.0.1', port: stack.ports.https, localAddress: SOURCE_ADDRESS }),
    servername: 'localhost',
    ca: stack.pki.authority.certificate,
    ALPNProtocols: ['h2'],
  })
  const session = http2.connect('https://localhost', { createConnection: () => socket })
  const credentials = `Basic ${Buffer.from(`${markers.user}:${markers.password}`).toString('base64')}`
  const open = (head: http2.OutgoingHttpHeaders): http2.ClientHttp2Stream =>
    session.request({ 'proxy-authorization': credentials, ...head }, { endStream: false })
  const authority = `${host(markers.name)}:${origin.port}`
  try {
    let before = origin.wires.length
    const request = open({
      ':method': 'POST',
      ':scheme': 'http',
      ':authority': authority,
      ':path': `/${markers.path}?${markers.query}`,
      [`x-${markers.headerName}`]: markers.headerValue,
    })
    request.end(markers.body)
    const site = await origin.wire(before)
    await site.untilText(markers.body)
    site.send(`HTTP/1.1 200 OK\r\nConnection: close\r\nX-Answer: ${markers.answer}\r\n\r\n${markers.answer}`)
    site.socket.end()
    expect(await textOf(request)).toBe(markers.answer)
    before = origin.wires.length
    const stream = open({ ':method': 'CONNECT', ':authority': authority })
    stream.on('error', () => {})
    stream.write(markers.payload)
    const far = await origin.wire(before)
    await far.untilText(markers.payload)
    stream.close(http2.constants.NGHTTP2_CANCEL)
    await far.ended()
    const refused = open({ ':method': 'CONNECT', ':authority': `${host(markers.deniedName)}:80` })
    const [head] = (await once(refused, 'response')) as [http2.IncomingHttpHeaders]
    return JSON.stringify(head) + (await textOf(refused))
  } finally {
    session.destroy()
  }
}

/** Datagrams through the SOCKS proxy and through the tunnel: one that is answered, one that is refused. */
async function datagrams(stack: WatchedStack, markers: Markers): Promise<void> {
  await using echo = await UdpPeer.echo(ORIGIN_ADDRESS)
  await using client = await SocksUdpClient.associate(stack.ports.client)
  await client.send(host(markers.deniedName), 53, markers.payload)
  await client.send(host(markers.unknownName), 53, markers.payload)
  expect(await client.exchange(host(markers.name), echo.port, markers.payload)).toBe(markers.payload)
}

/** Everything that can happen, in every mode. Gives what clients were told where they were refused. */
async function traffic(stack: WatchedStack, markers: Markers): Promise<string[]> {
  const good = basic(markers.user, markers.password)
  const wrong = basic(markers.wrongUser, markers.wrongPassword)
  const refusals: string[] = []
  const refused = async (listener: Listener, bytes: Uint8Array | string): Promise<void> =>
    void refusals.push(await exchange(stack, listener, bytes))
  const connect = (name: string, port: number, credentials: string): string =>
    `CONNECT ${name}:${port} HTTP/1.1\r\nHost: ${name}\r\n${credentials}\r\n`
  const [name, unknown, denied] = [host(markers.name), host(markers.unknownName), host(markers.deniedName)]
  for (const listener of ['http', 'https', 'mixed', 'client'] as const) {
    const credentials = listener === 'client' ? '' : good
    await forward(stack, listener, markers, credentials)
    await tunnelled(stack, listener, markers, Buffer.from(connect(name, origin.port, credentials)))
    await refused(listener, connect(unknown, 80, credentials))
    await refused(listener, connect(denied, 80, credentials))
    await refused(listener, connect(name, 1, credentials))
    await refused(
      listener,
      `GET http://${denied}/${markers.path} HTTP/1.1\r\nHost: ${denied}\r\nConnection: close\r\n${credentials}\r\n`,
    )
    await refused(listener, `${markers.garbage} ${markers.garbage}\r\n\r\n`)
    await refused(
      listener,
      `GET /${markers.garbage} HTTP/1.1\r\nHost: ${markers.garbage}\r\nConnection: close\r\n\r\n`,
    )
    if (listener === 'http' || listener === 'https')
      await refused(listener, connect(name, origin.port, wrong))
    if (listener !== 'client') await refused(listener, connect(name, origin.port, ''))
  }
  for (const listener of ['socks', 'mixed', 'client'] as const) {
    const greeting =
      listener === 'client' ? Buffer.from([5, 1, 0]) : socks5Password(markers.user, markers.password)
    const ask = (target: string, port: number): Buffer =>
      Buffer.concat([greeting, encodeAsk('socks5', target, port)])
    await tunnelled(stack, listener, markers, ask(name, origin.port))
    await refused(listener, ask(unknown, 80))
    await refused(listener, ask(denied, 80))
    await refused(listener, ask(ORIGIN_ADDRESS, 1))
    await refused(
      listener,
      Buffer.concat([Buffer.from([4, 1, 0, 80, 127, 66, 5, 4]), Buffer.from(`${markers.socks4User}\0`)]),
    )
    await refused(listener, Buffer.from([5, markers.garbage.length, ...Buffer.from(markers.garbage)]))
    if (listener === 'socks')
      await refused(listener, socks5Password(markers.wrongUser, markers.wrongPassword))
  }
  refusals.push(await overHttp2(stack, markers))
  await datagrams(stack, markers)
  await refused('revoked', connect(name, 80, ''))
  for (const { certificate, key } of [stack.pki.client, stack.pki.revoked]) {
    using wire = await Wire.connectTls(stack.ports.tunnel, {
      ca: stack.pki.authority.certificate,
      cert: certificate,
      key,
    })
    wire.send(
      `GET /${markers.upgradePath} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    )
    await wire.ended()
    refusals.push(wire.text)
  }
  for (const target of ['/metrics', '/healthz', '/readyz', `/${markers.adminPath}`]) {
    refusals.push((await get(stack.ports.admin, target)).body)
  }
  return refusals
}

/** All that the gateway wrote, once every stream has been told of. */
async function allWritten(stack: WatchedStack): Promise<string> {
  return eventually(async () => {
    const written = await stack.written()
    expect(sum(written, 'sightline_streams')).toBe(0)
    return written
  })
}

describe('nothing that a client says stands in what a gateway writes', () => {
  it('in any mode, whatever became of it', { timeout: 30_000 }, async () => {
    const markers = newMarkers()
    await using stack = await start(markers)
    const refusals = await traffic(stack, markers)
    const written = await allWritten(stack)

    // It has been written about, or there was nothing to find: each mode, each way to fail.
    for (const mode of ['http-proxy', 'socks-proxy', 'https-proxy', 'tunnel', 'tunnel-client']) {
      expect(sum(written, 'sightline_streams_total', { mode })).toBeGreaterThan(0)
      expect(sum(written, 'sightline_refusals_total', { mode })).toBeGreaterThan(0)
    }
    for (const code of [
      'auth-failed',
      'auth-required',
      'destination-denied',
      'name-not-found',
      'connection-refused',
      'bad-request',
      'certificate-revoked',
    ]) {
      expect(sum(written, 'sightline_refusals_total', { code })).toBeGreaterThan(0)
      expect(written).toContain(`"code":"${code}"`)
    }
    expect(written).toMatch(/"level":"debug".*"identity":"[0-9a-f]{10}"/)
    expect(refusals.length).toBeGreaterThan(50)

    expect(findMarkers(written, { ...markers, ...ADDRESSES })).toEqual([])
    expect(findMarkers(refusals.join('\n'), { ...markers, ...ADDRESSES })).toEqual([])

    // Who moved how much is kept apart from all that, and names nothing but who.
    stack.gateway.destroy()
    const kept = (await readFile(stack.usageStore)).toString('latin1')
    expect(findMarkers(kept, { ...markers, ...ADDRESSES })).toEqual(['user', 'certificate'])
  })
})

describe('a leak that is planted is found', () => {
  const LEAKS: ReadonlyArray<readonly [what: string, field: string, leak: WatchedOptions['leak']]> = [
    ['a destination in the log', 'name', (log) => ({ lookedUp: (name) => log.info('looking up', { name }) })],
    [
      'a user in the log',
      'user',
      (log) => ({
        observer: { streamClosed: ({ identity }) => log.info('closed', { who: identity?.name ?? '' }) },
      }),
    ],
    [
      "a certificate's name in the log, in base64 within something longer",
      'certificate',
      (log) => ({
        observer: {
          streamClosed: ({ identity }) =>
            log.info('closed', { who: Buffer.from(`for ${identity?.name}`).toString('base64') }),
        },
      }),
    ],
    [
      "a user in a metric's label",
      'user',
      (_log, metrics) => {
        const counter = new Counter({
          name: 'sightline_leak_total',
          help: 'leak',
          labelNames: ['who'],
          registers: [metrics.registry],
        })
        return { observer: { streamClosed: ({ identity }) => counter.inc({ who: identity?.name ?? '' }) } }
      },
    ],
  ]

  it.each(LEAKS)('%s', async (_what, field, leak) => {
    const markers = newMarkers()
    await using stack = await start(markers, leak)
    await forward(stack, 'http', markers, basic(markers.user, markers.password))
    await forward(stack, 'client', markers, '')
    expect(findMarkers(await allWritten(stack), { ...markers, ...ADDRESSES })).toContain(field)
  })

  it.each([0, 1, 2, 3, 4, 5])('at each alignment of base64: %i bytes before it', (before) => {
    const secret = newMarker()
    for (const after of ['', 'x', 'xy', 'xyz']) {
      const text = Buffer.from(`${'x'.repeat(before)}${secret}${after}`).toString('base64')
      expect(findMarkers(`{"v":"${text}"}`, { secret })).toEqual(['secret'])
    }
    expect(findMarkers(Buffer.from(newMarker()).toString('base64'), { secret })).toEqual([])
    expect(Math.min(...formsOf(secret).map((form) => form.length))).toBeGreaterThanOrEqual(12)
  })
})
