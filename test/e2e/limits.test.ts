// Every limit as a client meets it: a clear refusal in its own protocol, a counter, and room for the others. Slow and
// greedy peers in a small form; test/long/greedy.test.ts has the full one.
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { hashPassword } from '../../src/gateway/users.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { eventually } from '../support/eventually.ts'
import { sum } from '../support/metrics.ts'
import { bytesHash, startOrigin } from '../support/origin.ts'
import { clientConfig, startStack, type ListenerName, type Stack } from '../support/stacks.ts'
import { tempDir } from '../support/temp-dir.ts'
import { ask, connectHead, open, reach, WAYS } from '../support/through.ts'
import { startRawOrigin, Wire } from '../support/wire.ts'
import { createHash } from 'node:crypto'

const HTTP = WAYS.find(({ name }) => name === 'http-proxy')!
const TUNNEL = WAYS.find(({ name }) => name === 'tunnel by HTTP')!
const REQUEST = 'GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n'
const SOCKS5_CONNECT = Buffer.from('05010005010001 7f000001 0001'.replaceAll(' ', ''), 'hex')

/** Connects without waiting: it may be reset before it is told that it stands. */
function knock(port: number, localAddress = '127.0.0.1'): Wire {
  return new Wire(net.connect({ host: '127.0.0.1', port, localAddress, allowHalfOpen: true, noDelay: true }))
}

function refusals(stack: Stack, code: string): Promise<number> {
  return stack.gatewayMetrics().then((metrics) => sum(metrics, 'sightline_refusals_total', { code }))
}

function connections(stack: Stack): Promise<number> {
  return stack.gatewayMetrics().then((metrics) => sum(metrics, 'sightline_connections'))
}

/** `user` by HTTP Basic. */
function connectAs(user: string, port: number): string {
  const credentials = Buffer.from(`${user}:secret`).toString('base64')
  return connectHead('127.0.0.1', port).replace(
    '\r\n\r\n',
    `\r\nProxy-Authorization: Basic ${credentials}\r\n\r\n`,
  )
}

async function openAs(
  stack: Stack,
  user: string,
  port: number,
): Promise<{ wire: Wire; status: number; head: string }> {
  const wire = await reach(stack, 'http')
  wire.send(connectAs(user, port))
  const received = await wire.untilText('\r\n\r\n')
  const head = wire.take(received.indexOf('\r\n\r\n') + 4).toString('latin1')
  return { wire, status: Number(head.split(' ')[1]), head }
}

async function withUsers(limits: ConfigInput['limits'], run: (stack: Stack) => Promise<void>): Promise<void> {
  await using directory = await tempDir()
  const lines = ['alice', 'bob'].map(async (name) => `${name}:${await hashPassword('secret')}\n`)
  await writeFile(directory.file('users'), (await Promise.all(lines)).join(''))
  await using stack = await startStack({ limits, users: directory.file('users') })
  await run(stack)
}

/** What each listener answers a connection for which there is no room. */
const TURNED_AWAY: ReadonlyArray<
  readonly [name: string, listener: ListenerName, say: Buffer | string, answer: (status: number) => RegExp]
> = [
  [
    'HTTP',
    'http',
    REQUEST,
    (status) =>
      new RegExp(
        `^HTTP/1\\.1 ${status} .*\r\nsightline-error: CODE\r\nsightline-reference: [0-9a-f]{12}\r\n`,
        's',
      ),
  ],
  [
    'HTTP on mixed',
    'mixed',
    REQUEST,
    (status) => new RegExp(`^HTTP/1\\.1 ${status} .*\r\nsightline-error: CODE\r\n`, 's'),
  ],
  ['SOCKS5', 'socks', SOCKS5_CONNECT, () => /^\x05\x00\x05\x01\x00\x01\x00{6}$/],
  ['SOCKS5 on mixed', 'mixed', SOCKS5_CONNECT, () => /^\x05\x00\x05\x01\x00\x01\x00{6}$/],
  ['SOCKS4', 'socks', Buffer.from('040100017f00000100', 'hex'), () => /^\x00\x5b\x00{6}$/],
  ['TLS', 'https', Buffer.from('1603010200', 'hex'), () => /^$/],
  ['a tunnel', 'tunnel', Buffer.from('1603010200', 'hex'), () => /^$/],
]

