// Datagrams of UDP ASSOCIATE (RFC 1928 section 7) through a whole gateway: what passes, what is dropped and counted,
// and what the egress rules refuse.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { SocksClient } from 'socks'
import { describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { SocksGateway, type Setting } from '../support/socks-gateway.ts'
import { encodeHeader, SocksUdpClient, UdpPeer } from '../support/socks-udp-client.ts'

const socks = new SocksGateway()
const { count, dropped, ended } = socks
const start = (setting?: Setting): Promise<number> => socks.start(setting)

describe('datagrams pass', () => {
  it.each([
    ['IPv4 to IPv4', '127.0.0.1', '127.0.0.1', '127.0.0.1'],
    ['IPv4 to IPv6', '127.0.0.1', '::1', '::1'],
    ['IPv6 to IPv6', '::1', '::1', '::1'],
    ['IPv6 to IPv4', '::1', '127.0.0.1', '127.0.0.1'],
    ['IPv4 to a name', '127.0.0.1', 'echo.test', '127.0.0.1'],
    ['IPv6 to a name', '::1', 'echo.test', '127.0.0.1'],
  ])('%s', async (_name, clientHost, asked, seen) => {
    const listen = clientHost === '::1' ? '[::1]:0' : '127.0.0.1:0'
    const port = await start({ inbound: { listen }, resolve: async () => ['127.0.0.1'] })
    await using echo = await UdpPeer.echo(seen)
    await using client = await SocksUdpClient.associate(port, { host: clientHost })
    expect(client.relay.address).toBe(clientHost)
    for (const payload of ['hello', '', 'again']) {
      await client.send(asked, echo.port, payload)
      expect(await client.receive()).toMatchObject({ host: seen, port: echo.port, payload })
    }
  })

  it('on a listener for both families, by the address that the client came to', async () => {
    const port = await start({ inbound: { listen: '[::]:0', allowOpenProxy: true } })
    await using echo = await UdpPeer.echo()
    await using client = await SocksUdpClient.associate(port, { host: '127.0.0.1' })
    expect(client.relay.address).toBe('127.0.0.1')
    expect(await client.exchange('127.0.0.1', echo.port, 'mapped')).toBe('mapped')
  })

  it('as questions to a server of names, many at once, each with its answer', async () => {
    const port = await start({ resolve: async () => ['127.0.0.1'] })
    const answer = (question: Buffer): Buffer =>
      Buffer.concat([question.subarray(0, 2), Buffer.from([0x81, 0x80]), question.subarray(2)])
    await using server = await UdpPeer.echo('127.0.0.1', answer)
    await using client = await SocksUdpClient.associate(port)
    const ids = Array.from({ length: 50 }, (_, index) => index)
    for (const id of ids) await client.send('dns.test', server.port, Buffer.from([0, id, 1, 2, 3]))
    const answers = []
    while (answers.length < ids.length) answers.push((await client.receive()).raw.subarray(10))
    expect(answers.map((bytes) => bytes[1]).toSorted((a = 0, b = 0) => a - b)).toEqual(ids)
    expect(answers.every((bytes) => bytes[2] === 0x81)).toBe(true)
  })

  it('to many destinations of one association, whose answers are told apart', async () => {
    const port = await start()
    await using one = await UdpPeer.echo('127.0.0.1', () => Buffer.from('one'))
    await using two = await UdpPeer.echo('127.0.0.2', () => Buffer.from('two'))
    await using client = await SocksUdpClient.associate(port)
    await client.send('127.0.0.1', one.port, 'x')
    expect(await client.receive()).toMatchObject({ host: '127.0.0.1', port: one.port, payload: 'one' })
    await client.send('127.0.0.2', two.port, 'x')
    expect(await client.receive()).toMatchObject({ host: '127.0.0.2', port: two.port, payload: 'two' })
  })

  it('at the largest size, and one byte more is dropped', async () => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    await using client = await SocksUdpClient.associate(port)
    const largest = 'x'.repeat(65_507 - 10)
    expect(await client.exchange('127.0.0.1', echo.port, largest)).toBe(largest)
    await echo.send('y'.repeat(largest.length + 1), {
      address: '127.0.0.1',
      port: echo.received[0]?.port ?? 0,
    })
    await eventually(async () => expect(await dropped('too-large')).toBe(1))
    expect(await client.exchange('127.0.0.1', echo.port, 'after')).toBe('after')
  })

  it('for the client of the socks package', async () => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    await using own = await UdpPeer.bind()
    const client = new SocksClient({
      proxy: { host: '127.0.0.1', port, type: 5 },
      command: 'associate',
      destination: { host: '0.0.0.0', port: 0 },
    })
    const established = once(client, 'established') as Promise<
      [{ socket: Socket; remoteHost: { host: string; port: number } }]
    >
    client.connect()
    const [{ socket, remoteHost: relay }] = await established
    const frame = SocksClient.createUDPFrame({
      remoteHost: { host: '127.0.0.1', port: echo.port },
      data: Buffer.from('from socks'),
    })
    await own.send(frame, { address: relay.host, port: relay.port })
    const answer = SocksClient.parseUDPFrame((await own.receive()).bytes)
    expect(answer).toMatchObject({ remoteHost: { host: '127.0.0.1', port: echo.port }, frameNumber: 0 })
    expect(answer.data.toString()).toBe('from socks')
    socket.destroy()
  })

  it('and are counted: a stream, its bytes and what it exposed', async () => {
    const port = await start({ resolve: async () => ['127.0.0.1'] })
    await using echo = await UdpPeer.echo()
    const client = await SocksUdpClient.associate(port)
    expect(await count('streams', { mode: 'socks-proxy' })).toBe(1)
    for (let sent = 0; sent < 3; sent += 1) await client.exchange('echo.test', echo.port, '12345')
    await client[Symbol.asyncDispose]()
    await eventually(async () => expect(await ended('ok')).toBe(1))
    expect(await count('streams')).toBe(0)
    expect(
      await count('relayed_bytes_total', { mode: 'socks-proxy', direction: 'up', readable: 'unknown' }),
    ).toBe(15)
    expect(
      await count('relayed_bytes_total', { mode: 'socks-proxy', direction: 'down', readable: 'unknown' }),
    ).toBe(15)
    expect(
      await count('exposed_streams_total', { observer: 'gateway-operator', information: 'destination-name' }),
    ).toBe(1)
    expect(await count('exposed_streams_total', { observer: 'exit-network', information: 'content' })).toBe(0)
    expect(await dropped()).toBe(0)
    expect(await count('refusals_total')).toBe(0)
  })
})

