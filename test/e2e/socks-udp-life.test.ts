// The life of an association (RFC 1928 section 6): when it begins, when it ends and what it gives back, and when it
// is refused. Beside it BIND, which always is.
import { once } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { configSchema } from '../../src/config/schema.ts'
import { eventually } from '../support/eventually.ts'
import { SocksGateway, type Setting } from '../support/socks-gateway.ts'
import { askSocks5, SocksUdpClient, UdpPeer } from '../support/socks-udp-client.ts'
import { Wire } from '../support/wire.ts'

const socks = new SocksGateway()
const { count, dropped, ended } = socks
const start = (setting?: Setting): Promise<number> => socks.start(setting)

describe('an association', () => {
  it('does not mix with another', async () => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    await using one = await SocksUdpClient.associate(port)
    await using two = await SocksUdpClient.associate(port)
    expect(one.relay.port).not.toBe(two.relay.port)
    await Promise.all([one.send('127.0.0.1', echo.port, 'one'), two.send('127.0.0.1', echo.port, 'two')])
    expect((await one.receive()).payload).toBe('one')
    expect((await two.receive()).payload).toBe('two')
    expect([one.peer.received.length, two.peer.received.length]).toEqual([1, 1])
    expect(new Set(echo.received.map((datagram) => datagram.port)).size).toBe(2)
  })

  it.each([
    ['FIN', 'ok', (control: Wire): void => void control.socket.end()],
    ['RST', 'connection-reset', (control: Wire): void => control.reset()],
  ])('ends with its control connection: %s', async (_name, outcome, end) => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    await using client = await SocksUdpClient.associate(port)
    await client.exchange('127.0.0.1', echo.port, 'x')
    await expect(UdpPeer.bind('127.0.0.1', client.relay.port)).rejects.toThrow('EADDRINUSE')
    end(client.control)
    await eventually(async () => expect(await ended(outcome)).toBe(1))
    await using taken = await UdpPeer.bind('127.0.0.1', client.relay.port)
    expect(taken.port).toBe(client.relay.port)
    expect(await client.control.ended()).toBe(outcome === 'ok' ? 'end' : 'closed')
  })

  it('outlives what a client says on its control connection', async () => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    await using client = await SocksUdpClient.associate(port)
    client.control.send('x'.repeat(200_000))
    expect(await client.exchange('127.0.0.1', echo.port, 'still')).toBe('still')
    client.control.socket.end()
    await eventually(async () => expect(await ended('ok')).toBe(1))
  })

  it('ends when nothing moves, and its control connection with it', async () => {
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
      for (let seconds = 0; seconds < 12; seconds += 4) {
        await peer.send('the other way', { address: '127.0.0.1', port: peer.received[0]?.port ?? 0 })
        await client.receive()
        vi.advanceTimersByTime(4_000)
      }
      expect(client.control.ending).toBe(undefined)
      expect(await count('streams')).toBe(1)
      vi.advanceTimersByTime(2_000)
      expect(await client.control.ended()).toBe('end')
      expect(await ended('idle-timeout')).toBe(1)
      await using taken = await UdpPeer.bind('127.0.0.1', client.relay.port)
      expect(taken.port).toBe(client.relay.port)
    } finally {
      vi.useRealTimers()
    }
  })

  it('is not kept alive by what is dropped', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
    try {
      const port = await start({ limits: { udpIdleMs: 5_000 } })
      await using client = await SocksUdpClient.associate(port)
      await using stranger = await UdpPeer.bind('127.0.0.2')
      for (let sent = 1; sent <= 3; sent += 1) {
        await client.send('127.0.0.1', 9, 'x', stranger)
        await eventually(async () => expect(await dropped('wrong-source')).toBe(sent))
        vi.advanceTimersByTime(2_000)
      }
      expect(await client.control.ended()).toBe('end')
    } finally {
      vi.useRealTimers()
    }
  })

  it('is refused with 01 where the range of ports is exhausted, and served when one is free again', async () => {
    const range = await UdpPeer.bind()
    const ports = String(range.port)
    await range[Symbol.asyncDispose]()
    const port = await start({ inbound: { udp: { ports } } })
    const first = await SocksUdpClient.associate(port)
    expect(String(first.relay.port)).toBe(ports)
    await expect(SocksUdpClient.associate(port)).rejects.toThrow('refused with 1')
    expect(await count('refusals_total', { code: 'udp-ports-exhausted' })).toBe(1)
    await first[Symbol.asyncDispose]()
    await eventually(async () => expect(await ended('ok')).toBe(1))
    await using again = await SocksUdpClient.associate(port)
    expect(String(again.relay.port)).toBe(ports)
  })

  it('is refused with 01 past the cap on all of them', async () => {
    const port = await start({ limits: { udpAssociations: 2 } })
    await using first = await SocksUdpClient.associate(port)
    await using second = await SocksUdpClient.associate(port)
    await expect(SocksUdpClient.associate(port)).rejects.toThrow('refused with 1')
    expect(await count('refusals_total', { code: 'too-many-associations' })).toBe(1)
    first.control.socket.end()
    await eventually(async () => expect(await ended('ok')).toBe(1))
    await using third = await SocksUdpClient.associate(port)
    expect(third.relay.port).not.toBe(second.relay.port)
  })

  it('is refused while the gateway drains, and what is open may end', async () => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    await using client = await SocksUdpClient.associate(port)
    const drained = socks.gateway?.drain(60_000)
    expect(await client.exchange('127.0.0.1', echo.port, 'x')).toBe('x')
    client.control.socket.end()
    expect(await drained).toBe(true)
  })

  it('ends at once when the gateway is destroyed', async () => {
    const port = await start()
    await using client = await SocksUdpClient.associate(port)
    socks.gateway?.destroy()
    await eventually(async () => expect(await count('streams')).toBe(0))
    await using taken = await UdpPeer.bind('127.0.0.1', client.relay.port)
    expect(taken.port).toBe(client.relay.port)
  })
})