describe.each([
  ['connections', { connections: 2 }, 'too-many-connections', 503, '127.0.0.1'],
  ['connectionsPerSource', { connectionsPerSource: 1 }, 'too-many-from-source', 429, '127.0.0.2'],
  ['newConnectionsPerSecond', { newConnectionsPerSecond: 2 }, 'rate-limited', 429, '127.0.0.1'],
  [
    'newConnectionsPerSourcePerSecond',
    { newConnectionsPerSourcePerSecond: 1 },
    'rate-limited',
    429,
    '127.0.0.2',
  ],
] as const)('%s', (_limit, limits, code, status, source) => {
  it.each(TURNED_AWAY)('is told by %s', async (_name, listener, say, answer) => {
    await using stack = await startStack({ limits })
    // The tunnel client has one already.
    using first = knock(stack.ports[listener], source)
    await once(first.socket, 'connect')
    await eventually(async () =>
      expect(sum(await stack.gatewayMetrics(), 'sightline_connections_total')).toBe(2),
    )
    using second = knock(stack.ports[listener], source)
    second.send(say)
    await second.ended()
    expect(second.text).toMatch(new RegExp(answer(status).source.replace('CODE', code), 's'))
    expect(await refusals(stack, code)).toBe(1)
  })

  it('leaves room again', async () => {
    await using stack = await startStack({ limits })
    await using origin = await startRawOrigin((wire) => wire.socket.end('hello'))
    const first = knock(stack.ports.http, source)
    await once(first.socket, 'connect')
    first.socket.destroy()
    await eventually(async () => {
      using again = knock(stack.ports.http, source)
      again.send(connectHead('127.0.0.1', origin.port))
      const text = await again.untilText('hello')
      expect(text.toString()).toMatch(/^HTTP\/1\.1 200 /)
    })
  })
})

describe('a limit of one source', () => {
  it.each([
    ['connectionsPerSource', { connectionsPerSource: 1 }],
    ['newConnectionsPerSourcePerSecond', { newConnectionsPerSourcePerSecond: 1 }],
  ])('is no limit of another: %s', async (_name, limits) => {
    await using stack = await startStack({ limits })
    for (let index = 2; index < 6; index += 1) {
      using client = knock(stack.ports.http, `127.0.0.${index}`)
      client.send('GET /x HTTP/1.1\r\nHost: x\r\n\r\n')
      await client.untilText('HTTP/1.1 404')
    }
    expect(await refusals(stack, 'too-many-from-source')).toBe(0)
  })

  it('answers some, and resets the rest of a flood at once', async () => {
    await using stack = await startStack({ limits: { connectionsPerSource: 1 } })
    using first = knock(stack.ports.http, '127.0.0.2')
    await once(first.socket, 'connect')
    const flood = Array.from({ length: 150 }, () => knock(stack.ports.http, '127.0.0.2'))
    const endings = await Promise.all(flood.map((wire) => wire.ended()))
    const answered = flood.filter((wire) => wire.text.startsWith('HTTP/1.1 429')).length
    expect(answered).toBeGreaterThanOrEqual(64)
    expect(endings.filter((ending) => ending === 'reset').length).toBe(150 - answered)
    expect(await refusals(stack, 'too-many-from-source')).toBe(150)
    for (const wire of flood) wire.socket.destroy()
    await eventually(async () => expect(await connections(stack)).toBe(2))
  })
})

describe('connectionsPerIdentity', () => {
  it('bounds what one user has open, and nobody else', () =>
    withUsers({ connectionsPerIdentity: 2 }, async (stack) => {
      await using origin = await startRawOrigin()
      const opened = [await openAs(stack, 'alice', origin.port), await openAs(stack, 'alice', origin.port)]
      const refused = await openAs(stack, 'alice', origin.port)
      expect([...opened, refused].map(({ status }) => status)).toEqual([200, 200, 429])
      expect(refused.head).toContain('\r\nsightline-error: too-many-for-identity\r\n')
      const bobs = await openAs(stack, 'bob', origin.port)
      expect(bobs.status).toBe(200)
      opened[0]?.wire.reset()
      await eventually(async () => expect((await openAs(stack, 'alice', origin.port)).status).toBe(200))
      expect(await refusals(stack, 'too-many-for-identity')).toBeGreaterThanOrEqual(1)
      for (const { wire } of [...opened, refused, bobs]) wire.socket.destroy()
    }))

  it('bounds the streams of one certificate', async () => {
    await using stack = await startStack({ limits: { connectionsPerIdentity: 1 } })
    await using origin = await startRawOrigin()
    using first = await open(stack, TUNNEL, '127.0.0.1', origin.port)
    using second = await reach(stack, 'client')
    const answer = await ask(second, TUNNEL, '127.0.0.1', origin.port)
    expect(answer.head).toMatch(/^HTTP\/1\.1 429 .*\r\nsightline-error: too-many-for-identity\r\n/s)
    expect(first.ending).toBe(undefined)
  })
})