describe('datagrams are dropped and counted', () => {
  it('from another address, and from another port of the same', async () => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    await using client = await SocksUdpClient.associate(port)
    await using elsewhere = await UdpPeer.bind('127.0.0.2')
    await using beside = await UdpPeer.bind('127.0.0.1')
    await client.send('127.0.0.1', echo.port, 'from another address', elsewhere)
    expect(await client.exchange('127.0.0.1', echo.port, 'own')).toBe('own')
    await client.send('127.0.0.1', echo.port, 'from another port', beside)
    expect(await client.exchange('127.0.0.1', echo.port, 'own again')).toBe('own again')
    expect(echo.received.map(({ bytes }) => bytes.toString())).toEqual(['own', 'own again'])
    expect(await dropped('wrong-source')).toBe(2)
  })

  it('from any port but the one that the client announced', async () => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    await using client = await SocksUdpClient.associate(port, { announce: 'own' })
    await using beside = await UdpPeer.bind('127.0.0.1')
    await client.send('127.0.0.1', echo.port, 'first, but not announced', beside)
    expect(await client.exchange('127.0.0.1', echo.port, 'announced')).toBe('announced')
    expect(echo.received).toHaveLength(1)
    expect(await dropped('wrong-source')).toBe(1)
  })

  it('but an announcement with another address binds nobody: that client is behind a translator', async () => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    await using client = await SocksUdpClient.associate(port, { announce: '01c0a800020009' })
    expect(await client.exchange('127.0.0.1', echo.port, 'translated')).toBe('translated')
  })

  it('but those of the client that a balancer names, not those of the balancer', async () => {
    const port = await start({ inbound: { proxyProtocol: ['127.0.0.1'] } })
    await using echo = await UdpPeer.echo()
    await using balancer = await UdpPeer.bind('127.0.0.1')
    const preface = 'PROXY TCP4 127.0.0.2 127.0.0.1 4000 1080\r\n'
    await using client = await SocksUdpClient.associate(port, { preface, from: '127.0.0.2' })
    await client.send('127.0.0.1', echo.port, 'from the balancer', balancer)
    expect(await client.exchange('127.0.0.1', echo.port, 'from the client')).toBe('from the client')
    expect(await dropped('wrong-source')).toBe(1)
  })

  it('that are fragments', async () => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    await using client = await SocksUdpClient.associate(port)
    for (const fragment of [1, 2, 0x80, 0x83]) {
      await client.sendRaw(
        Buffer.concat([encodeHeader('127.0.0.1', echo.port, fragment), Buffer.from('part')]),
      )
    }
    expect(await client.exchange('127.0.0.1', echo.port, 'whole')).toBe('whole')
    expect(echo.received).toHaveLength(1)
    expect(await dropped('fragment')).toBe(4)
  })

  it('that are garbage', async () => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    await using client = await SocksUdpClient.associate(port)
    const garbage = [
      '',
      '00',
      '000000',
      '00000001',
      '0000000500',
      '00000003ff61',
      '000100017f0000010035',
      'ff'.repeat(100),
    ]
    for (const bytes of garbage) await client.sendRaw(Buffer.from(bytes, 'hex'))
    expect(await client.exchange('127.0.0.1', echo.port, 'sound')).toBe('sound')
    expect(await dropped('malformed')).toBe(garbage.length)
    expect(echo.received).toHaveLength(1)
  })

  it('from a stranger to the client', async () => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    await using stranger = await UdpPeer.bind('127.0.0.2')
    await using client = await SocksUdpClient.associate(port)
    await client.exchange('127.0.0.1', echo.port, 'x')
    await stranger.send('unasked', { address: '127.0.0.1', port: echo.received[0]?.port ?? 0 })
    await eventually(async () => expect(await dropped('unsolicited')).toBe(1))
    expect(await client.exchange('127.0.0.1', echo.port, 'y')).toBe('y')
  })

  it('for names that are not found', async () => {
    const port = await start({ resolve: async () => [] })
    await using client = await SocksUdpClient.associate(port)
    await client.send('nowhere.test', 9, 'x')
    await eventually(async () => expect(await dropped('name-not-resolved')).toBe(1))
  })

  it('for more destinations than an association may have', async () => {
    const port = await start({ limits: { udpDestinations: 2 } })
    await using echo = await UdpPeer.echo()
    await using client = await SocksUdpClient.associate(port)
    await client.exchange('127.0.0.1', echo.port, 'x')
    await client.send('127.0.0.2', 9, 'x')
    await client.send('127.0.0.3', 9, 'x')
    await client.exchange('127.0.0.1', echo.port, 'x')
    expect(await dropped('too-many-destinations')).toBe(1)
  })

  it('in a flood of 10,000, with bounded memory, and the association goes on', async () => {
    const port = await start()
    await using echo = await UdpPeer.echo()
    await using client = await SocksUdpClient.associate(port)
    await client.exchange('127.0.0.1', echo.port, 'before')
    const before = process.memoryUsage().rss
    const payload = Buffer.alloc(1_200, 'x')
    for (let batch = 0; batch < 200; batch += 1) {
      await Promise.all(
        Array.from({ length: 50 }, (_, index) => client.send(`127.0.${batch}.${index + 1}`, 9, payload)),
      )
      // The kernel's own buffer would drop all that comes in one turn of this process, and test nothing.
      await new Promise((resolve) => setImmediate(resolve))
    }
    await client.send('127.0.0.1', echo.port, 'after')
    await eventually(() => expect(echo.received.at(-1)?.bytes.toString()).toBe('after'))
    expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(64)
    const carried = (await count('relayed_bytes_total', { direction: 'up' })) / payload.length
    expect(carried).toBeLessThan(300)
    expect(carried).toBeGreaterThan(200)
    expect(await dropped('too-many-destinations')).toBeGreaterThan(5_000)
  })
})

