// The PROXY header of a balancer: believed from listed ones alone, on every listener, before TLS and behind it; the
// source that it names is the one that `sources` and the limits see. With a balancer of our own, and with HAProxy.
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import net from 'node:net'
import tls from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { eventually } from '../support/eventually.ts'
import { samples, sum } from '../support/metrics.ts'
import { isMissing, start } from '../support/programs.ts'
import { clientConfig, everyInbound, LOOPBACK_EGRESS, type ListenerName } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { ask, connectHead, isGranted, reach, WAYS, type Way } from '../support/through.ts'
import { startRawOrigin, Wire } from '../support/wire.ts'
import type { Stack } from '../support/stacks.ts'

const LISTENERS = ['http', 'socks', 'https', 'mixed', 'tunnel'] as const
type Listener = (typeof LISTENERS)[number]

const SIGNATURE = '0d0a0d0a000d0a515549540a'
const HEADERS = {
  v1: Buffer.from('PROXY TCP4 203.0.113.9 192.0.2.1 5000 443\r\n'),
  'v1 over IPv6': Buffer.from('PROXY TCP6 2001:db8::9 2001:db8::1 5000 443\r\n'),
  v2: Buffer.from(`${SIGNATURE}2111000ccb007109c0000201138801bb`, 'hex'),
  'v2 with TLVs': Buffer.from(`${SIGNATURE}21110013cb007109c0000201138801bb04000401020304`, 'hex'),
} as const
const ELSEWHERE = Buffer.from('PROXY TCP4 198.51.100.1 192.0.2.1 5000 443\r\n')
const LOCAL = Buffer.from(`${SIGNATURE}20000000`, 'hex')
const UNKNOWN = Buffer.from('PROXY UNKNOWN\r\n')

interface Behind extends AsyncDisposable {
  readonly ports: Readonly<Record<Listener, number>>
  metrics(): Promise<string>
}

let pki: TempDir
beforeAll(async () => {
  pki = await tempDir()
  await ensureDevelopmentPki(pki.path)
})
afterAll(() => pki[Symbol.asyncDispose]())

/** A gateway whose listeners believe 127.0.0.1, and serve 203.0.113.0/24, 2001:db8::/32 and 127.0.0.2. */
async function startBehind(
  limits: ConfigInput['limits'] = {},
  sources = ['203.0.113.0/24', '2001:db8::/32', '127.0.0.2'],
): Promise<Behind> {
  const metrics = new Metrics('test')
  const inbounds = everyInbound(pki).map((inbound) => ({
    ...inbound,
    auth: { sources },
    proxyProtocol: ['127.0.0.1'],
  }))
  const gateway = await Gateway.start({
    config: configSchema.parse({ inbounds, limits, egress: LOOPBACK_EGRESS }),
    observer: metrics.observer,
  })
  const ports = Object.fromEntries(
    LISTENERS.map((name, index) => [name, gateway.addresses[index]?.address.port ?? 0]),
  )
  return {
    ports: ports as Record<Listener, number>,
    metrics: () => metrics.registry.metrics(),
    [Symbol.asyncDispose]: async () => gateway.destroy(),
  }
}

