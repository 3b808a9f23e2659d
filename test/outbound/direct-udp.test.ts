// The direct way of datagrams against a clock and a resolver of the test's own: what is judged and when, what is
// remembered and for how long, and what never waits without a bound.
import { afterEach, describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { DirectUdp } from '../../src/outbound/direct-udp.ts'
import type { UdpRequest } from '../../src/outbound/outbound.ts'
import type { Resolve } from '../../src/transport/resolve.ts'
import { eventually } from '../support/eventually.ts'
import { UdpPeer } from '../support/socks-udp-client.ts'

interface Setting {
  readonly resolve?: Resolve
  readonly judge?: UdpRequest['judge']
  readonly judgeAnswer?: (addresses: readonly string[]) => void
  readonly maxDestinations?: number
  readonly localAddress?: string
}

/** Everything that the way tells, as lines. */
class Bench {
  nowMs = 1_000
  readonly lines: string[] = []
  readonly judged: string[] = []
  readonly way: DirectUdp

  constructor({
    resolve = async () => ['127.0.0.1'],
    judge = () => {},
    judgeAnswer = () => {},
    maxDestinations = 16,
    localAddress,
  }: Setting = {}) {
    const request: UdpRequest = {
      mode: 'socks-proxy',
      identity: undefined,
      signal: new AbortController().signal,
      maxDestinations,
      judge: (destination, address) => {
        this.judged.push(`${destination.host}${address === undefined ? '' : ` at ${address}`}`)
        judge(destination, address)
      },
      judgeAnswer: ({ host }, addresses) => {
        this.judged.push(`${host} as ${addresses.join()}`)
        judgeAnswer(addresses)
      },
    }
    this.way = new DirectUdp(
      request,
      {
        sent: ({ host }, { length }) => this.lines.push(`sent ${length} to ${host}`),
        message: (from, payload) =>
          this.lines.push(`${Buffer.from(payload).toString()} from ${from.address}`),
        dropped: (reason, failure) =>
          this.lines.push(`dropped: ${reason}${failure === undefined ? '' : ` (${failure.code})`}`),
        closed: () => this.lines.push('closed'),
      },
      { resolve, dialMs: 1_000, nowMs: () => this.nowMs, localAddress },
    )
    benches.push(this)
  }

  send(host: string, port: number, text: string): void {
    this.way.send({ host, port }, Buffer.from(text))
  }

  /** Waits for as many lines, and gives them sorted. */
  async told(count: number): Promise<string[]> {
    await eventually(() => expect(this.lines.length).toBeGreaterThanOrEqual(count))
    return this.lines.toSorted()
  }
}

const benches: Bench[] = []
afterEach(() => {
  for (const bench of benches.splice(0)) bench.way.close()
})

function deny(): never {
  throw new GatewayError('destination-denied', { side: 'client' })
}

describe('judging', () => {
  it('comes before the look-up, and again for each address', async () => {
    await using peer = await UdpPeer.echo()
    const bench = new Bench()
    bench.send('a.test', peer.port, 'one')
    expect(await bench.told(2)).toEqual(['one from 127.0.0.1', 'sent 3 to a.test'])
    expect(bench.judged).toEqual(['a.test', 'a.test as 127.0.0.1', 'a.test at 127.0.0.1'])
  })

  it('is not repeated for each datagram, and is repeated when the verdict is old', async () => {
    await using peer = await UdpPeer.bind()
    let lookUps = 0
    const bench = new Bench({
      resolve: async () => [`127.0.0.${(lookUps += 1)}`].filter((address) => address !== '127.0.0.2'),
    })
    for (let sent = 0; sent < 5; sent += 1) bench.send('a.test', peer.port, 'x')
    await bench.told(5)
    expect(lookUps).toBe(1)
    bench.nowMs += 30_000
    bench.send('a.test', peer.port, 'x')
    expect(await bench.told(6)).toContain('dropped: name-not-resolved (name-not-found)')
    expect(lookUps).toBe(2)
  })

  it('of a name that is denied spares the look-up', async () => {
    let lookUps = 0
    const bench = new Bench({ judge: deny, resolve: async () => [String((lookUps += 1))] })
    bench.send('a.test', 9, 'x')
    expect(await bench.told(1)).toEqual(['dropped: destination-denied (destination-denied)'])
    expect(lookUps).toBe(0)
  })

  it('passes over the addresses that are denied, and sends to none of them', async () => {
    await using denied = await UdpPeer.bind('127.0.0.2')
    await using allowed = await UdpPeer.bind('127.0.0.1', denied.port)
    const bench = new Bench({
      resolve: async () => ['127.0.0.2', '127.0.0.1'],
      judge: (_destination, address) => void (address === '127.0.0.2' && deny()),
    })
    bench.send('a.test', allowed.port, 'x')
    await allowed.receive()
    expect(denied.received).toEqual([])
  })

  it('of all addresses together refuses the name whole', async () => {
    await using allowed = await UdpPeer.bind('127.0.0.1')
    const bench = new Bench({
      resolve: async () => ['127.0.0.1', '127.0.0.2'],
      judgeAnswer: (addresses) => void (addresses.length > 1 && deny()),
    })
    bench.send('a.test', allowed.port, 'x')
    expect(await bench.told(1)).toEqual(['dropped: destination-denied (destination-denied)'])
    expect(bench.judged).toEqual(['a.test', 'a.test as 127.0.0.1,127.0.0.2'])
  })

  it('reads an address in every spelling', async () => {
    const bench = new Bench({ judge: (_destination, address) => void (address === '127.0.0.1' && deny()) })
    for (const host of ['127.1', '0x7f.1', '2130706433', '::ffff:127.0.0.1', '127.0.0.1'])
      bench.send(host, 9, 'x')
    expect(await bench.told(5)).toEqual(Array(5).fill('dropped: destination-denied (destination-denied)'))
  })
})

describe('what waits for a look-up', () => {
  it('goes in its order once the name is known', async () => {
    await using peer = await UdpPeer.bind()
    const answer = Promise.withResolvers<readonly string[]>()
    const bench = new Bench({ resolve: () => answer.promise })
    for (const text of ['1', '2', '3']) bench.send('a.test', peer.port, text)
    answer.resolve(['127.0.0.1'])
    const received = [await peer.receive(), await peer.receive(), await peer.receive()]
    expect(received.map(({ bytes }) => bytes.toString())).toEqual(['1', '2', '3'])
  })

  it('is at most 64 datagrams; the rest is dropped at once', async () => {
    const bench = new Bench({ resolve: () => new Promise(() => {}) })
    for (let sent = 0; sent < 100; sent += 1) bench.send('a.test', 9, 'x')
    expect(bench.lines).toEqual(Array(36).fill('dropped: queue-full'))
  })

  it('is at most 64 KiB', async () => {
    const bench = new Bench({ resolve: () => new Promise(() => {}) })
    for (let sent = 0; sent < 3; sent += 1) bench.send(`${sent}.test`, 9, 'x'.repeat(30_000))
    expect(bench.lines).toEqual(['dropped: queue-full'])
  })

  it('goes nowhere once the association is closed', async () => {
    await using peer = await UdpPeer.bind()
    const answer = Promise.withResolvers<readonly string[]>()
    const bench = new Bench({ resolve: () => answer.promise })
    bench.send('a.test', peer.port, 'late')
    bench.way.close()
    answer.resolve(['127.0.0.1'])
    const other = new Bench()
    other.send('127.0.0.1', peer.port, 'marker')
    expect((await peer.receive()).bytes.toString()).toBe('marker')
    expect(bench.lines).toEqual([])
  })

  it('is dropped by name where the look-up fails, and the name is tried again a second later', async () => {
    await using peer = await UdpPeer.bind()
    const answers = [Promise.reject(new GatewayError('name-lookup-failed')), Promise.resolve(['127.0.0.1'])]
    const bench = new Bench({ resolve: async () => answers.shift() ?? [] })
    bench.send('a.test', peer.port, 'x')
    await bench.told(1)
    bench.send('a.test', peer.port, 'x')
    expect(await bench.told(2)).toEqual(Array(2).fill('dropped: name-not-resolved (name-lookup-failed)'))
    bench.nowMs += 1_000
    bench.send('a.test', peer.port, 'back')
    expect((await peer.receive()).bytes.toString()).toBe('back')
  })
})

describe('the places of an association', () => {
  it('are bounded, and one that is quiet for half a minute is given on', async () => {
    const bench = new Bench({ maxDestinations: 3 })
    for (const host of ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5']) bench.send(host, 9, 'x')
    expect(bench.lines).toEqual(['dropped: too-many-destinations'])
    await bench.told(4)
    bench.nowMs += 20_000
    bench.send('127.0.0.2', 9, 'x')
    bench.nowMs += 10_000
    bench.send('127.0.0.5', 9, 'x')
    bench.send('127.0.0.6', 9, 'x')
    bench.send('127.0.0.7', 9, 'x')
    expect((await bench.told(8)).filter((line) => line.startsWith('dropped: too'))).toHaveLength(2)
    expect(bench.lines).toContain('sent 1 to 127.0.0.6')
  })

  it('let answer only those that were sent to, from whichever port', async () => {
    await using asked = await UdpPeer.bind('127.0.0.1')
    await using samePlace = await UdpPeer.bind('127.0.0.1')
    await using stranger = await UdpPeer.bind('127.0.0.2')
    const bench = new Bench()
    bench.send('127.0.0.1', asked.port, 'hello')
    const { port } = await asked.receive()
    await stranger.send('stranger', { address: '127.0.0.1', port })
    await samePlace.send('other port', { address: '127.0.0.1', port })
    expect(await bench.told(3)).toEqual([
      'dropped: unsolicited',
      'other port from 127.0.0.1',
      'sent 5 to 127.0.0.1',
    ])
  })
})

describe('an address that cannot be reached', () => {
  it('is passed over for the next', async () => {
    await using peer = await UdpPeer.bind()
    // From loopback, the kernel sends to no network.
    const bench = new Bench({ resolve: async () => ['240.0.0.1', '127.0.0.1'], localAddress: '127.0.0.1' })
    bench.send('a.test', peer.port, 'one')
    bench.send('a.test', peer.port, 'two')
    const received = [await peer.receive(), await peer.receive()]
    expect(received.map(({ bytes }) => bytes.toString()).toSorted()).toEqual(['one', 'two'])
    expect(bench.lines.filter((line) => line.startsWith('dropped'))).toEqual([])
  })

  it('is one of the other family than the address to send from', async () => {
    const bench = new Bench({ localAddress: '127.0.0.1' })
    bench.send('::1', 9, 'x')
    expect(await bench.told(1)).toEqual(['dropped: unreachable (network-unreachable)'])
  })
})

describe('closing', () => {
  it('closes every socket, also those that were being opened', async () => {
    const bench = new Bench()
    for (const host of ['127.0.0.1', '127.0.0.2', '::1', 'a.test']) bench.send(host, 9, 'x')
    await bench.told(4)
    const late = new Bench()
    late.send('127.0.0.1', 9, 'x')
    bench.way.close()
    late.way.close()
    await eventually(() =>
      expect(process.getActiveResourcesInfo().filter((kind) => /udp/i.test(kind))).toEqual([]),
    )
    expect(late.lines).toEqual([])
  })
})