describe('egress rules', () => {
  const REFUSED = { mode: 'socks-proxy', code: 'destination-denied' }

  it.each([
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '::1',
    '[::ffff:127.0.0.1]',
    'private.test',
    'localhost',
    '0.0.0.0',
  ])('hold for %s: nothing is sent, and it is a refusal', async (host) => {
    const port = await start({ egress: {}, resolve: async () => ['127.0.0.1'] })
    await using target = await UdpPeer.bind()
    await using client = await SocksUdpClient.associate(port)
    for (let sent = 0; sent < 3; sent += 1) await client.send(host, target.port, 'x')
    await eventually(async () => expect(await dropped('destination-denied')).toBe(3))
    expect(await count('refusals_total', REFUSED)).toBe(1)
    expect(await count('relayed_bytes_total')).toBe(0)
    expect(target.received).toEqual([])
  })

  it('are told once for each rule, whatever is sent', async () => {
    const port = await start({
      egress: { deny: ['*.bad.test', '*.worse.test'] },
      resolve: async () => ['127.0.0.1'],
    })
    await using client = await SocksUdpClient.associate(port)
    for (const host of ['a.bad.test', 'b.bad.test', 'a.worse.test', 'private.test', '127.0.0.1'])
      await client.send(host, 9, 'x')
    await eventually(async () => expect(await dropped('destination-denied')).toBe(5))
    expect(await count('refusals_total', REFUSED)).toBe(3)
    const refusals = socks.log
      .map((line) => JSON.parse(line) as Record<string, string>)
      .filter(({ msg }) => msg === 'refused')
    expect(new Set(refusals.map(({ rule }) => rule))).toEqual(new Set(['built-in', 'deny[0]', 'deny[1]']))
    expect(socks.log.join('')).not.toMatch(/127\.0\.0\.1|bad\.test|private/)
  })

  it('hold for the gateway itself: its listeners and the relays of others', async () => {
    const port = await start()
    await using other = await SocksUdpClient.associate(port)
    await using client = await SocksUdpClient.associate(port)
    await client.send('127.0.0.1', port, 'x')
    await client.send('127.0.0.1', other.relay.port, 'x')
    await client.send('127.0.0.1', client.relay.port, 'x')
    await eventually(async () => expect(await dropped('destination-denied')).toBe(3))
    expect(await dropped()).toBe(3)
  })

  it('in report mode let pass, and tell each rule once', async () => {
    const port = await start({ egress: { mode: 'report' } })
    await using echo = await UdpPeer.echo()
    await using echo2 = await UdpPeer.echo('127.0.0.2')
    await using client = await SocksUdpClient.associate(port)
    await client.exchange('127.0.0.1', echo.port, 'x')
    expect(await client.exchange('127.0.0.2', echo2.port, 'y')).toBe('y')
    expect(
      await count('egress_decisions_total', {
        decision: 'reported',
        mode: 'socks-proxy',
        reason: 'denied-range',
      }),
    ).toBe(1)
  })
})