/** A balancer that says `header` and then passes everything on. */
async function startBalancer(
  port: number,
  header: Uint8Array,
  piece = header.length,
): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const far = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
    for (const socket of [client, far]) sockets.add(socket.on('error', () => {}))
    client.on('close', () => far.destroy())
    far.on('close', () => client.destroy())
    // The first bytes of the client leave with the header's last ones, in one segment.
    client.once('data', (first) => {
      client.pause()
      for (let from = 0; from + piece < header.length; from += piece)
        far.write(header.subarray(from, from + piece))
      const last = header.subarray(Math.floor((header.length - 1) / piece) * piece)
      far.write(Buffer.concat([last, first]))
      client.pipe(far)
      far.pipe(client)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as net.AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A tunnel client whose gateway is at `port`. */
async function startClient(port: number): Promise<Gateway> {
  return Gateway.start({
    config: configSchema.parse(clientConfig(pki, port)),
    observer: new Metrics('test').observer,
  })
}

/** As `open` of a stack, at another port. */
async function openAt(port: number, way: Way, destination: number, early?: Uint8Array): Promise<Wire> {
  const stack = {
    ports: Object.fromEntries([...LISTENERS, 'client'].map((name) => [name, port])) as Record<
      ListenerName,
      number
    >,
    authority: await readFile(pki.file('ca.crt'), 'utf8'),
  }
  const wire = await reach(stack as Stack, way.listener)
  const answer = await ask(wire, way, '127.0.0.1', destination, early)
  if (!isGranted(way, answer)) throw new Error(`${way.name}: refused with ${answer.reply}`)
  return wire
}

/** There and back through one way, with bytes on the heels of the request: what the origin read, and what the client. */
async function exchangeAt(port: number, way: Way): Promise<string[]> {
  await using origin = await startRawOrigin()
  using client = await openAt(port, way, origin.port, Buffer.from('early '))
  client.socket.end('late')
  const atOrigin = await origin.wire()
  await atOrigin.ended()
  atOrigin.socket.end('answer')
  await client.ended()
  return [atOrigin.text, client.text]
}
const EXCHANGED = ['early late', 'answer']

async function connectFrom(localAddress: string, port: number): Promise<Wire> {
  const socket = net.connect({ host: '127.0.0.1', port, localAddress, allowHalfOpen: true })
  await once(socket, 'connect')
  return new Wire(socket)
}

/** Resolves with the codes that were refused, once there is one. */
function refused(behind: Behind): Promise<string[]> {
  return eventually(async () => {
    const codes = samples(await behind.metrics(), 'sightline_refusals_total').map(
      ({ labels }) => labels['code'] ?? '',
    )
    if (codes.length === 0) throw new Error('nothing was refused')
    return codes
  })
}

const PROXY_WAYS = WAYS.filter(({ listener }) => listener !== 'client')
const TUNNEL_WAYS = WAYS.filter(({ listener }) => listener === 'client')

describe.each(Object.entries(HEADERS))('behind a balancer that speaks %s', (_version, header) => {
  it.each(PROXY_WAYS)('$name', async (way) => {
    await using behind = await startBehind()
    await using balancer = await startBalancer(behind.ports[way.listener as Listener], header)
    expect(await exchangeAt(balancer.port, way)).toEqual(EXCHANGED)
  })

  it.each(PROXY_WAYS)('$name, the header byte by byte', async (way) => {
    await using behind = await startBehind()
    await using balancer = await startBalancer(behind.ports[way.listener as Listener], header, 1)
    expect(await exchangeAt(balancer.port, way)).toEqual(EXCHANGED)
  })

  it.each(TUNNEL_WAYS)('$name', async (way) => {
    await using behind = await startBehind()
    await using balancer = await startBalancer(behind.ports.tunnel, header)
    const client = await startClient(balancer.port)
    try {
      expect(await exchangeAt(client.addresses[0]?.address.port ?? 0, way)).toEqual(EXCHANGED)
    } finally {
      client.destroy()
    }
  })
})

describe('the source that a header names', () => {
  it.each(LISTENERS)('is the one that `sources` sees: %s', async (listener) => {
    await using behind = await startBehind()
    using client = await Wire.connect(behind.ports[listener])
    client.send(ELSEWHERE)
    expect(await client.ended()).toBe('reset')
    expect(await refused(behind)).toEqual(['source-denied'])
  })

  it.each([
    ['LOCAL', LOCAL],
    ['UNKNOWN', UNKNOWN],
  ])("is the balancer's own with %s", async (_name, header) => {
    const way = PROXY_WAYS[0]!
    await using denied = await startBehind()
    using client = await Wire.connect(denied.ports.http)
    client.send(header)
    expect(await client.ended()).toBe('reset')
    await using served = await startBehind({}, ['127.0.0.1'])
    await using balancer = await startBalancer(served.ports.http, header)
    expect(await exchangeAt(balancer.port, way)).toEqual(EXCHANGED)
  })

  it('is the one that limits see', async () => {
    await using behind = await startBehind({ connectionsPerSource: 1 })
    using first = await Wire.connect(behind.ports.http)
    first.send(Buffer.concat([HEADERS.v1, Buffer.from('GET http://x/ HTTP/1.1\r\n')]))
    using second = await Wire.connect(behind.ports.http)
    await eventually(async () => expect(sum(await behind.metrics(), 'sightline_connections', {})).toBe(2))
    second.send(HEADERS.v2)
    await second.ended()
    expect(second.text).toMatch(/^HTTP\/1\.1 429 .*\r\nsightline-error: too-many-from-source\r\n/s)
    using other = await Wire.connect(behind.ports.http)
    other.send(
      Buffer.concat([
        Buffer.from('PROXY TCP4 203.0.113.10 192.0.2.1 1 2\r\n'),
        Buffer.from('GET /x HTTP/1.1\r\nHost: x\r\n\r\n'),
      ]),
    )
    await other.untilText('HTTP/1.1 404')
  })
})

describe('a peer that is not listed', () => {
  it('is served as it is, without a header', async () => {
    await using behind = await startBehind()
    await using origin = await startRawOrigin((wire) => wire.socket.end('hello'))
    using client = await connectFrom('127.0.0.2', behind.ports.http)
    client.send(connectHead('127.0.0.1', origin.port))
    await client.untilText('hello')
  })

  it('is not believed: its header is a bad request', async () => {
    await using behind = await startBehind()
    using client = await connectFrom('127.0.0.2', behind.ports.http)
    client.send(HEADERS.v1)
    await client.ended()
    expect(client.text).toMatch(/^HTTP\/1\.1 400 .*\r\nsightline-error: bad-request\r\n/s)
  })

  it('does not become another source by it', async () => {
    await using behind = await startBehind()
    using client = new Wire(
      net.connect({ host: '127.0.0.1', port: behind.ports.http, localAddress: '127.0.0.3' }),
    )
    expect(await client.ended()).toBe('reset')
    expect(await refused(behind)).toEqual(['source-denied'])
  })
})

describe('a balancer', () => {
  it.each([
    ['http', /^HTTP\/1\.1 400 .*\r\nsightline-error: proxy-header-invalid\r\n/s],
    ['socks', /^$/],
    ['https', /^$/],
    ['mixed', /^$/],
    ['tunnel', /^$/],
  ] as const)('that sends none is refused: %s', async (listener, answer) => {
    await using behind = await startBehind()
    using client = await Wire.connect(behind.ports[listener])
    client.send('CONNECT 127.0.0.1:1 HTTP/1.1\r\n')
    await client.ended()
    expect(client.text).toMatch(answer)
    expect(await refused(behind)).toEqual(['proxy-header-invalid'])
  })

  it('that sends half of one and then nothing is refused in time', async () => {
    await using behind = await startBehind({ handshakeMs: 300 })
    using client = await Wire.connect(behind.ports.https)
    client.send(HEADERS.v2.subarray(0, 14))
    await client.ended()
    expect(await refused(behind)).toEqual(['proxy-header-invalid'])
  })

  it('that ends in the middle of one is refused', async () => {
    await using behind = await startBehind()
    using client = await Wire.connect(behind.ports.https)
    client.socket.end(HEADERS.v2.subarray(0, 14))
    await client.ended()
    expect(await refused(behind)).toEqual(['proxy-header-invalid'])
  })

  it('that only looks whether the port is open is no offender', async () => {
    await using behind = await startBehind()
    using client = await Wire.connect(behind.ports.https)
    client.socket.end()
    await client.ended()
    await eventually(async () => expect(sum(await behind.metrics(), 'sightline_connections', {})).toBe(0))
    expect(sum(await behind.metrics(), 'sightline_refusals_total')).toBe(0)
  })
})

describe('HAProxy', () => {
  /** A free port: HAProxy cannot say which one it took. */
  async function freePort(): Promise<number> {
    const server = net.createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as net.AddressInfo
    server.close()
    await once(server, 'close')
    return port
  }

  async function startHaproxy(
    send: string,
    ports: Behind['ports'],
  ): Promise<{ ports: Behind['ports'] } & AsyncDisposable> {
    const directory = await tempDir()
    const own: Record<string, number> = Object.fromEntries(
      await Promise.all(LISTENERS.map(async (name) => [name, await freePort()])),
    )
    const proxies = LISTENERS.map(
      (name) =>
        `listen ${name}\n  bind 127.0.0.1:${own[name]}\n  server gateway 127.0.0.1:${ports[name]} ${send}\n`,
    )
    const settings =
      'defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n'
    await writeFile(directory.file('haproxy.cfg'), settings + proxies.join(''))
    const child = start('haproxy', ['-db', '-f', directory.file('haproxy.cfg')])
    const exited = once(child, 'close')
    await eventually(async () => {
      const socket = net.connect({ host: '127.0.0.1', port: own['tunnel'] ?? 0 })
      await once(socket, 'connect')
      socket.destroy()
    })
    return {
      ports: own as Record<Listener, number>,
      [Symbol.asyncDispose]: async () => {
        child.kill('SIGKILL')
        await exited
        await directory[Symbol.asyncDispose]()
      },
    }
  }

  const sends = ['send-proxy', 'send-proxy-v2', 'send-proxy-v2 proxy-v2-options unique-id,crc32c']
  it.skipIf(isMissing('haproxy')).each(sends)(
    'in front of every listener with %s (needs haproxy)',
    async (send) => {
      await using behind = await startBehind({}, ['127.0.0.5'])
      await using haproxy = await startHaproxy(send, behind.ports)
      await using origin = await startRawOrigin((wire) => wire.socket.end('hello'))
      const head = connectHead('127.0.0.1', origin.port)
      using plain = await connectFrom('127.0.0.5', haproxy.ports.http)
      plain.send(head)
      await plain.untilText('hello')
      using mixed = await connectFrom('127.0.0.5', haproxy.ports.mixed)
      mixed.send(head)
      await mixed.untilText('hello')
      using socks = await connectFrom('127.0.0.5', haproxy.ports.socks)
      socks.send(Buffer.from([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, origin.port >> 8, origin.port & 255]))
      await socks.untilText('hello')
      const ca = await readFile(pki.file('ca.crt'))
      const carrier = net.connect({ host: '127.0.0.1', port: haproxy.ports.https, localAddress: '127.0.0.5' })
      using secured = new Wire(tls.connect({ socket: carrier, ca, servername: 'localhost' }))
      secured.send(head)
      await secured.untilText('hello')
      using denied = await connectFrom('127.0.0.6', haproxy.ports.http)
      denied.send(head)
      await denied.ended()
      expect(denied.text).toBe('')
    },
  )

  it.skipIf(isMissing('haproxy')).each(sends)(
    'in front of the tunnel with %s (needs haproxy)',
    async (send) => {
      await using behind = await startBehind({}, ['127.0.0.1'])
      await using haproxy = await startHaproxy(send, behind.ports)
      const client = await startClient(haproxy.ports.tunnel)
      try {
        for (const way of TUNNEL_WAYS)
          expect(await exchangeAt(client.addresses[0]?.address.port ?? 0, way)).toEqual(EXCHANGED)
      } finally {
        client.destroy()
      }
    },
  )
})
