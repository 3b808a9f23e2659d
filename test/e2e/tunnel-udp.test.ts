// Datagrams through the tunnel: SOCKS5 UDP ASSOCIATE at the client's listener, one mux stream an association, and the
// gateway that looks up, judges and sends. What passes, what an association ends with, and what its client is told.
import { afterEach, describe, expect, it, vi } from 'vitest'
import { configSchema } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { eventually } from '../support/eventually.ts'
import { sum } from '../support/metrics.ts'
import { SocksUdpClient, UdpPeer } from '../support/socks-udp-client.ts'
import { clientConfig, everyInbound, startStack, type Stack, type StackOptions } from '../support/stacks.ts'

let stack: Stack
afterEach(() => stack[Symbol.asyncDispose]())

/** Starts a gateway and a tunnel client; gives the port of the client's listener. */
async function start(options: StackOptions = {}): Promise<number> {
  stack = await startStack({ resolve: async () => ['127.0.0.1'], ...options })
  return stack.ports.client
}

const atGateway = async (name: string, labels: Record<string, string> = {}): Promise<number> =>
  sum(await stack.gatewayMetrics(), `sightline_${name}`, labels)
const atClient = async (name: string, labels: Record<string, string> = {}): Promise<number> =>
  sum(await stack.clientMetrics(), `sightline_${name}`, labels)

describe('datagrams pass', () => {
  it.each([
    ['IPv4', '127.0.0.1', '127.0.0.1'],
    ['IPv6', '::1', '::1'],
    ['a name, which the gateway looks up', 'echo.test', '127.0.0.1'],
  ])('to %s', async (_name, asked, seen) => {
    const port = await start()
    await using echo = await UdpPeer.echo(seen)
    await using client = await SocksUdpClient.associate(port)
    for (const payload of ['hello', '', 'again']) {
      await client.send(asked, echo.port, payload)
      expect(await client.receive()).toMatchObject({ host: seen, port: echo.port, payload })
    }
  })

  it('to many destinations, whose answers are told apart', async () => {
    const port = await start()
    await using one = await UdpPeer.echo('127.0.0.1', () => Buffer.from('one'))
    await using two = await UdpPeer.echo('127.0.0.2', () => Buffer.from('two'))
    await using client = await SocksUdpClient.associate(port)
    await client.send('127.0.0.1', one.port, 'x')
    expect(await client.receive()).toMatchObject({ host: '127.0.0.1', port: one.port, payload: 'one' })
    await client.send('127.0.0.2', two.port, 'x')
    expect(await client.receive()).toMatchObject({ host: '127.0.0.2', port: two.port, payload: 'two' })
  })

  it('of two associations without mixing, on one stream each', async () => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    await using one = await SocksUdpClient.associate(port)
    await using two = await SocksUdpClient.associate(port)
    await Promise.all([one.send('127.0.0.1', echo.port, 'one'), two.send('127.0.0.1', echo.port, 'two')])
    expect((await one.receive()).payload).toBe('one')
    expect((await two.receive()).payload).toBe('two')
    expect([one.peer.received.length, two.peer.received.length]).toEqual([1, 1])
    expect(await atGateway('streams', { mode: 'tunnel' })).toBe(2)
  })

  it('at the largest size, again and again: half a window is always free', async () => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    await using client = await SocksUdpClient.associate(port)
    const sizes = [5, 30_000, 65_507 - 10, 20_000, 65_507 - 10, 65_507 - 10]
    for (const payload of sizes.map((bytes, index) => String(index).repeat(bytes)))
      expect(await client.exchange('127.0.0.1', echo.port, payload)).toBe(payload)
  })

  it('and are counted: streams, bytes, and at the gateway what they exposed', async () => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    const client = await SocksUdpClient.associate(port)
    for (let sent = 0; sent < 3; sent += 1) await client.exchange('echo.test', echo.port, '12345')
    await client[Symbol.asyncDispose]()
    await eventually(async () =>
      expect(await atGateway('streams_total', { mode: 'tunnel', outcome: 'ok' })).toBe(1),
    )
    expect(await atClient('streams_total', { mode: 'tunnel-client', outcome: 'ok' })).toBe(1)
    for (const direction of ['up', 'down']) {
      expect(await atGateway('relayed_bytes_total', { mode: 'tunnel', direction })).toBe(15)
      expect(await atClient('relayed_bytes_total', { mode: 'tunnel-client', direction })).toBe(15)
    }
    const exposed = (observer: string, information: string): Promise<number> =>
      atGateway('exposed_streams_total', { mode: 'tunnel', observer, information })
    expect(await exposed('gateway-operator', 'destination-name')).toBe(1)
    expect(await exposed('gateway-operator', 'client-identity')).toBe(1)
    expect(await exposed('access-network', 'destination-name')).toBe(0)
    expect(await atClient('exposed_streams_total')).toBe(0)
    expect((await atGateway('datagrams_dropped_total')) + (await atClient('datagrams_dropped_total'))).toBe(0)
  })
})