describe('sessionsPerIdentity', () => {
  it('bounds the tunnels of one certificate, and gives the place back', async () => {
    await using stack = await startStack({ limits: { sessionsPerIdentity: 1 } })
    await using origin = await startRawOrigin((wire) => wire.socket.end('hello'))
    const states: string[] = []
    const second = await Gateway.start({
      config: configSchema.parse(clientConfig(stack.pki, stack.ports.tunnel)),
      observer: new Metrics('test').observer,
      onTunnelState: (state) =>
        states.push(
          'error' in state ? (state.error.reference === undefined ? '' : state.error.code) : state.state,
        ),
    })
    try {
      await eventually(() => expect(states).toContain('too-many-for-identity'))
      expect(await refusals(stack, 'too-many-for-identity')).toBeGreaterThanOrEqual(1)
      stack.client.destroy()
      await eventually(() => expect(states).toContain('up'))
      using client = await Wire.connect(second.addresses[0]?.address.port ?? 0)
      client.send(connectHead('127.0.0.1', origin.port))
      await client.untilText('hello')
    } finally {
      second.destroy()
    }
  })
})

describe('lifetimeMs', () => {
  it.each(WAYS)('ends what is open, whatever moves in it: $name', async (way) => {
    await using stack = await startStack({ limits: { lifetimeMs: 300 } })
    await using origin = await startRawOrigin((wire) => wire.socket.write('x'))
    using client = await open(stack, way, '127.0.0.1', origin.port)
    const ticking = setInterval(() => client.socket.writable && client.send('.'), 20)
    expect(await client.ended()).toBe('reset')
    clearInterval(ticking)
    expect(await (await origin.wire()).ended()).toBe('reset')
    await eventually(async () => {
      const metrics = await stack.gatewayMetrics()
      expect(sum(metrics, 'sightline_streams_total', { outcome: 'lifetime-exceeded' })).toBe(1)
      expect(sum(metrics, 'sightline_streams')).toBe(0)
    })
  })
})