describe('what is not served', () => {
  it('SOCKS5 BIND is refused with 07, and closed in order, unread bytes or not', async () => {
    const port = await start()
    // More than the gateway reads at once: closing with the rest unread would reset the connection.
    for (const early of ['', 'x'.repeat(1_000), 'x'.repeat(8_000_000)]) {
      const { control, reply } = await askSocks5(
        port,
        2,
        `01000000000000${Buffer.from(early).toString('hex')}`,
      )
      expect(reply).toBe(7)
      expect(await control.ended()).toBe('end')
      const closed = once(control.socket, 'close')
      control.socket.end()
      await closed
      expect(control.error).toBe(undefined)
    }
    expect(await count('refusals_total', { mode: 'socks-proxy', code: 'command-unsupported' })).toBe(3)
    await eventually(async () => expect(await count('connections')).toBe(0))
  })

  it('SOCKS4 BIND is refused with 5B', async () => {
    const port = await start()
    using control = await Wire.connect(port)
    control.send(Buffer.from('040200500a000001 00'.replace(' ', ''), 'hex'))
    expect(await control.ended()).toBe('end')
    expect(control.received.toString('hex')).toBe('005b000000000000')
  })

  it('SOCKS4 knows no associations: 5B', async () => {
    const port = await start()
    using control = await Wire.connect(port)
    control.send(Buffer.from('040300500a00000100', 'hex'))
    expect(await control.ended()).toBe('end')
    expect(control.received[1]).toBe(0x5b)
  })

  it.each([[{ ports: '0-10' }], [{ ports: '20-10' }], [{ ports: '1-70000' }], [{ ports: 'any' }]])(
    'a config with udp %j',
    (udp) => {
      const result = configSchema.safeParse({ inbounds: [{ type: 'socks', listen: '127.0.0.1:0', udp }] })
      expect(result.error?.issues[0]?.message).toContain('write it as "40000-40999"')
    },
  )

  it('a config with udp on an HTTP inbound', () => {
    const inbounds = [{ type: 'http', listen: '127.0.0.1:0', udp: { ports: '40000-40999' } }]
    expect(configSchema.safeParse({ inbounds }).error?.issues[0]?.message).toContain(
      'udp goes with type socks or mixed',
    )
  })
})