describe('what the gateway could read', () => {
  it('is DNS, not QUIC past its first flight, and unknown of all else', async () => {
    const port = await start()
    await using dns = await UdpPeer.echo()
    await using quic = await UdpPeer.echo()
    await using client = await SocksUdpClient.associate(port)
    const initial = `c000000001088394c8f03e515708${'00'.repeat(1_186)}`
    for (const [to, hex] of [
      [quic, initial],
      [quic, '408394c8f03e5157080102'],
      [dns, '123401000001000000000000036162630000010001'],
    ] as const) {
      await client.send('127.0.0.1', to.port, Buffer.from(hex, 'hex'))
      await client.receive()
    }
    for (const direction of ['up', 'down']) {
      const bytes = (readable: string): Promise<number> =>
        atGateway('relayed_bytes_total', { mode: 'tunnel', direction, readable })
      expect([await bytes('yes'), await bytes('no'), await bytes('unknown')]).toEqual([1_221, 11, 0])
    }
    const exposed = (observer: string, information: string): Promise<number> =>
      atGateway('exposed_streams_total', { observer, information })
    expect(await exposed('exit-network', 'client-fingerprint')).toBe(1)
    expect(await exposed('exit-network', 'content')).toBe(0)
    expect(await exposed('destination', 'content')).toBe(1)
  })
})

describe('datagrams are dropped and counted', () => {
  it('where the gateway may not send them, and nowhere else', async () => {
    const port = await start({ egress: {} })
    await using target = await UdpPeer.bind()
    await using client = await SocksUdpClient.associate(port)
    for (let sent = 0; sent < 3; sent += 1) await client.send('echo.test', target.port, 'x')
    await eventually(async () =>
      expect(await atGateway('datagrams_dropped_total', { reason: 'destination-denied' })).toBe(3),
    )
    expect(await atGateway('refusals_total', { mode: 'tunnel', code: 'destination-denied' })).toBe(1)
    expect(target.received).toEqual([])
  })

  it('from a stranger to the client', async () => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    await using stranger = await UdpPeer.bind('127.0.0.2')
    await using client = await SocksUdpClient.associate(port)
    await client.exchange('127.0.0.1', echo.port, 'x')
    await stranger.send('unasked', { address: '127.0.0.1', port: echo.received[0]?.port ?? 0 })
    await eventually(async () =>
      expect(await atGateway('datagrams_dropped_total', { reason: 'unsolicited' })).toBe(1),
    )
    expect(await client.exchange('127.0.0.1', echo.port, 'y')).toBe('y')
  })
})