describe('bytesPerSecondPerIdentity', () => {
  const RATE = 256 * 1024
  const COUNT = 3 * RATE
  // One second's worth is free, and the last chunk is not waited for.
  const LEAST_MS = 1_500

  it('slows one user to it in each direction, without losing a byte, and nobody else', () =>
    withUsers({ bytesPerSecondPerIdentity: RATE }, async (stack) => {
      const origin = await startOrigin()
      try {
        const [alices, bobs] = [
          await openAs(stack, 'alice', origin.port),
          await openAs(stack, 'bob', origin.port),
        ]
        const startedMs = performance.now()
        alices.wire.send(`GET /bytes/${COUNT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
        bobs.wire.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        await bobs.wire.ended()
        expect(alices.wire.ending).toBe(undefined)
        await alices.wire.ended()
        expect(performance.now() - startedMs).toBeGreaterThan(LEAST_MS)
        const { received } = alices.wire
        const body = received.subarray(received.indexOf('\r\n\r\n') + 4)
        expect(createHash('sha256').update(body).digest('hex')).toBe(bytesHash(COUNT))
        const shaped = await stack.gatewayMetrics()
        expect(
          sum(shaped, 'sightline_shaped_seconds_total', { mode: 'http-proxy', direction: 'down' }),
        ).toBeGreaterThan(1)
        expect(sum(shaped, 'sightline_shaped_seconds_total', { direction: 'up' })).toBe(0)
      } finally {
        await origin.close()
      }
    }))

  it('slows the streams of one certificate together', async () => {
    await using stack = await startStack({ limits: { bytesPerSecondPerIdentity: RATE } })
    await using origin = await startRawOrigin()
    const clients = [
      await open(stack, TUNNEL, '127.0.0.1', origin.port),
      await open(stack, TUNNEL, '127.0.0.1', origin.port),
    ]
    const startedMs = performance.now()
    for (const client of clients) client.socket.end(Buffer.alloc(COUNT / 2, 'x'))
    for (const index of [0, 1]) {
      const wire = await origin.wire(index)
      expect(await wire.ended()).toBe('end')
      expect(wire.received.length).toBe(COUNT / 2)
    }
    expect(performance.now() - startedMs).toBeGreaterThan(LEAST_MS)
    for (const { socket } of clients) socket.destroy()
  })

  it('ends a relay that rests as soon as its client is gone', () =>
    withUsers({ bytesPerSecondPerIdentity: 1_000 }, async (stack) => {
      await using origin = await startRawOrigin((wire) => wire.send(Buffer.alloc(64 * 1024)))
      const { wire } = await openAs(stack, 'alice', origin.port)
      await wire.untilBytes(1)
      wire.reset()
      await eventually(async () => expect(sum(await stack.gatewayMetrics(), 'sightline_streams')).toBe(0))
    }))
})

describe('bytesPerDayPerIdentity', () => {
  it('ends what is open when they are used up, and refuses what is new', () =>
    withUsers({ bytesPerDayPerIdentity: 100_000 }, async (stack) => {
      await using origin = await startRawOrigin()
      const [one, other] = [
        await openAs(stack, 'alice', origin.port),
        await openAs(stack, 'alice', origin.port),
      ]
      const bobs = await openAs(stack, 'bob', origin.port)
      const atOrigin = await origin.wire(0)
      atOrigin.send(Buffer.alloc(200_000))
      expect([await one.wire.ended(), await other.wire.ended(), await atOrigin.ended()]).toEqual([
        'reset',
        'reset',
        'reset',
      ])
      expect(one.wire.received.length).toBeLessThanOrEqual(100_000)
      const refused = await openAs(stack, 'alice', origin.port)
      expect(refused.head).toMatch(/^HTTP\/1\.1 429 .*\r\nsightline-error: quota-exceeded\r\n/s)
      expect(bobs.wire.ending).toBe(undefined)
      expect((await openAs(stack, 'bob', origin.port)).status).toBe(200)
      const metrics = await stack.gatewayMetrics()
      expect(sum(metrics, 'sightline_streams_total', { outcome: 'quota-exceeded' })).toBe(2)
      expect(sum(metrics, 'sightline_refusals_total', { code: 'quota-exceeded' })).toBe(1)
    }))
})

describe('slow and greedy peers', () => {
  it.each(['https', 'tunnel'] as const)(
    'give their place back when they leave in the middle of a handshake: %s',
    async (listener) => {
      await using stack = await startStack()
      const halves = Array.from({ length: 20 }, () => knock(stack.ports[listener]))
      for (const half of halves) half.send(Buffer.from('16030102', 'hex'))
      await eventually(async () => expect(await connections(stack)).toBe(21))
      for (const half of halves) half.socket.end()
      await eventually(async () => expect(await connections(stack)).toBe(1), 40)
    },
  )

  it('are passed over once they have had their time, where too many handshakes are under way', async () => {
    await using stack = await startStack()
    const half = (): Wire => {
      const wire = knock(stack.ports.https)
      wire.send(Buffer.from('16030102', 'hex'))
      return wire
    }
    const first = Array.from({ length: 512 }, half)
    await eventually(async () => expect(await connections(stack)).toBe(513))
    expect(first.every((wire) => wire.ending === undefined)).toBe(true)
    // Each that comes after two seconds takes the place of one.
    const later: Wire[] = []
    await eventually(() => {
      later.push(half())
      expect(first.filter((wire) => wire.ending !== undefined).length).toBeGreaterThanOrEqual(10)
    })
    expect(first.slice(0, 10).every((wire) => wire.ending === 'reset')).toBe(true)
    using secured = await reach(stack, 'https')
    expect(secured.ending).toBe(undefined)
    for (const wire of [...first, ...later]) wire.socket.destroy()
  })

  it('leave a normal client its requests: 200 that drip, 200 that do not read, 50 half-open handshakes', async () => {
    await using stack = await startStack({ limits: { handshakeMs: 3_000 } })
    const origin = await startOrigin()
    const peers: Wire[] = []
    const drip = setInterval(() => {
      for (const { socket } of peers.slice(0, 200)) if (socket.writable) socket.write('x')
    }, 200)
    try {
      for (let index = 0; index < 200; index += 1) peers.push(knock(stack.ports.http))
      for (const peer of peers) peer.send('GET http://127.0.0.1/ HTTP/1.1\r\nX: ')
      for (let index = 0; index < 200; index += 1) {
        const greedy = await Wire.connect(stack.ports.http)
        greedy.socket.pause()
        greedy.send(`GET http://127.0.0.1:${origin.port}/bytes/10000000 HTTP/1.1\r\nHost: x\r\n\r\n`)
        peers.push(greedy)
      }
      for (let index = 0; index < 50; index += 1) {
        const half = knock(stack.ports.tunnel)
        half.send(Buffer.from('16030102', 'hex'))
        peers.push(half)
      }
      for (let index = 0; index < 50; index += 1) {
        using client = await open(stack, index % 2 === 0 ? HTTP : TUNNEL, '127.0.0.1', origin.port)
        client.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        await client.untilText('hello')
      }
      await Promise.all(peers.slice(0, 200).map((peer) => peer.ended()))
      expect(peers.slice(0, 200).every((peer) => peer.text.startsWith('HTTP/1.1 408 '))).toBe(true)
    } finally {
      clearInterval(drip)
      for (const peer of peers) peer.socket.destroy()
      await origin.close()
    }
    await eventually(async () => expect(await connections(stack)).toBe(1))
    await eventually(async () => expect(sum(await stack.gatewayMetrics(), 'sightline_streams')).toBe(0))
  })
})