describe('an association ends', () => {
  it('in order, at both ends, when its control connection does', async () => {
    const port = await start()
    await using client = await SocksUdpClient.associate(port)
    expect(await atGateway('streams', { mode: 'tunnel' })).toBe(1)
    client.control.socket.end()
    await eventually(async () => expect(await atGateway('streams', { mode: 'tunnel' })).toBe(0))
    expect(await atGateway('streams_total', { outcome: 'ok' })).toBe(1)
    expect(await client.control.ended()).toBe('end')
  })

  it('with a code when its control connection breaks', async () => {
    const port = await start()
    await using client = await SocksUdpClient.associate(port)
    client.control.reset()
    await eventually(async () => expect(await atGateway('streams', { mode: 'tunnel' })).toBe(0))
    expect(await atClient('streams_total', { outcome: 'connection-reset' })).toBe(1)
  })

  it('when the gateway finds it idle, and the control connection with it', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
    try {
      const port = await start({ limits: { udpIdleMs: 5_000 } })
      await using peer = await UdpPeer.bind()
      await using client = await SocksUdpClient.associate(port)
      for (let seconds = 0; seconds < 12; seconds += 4) {
        await client.send('127.0.0.1', peer.port, 'one way')
        await peer.receive()
        vi.advanceTimersByTime(4_000)
      }
      expect(client.control.ending).toBe(undefined)
      vi.advanceTimersByTime(2_000)
      expect(await client.control.ended()).toBe('end')
      await eventually(async () => expect(await atGateway('streams_total')).toBe(1))
      expect(await atGateway('streams', { mode: 'tunnel' })).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  it('with its session, and for the reason that the session ended', async () => {
    const port = await start()
    await using client = await SocksUdpClient.associate(port)
    stack.gateway.destroy()
    expect(await client.control.ended()).toBe('end')
    await eventually(async () => expect(await atClient('streams', { mode: 'tunnel-client' })).toBe(0))
    expect(await atClient('streams_total', { outcome: 'shutting-down' })).toBe(1)
    await using taken = await UdpPeer.bind('127.0.0.1', client.relay.port)
    expect(taken.port).toBe(client.relay.port)
  })

  it('after a drain as before it: what is open goes on', async () => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    await using client = await SocksUdpClient.associate(port)
    const drained = stack.gateway.drain(60_000)
    expect(await client.exchange('127.0.0.1', echo.port, 'x')).toBe('x')
    client.control.socket.end()
    expect(await drained).toBe(true)
  })
})

describe('an association is refused, with the reply that fits', () => {
  it('01 where the gateway has no room for it, and both ends count why', async () => {
    await using first = await SocksUdpClient.associate(await start({ limits: { udpAssociations: 1 } }))
    expect(first.relay.port).toBeGreaterThan(0)
    // The client's own cap is the same here, so a second client asks.
    const metrics = new Metrics('test')
    const other = await Gateway.start({
      config: configSchema.parse(clientConfig(stack.pki, stack.ports.tunnel)),
      observer: metrics.observer,
    })
    try {
      const at = other.addresses[0]?.address.port ?? 0
      await expect(SocksUdpClient.associate(at)).rejects.toThrow('refused with 1')
      const text = await metrics.registry.metrics()
      const code = 'too-many-associations'
      expect(sum(text, 'sightline_refusals_total', { mode: 'tunnel-client', code })).toBe(1)
      expect(await atGateway('refusals_total', { mode: 'tunnel', code })).toBe(1)
    } finally {
      other.destroy()
    }
  })

  it('07 where the gateway sends on by a proxy that carries none', async () => {
    await start()
    const gateway = await Gateway.start({
      config: configSchema.parse({
        inbounds: everyInbound(stack.pki).map((inbound) => ({ ...inbound, outbound: 'proxy' })),
        outbounds: { proxy: { type: 'socks', url: `socks5h://127.0.0.1:${stack.ports.socks}` } },
      }),
      observer: new Metrics('test').observer,
    })
    const client = await Gateway.start({
      config: configSchema.parse(clientConfig(stack.pki, gateway.addresses[4]?.address.port ?? 0)),
      observer: new Metrics('test').observer,
    })
    try {
      const at = client.addresses[0]?.address.port ?? 0
      await expect(SocksUdpClient.associate(at)).rejects.toThrow('refused with 7')
    } finally {
      client.destroy()
      gateway.destroy()
    }
  })
})
