// RFC 8305 sections 4 and 5 under a clock that the test moves, with sockets that connect and fail when it says so.
import net from 'node:net'
import { beforeEach, describe, expect, it } from 'vitest'
import { GatewayError, type ErrorCode } from '../../src/errors.ts'
import { AddressQueue } from '../../src/protocol/address-order.ts'
import { connectToFirst } from '../../src/transport/happy-eyeballs.ts'
import type { Found } from '../../src/transport/resolve.ts'
import { ManualClock } from '../support/manual-clock.ts'

const SIX = ['2001:db8::1', '2001:db8::2', '2001:db8::3']
const FOUR = ['192.0.2.1', '192.0.2.2']

describe('AddressQueue', () => {
  const order = (...batches: string[][]): string[] => {
    const queue = new AddressQueue()
    for (const batch of batches) queue.add(batch)
    return Array.from({ length: batches.flat().length }, () => queue.next() ?? '')
  }

  it.each<[string, string[][], string[]]>([
    ['turns, IPv6 first', [[...SIX, ...FOUR]], [SIX[0]!, FOUR[0]!, SIX[1]!, FOUR[1]!, SIX[2]!]],
    ['turns, IPv4 first', [[...FOUR, ...SIX]], [FOUR[0]!, SIX[0]!, FOUR[1]!, SIX[1]!, SIX[2]!]],
    ['one family', [FOUR], FOUR],
    ['nothing', [[]], []],
  ])('%s', (_, batches, expected) => expect(order(...batches)).toEqual(expected))

  it('lets addresses that come later join at their turn', () => {
    const queue = new AddressQueue()
    queue.add(FOUR)
    expect(queue.next()).toBe(FOUR[0])
    queue.add(SIX)
    expect([queue.next(), queue.next(), queue.next(), queue.isEmpty]).toEqual([
      SIX[0],
      FOUR[1],
      SIX[1],
      false,
    ])
    expect([queue.next(), queue.isEmpty, queue.next()]).toEqual([SIX[2], true, undefined])
  })
})

/** One race, step by step. */
class Bench {
  clock = new ManualClock()
  gone = new AbortController()
  sockets = new Map<string, net.Socket>()
  denied = new Set<string>()
  /** In order: `?` judged, `>` dialled. */
  events: string[] = []
  outcome: string | undefined

  start(found: readonly string[] | Promise<Found>, options: { localAddress?: string } = {}): void {
    const racing = connectToFirst(found, {
      port: 443,
      withinMs: 10_000,
      signal: this.gone.signal,
      clock: this.clock,
      admit: (address) => {
        this.events.push(`?${address}`)
        if (this.denied.has(address)) throw new GatewayError('destination-denied', { side: 'client' })
      },
      open: ({ host = '', port }) => {
        expect(port).toBe(443)
        this.events.push(`>${host}`)
        const socket = new net.Socket()
        this.sockets.set(host, socket)
        return socket
      },
      ...options,
    })
    racing.then(
      (socket) => (this.outcome = [...this.sockets].find(([, other]) => other === socket)?.[0]),
      (error: GatewayError) => (this.outcome = error.code),
    )
  }

  get dialled(): string[] {
    return [...this.sockets.keys()]
  }

  connect(address: string): void {
    this.sockets.get(address)?.emit('connect')
  }

  fail(address: string, errno = 'ECONNREFUSED'): void {
    this.sockets.get(address)?.emit('error', Object.assign(new Error(errno), { code: errno }))
  }

  /** Everything that ends with a race has ended. */
  async ended(): Promise<string | undefined> {
    await turn()
    expect(this.clock.waits).toEqual([])
    for (const [address, socket] of this.sockets)
      expect([address, socket.destroyed]).toEqual([address, address !== this.outcome])
    return this.outcome
  }
}

/** What promises have to say, they have said. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

let bench: Bench
beforeEach(() => void (bench = new Bench()))

describe('a race', () => {
  it('of one address waits for nothing but its deadline', async () => {
    bench.start([FOUR[0]!])
    expect(bench.dialled).toEqual([FOUR[0]])
    expect(bench.clock.waits).toEqual([10_000])
    bench.connect(FOUR[0]!)
    expect(await bench.ended()).toBe(FOUR[0])
  })

  it('starts the next attempt after 250 ms, and ends the losers', async () => {
    bench.start([...SIX.slice(0, 2), ...FOUR])
    expect(bench.dialled).toEqual([SIX[0]])
    bench.clock.advance(249)
    expect(bench.dialled).toEqual([SIX[0]])
    bench.clock.advance(1)
    expect(bench.dialled).toEqual([SIX[0], FOUR[0]])
    bench.clock.advance(250)
    expect(bench.dialled).toEqual([SIX[0], FOUR[0], SIX[1]])
    bench.connect(FOUR[0]!)
    expect(await bench.ended()).toBe(FOUR[0])
    bench.clock.advance(10_000)
    expect(bench.dialled.length).toBe(3)
  })

  it('starts it at once when the last one failed, and 250 ms run anew', () => {
    bench.start([...SIX, ...FOUR])
    bench.clock.advance(100)
    bench.fail(SIX[0]!)
    expect(bench.dialled).toEqual([SIX[0], FOUR[0]])
    bench.clock.advance(249)
    expect(bench.dialled.length).toBe(2)
    bench.clock.advance(1)
    expect(bench.dialled.length).toBe(3)
    bench.gone.abort()
  })

  it('can be won by the first after others started', async () => {
    bench.start([SIX[0]!, FOUR[0]!])
    bench.clock.advance(250)
    bench.fail(FOUR[0]!)
    bench.connect(SIX[0]!)
    expect(await bench.ended()).toBe(SIX[0])
  })

  it('has one winner, also where a loser connects in the same moment', async () => {
    bench.start([SIX[0]!, FOUR[0]!])
    bench.clock.advance(250)
    bench.connect(FOUR[0]!)
    bench.connect(SIX[0]!)
    expect(await bench.ended()).toBe(FOUR[0])
  })

  it('judges each address right before its dial, and passes over the refused', async () => {
    bench.denied.add(SIX[0]!).add(FOUR[0]!)
    bench.start([...SIX.slice(0, 2), ...FOUR])
    expect(bench.events).toEqual([`?${SIX[0]}`, `?${FOUR[0]}`, `?${SIX[1]}`, `>${SIX[1]}`])
    bench.clock.advance(250)
    expect(bench.events.slice(4)).toEqual([`?${FOUR[1]}`, `>${FOUR[1]}`])
    bench.connect(FOUR[1]!)
    expect(await bench.ended()).toBe(FOUR[1])
  })

  it('never dials what is no address, which would be looked up anew', async () => {
    bench.start(['rebound.test'])
    expect(await bench.ended()).toBe('name-lookup-failed')
    expect(bench.dialled).toEqual([])
  })

  it('dials only the family of the address that it dials from', async () => {
    bench.start([SIX[0]!, FOUR[0]!], { localAddress: '127.0.0.1' })
    expect(bench.dialled).toEqual([FOUR[0]])
    bench.fail(FOUR[0]!)
    expect(await bench.ended()).toBe('connection-refused')
  })
})

describe('a look-up on its way', () => {
  it('is waited for, and its first family dialled at once', async () => {
    const looking = Promise.withResolvers<Found>()
    const later = Promise.withResolvers<readonly string[]>()
    bench.start(looking.promise)
    expect(bench.dialled).toEqual([])
    looking.resolve({ addresses: [FOUR[0]!, FOUR[1]!], later: later.promise })
    await turn()
    expect(bench.dialled).toEqual([FOUR[0]])
    later.resolve([SIX[0]!])
    await turn()
    expect(bench.dialled).toEqual([FOUR[0]])
    bench.clock.advance(250)
    expect(bench.dialled).toEqual([FOUR[0], SIX[0]])
    bench.connect(SIX[0]!)
    expect(await bench.ended()).toBe(SIX[0])
  })

  it('adds an address that is dialled at once where the wait is over', async () => {
    const later = Promise.withResolvers<readonly string[]>()
    bench.start(Promise.resolve({ addresses: [SIX[0]!], later: later.promise }))
    await turn()
    bench.clock.advance(250)
    expect(bench.dialled).toEqual([SIX[0]])
    later.resolve([FOUR[0]!])
    await turn()
    expect(bench.dialled).toEqual([SIX[0], FOUR[0]])
    bench.connect(FOUR[0]!)
    expect(await bench.ended()).toBe(FOUR[0])
  })

  it('is waited for where every address so far has failed', async () => {
    const later = Promise.withResolvers<readonly string[]>()
    bench.start(Promise.resolve({ addresses: [SIX[0]!], later: later.promise }))
    await turn()
    bench.fail(SIX[0]!, 'ENETUNREACH')
    await turn()
    expect(bench.outcome).toBe(undefined)
    later.resolve([FOUR[0]!])
    await turn()
    bench.fail(FOUR[0]!)
    expect(await bench.ended()).toBe('connection-refused')
  })

  it('does not outlast the race', async () => {
    const looking = Promise.withResolvers<Found>()
    bench.start(looking.promise)
    bench.gone.abort()
    expect(await bench.ended()).toBe('stream-cancelled')
    looking.resolve([FOUR[0]!])
    await turn()
    expect(bench.events).toEqual([])
  })
})

describe('the error', () => {
  const lookup = async (code: ErrorCode): Promise<Found> => {
    throw new GatewayError(code, { side: 'upstream' })
  }

  it.each<[string, ErrorCode, (bench: Bench) => unknown]>([
    [
      'of the first attempt that failed',
      'connection-refused',
      (race) => {
        race.start([SIX[0]!, FOUR[0]!])
        race.fail(SIX[0]!)
        race.fail(FOUR[0]!, 'EHOSTUNREACH')
      },
    ],
    [
      'but a family without a route says nothing',
      'connection-refused',
      (race) => {
        race.start([SIX[0]!, FOUR[0]!])
        race.fail(SIX[0]!, 'ENETUNREACH')
        race.fail(FOUR[0]!)
      },
    ],
    [
      'unless neither has one',
      'network-unreachable',
      (race) => {
        race.start([SIX[0]!, FOUR[0]!])
        race.fail(SIX[0]!, 'ENETUNREACH')
        race.fail(FOUR[0]!, 'ENETUNREACH')
      },
    ],
    [
      'of the policy where nothing was dialled',
      'destination-denied',
      (race) => {
        race.denied.add(SIX[0]!).add(FOUR[0]!)
        race.start([SIX[0]!, FOUR[0]!])
      },
    ],
    [
      'of the policy, too, where the other family cannot be dialled from here',
      'destination-denied',
      (race) => {
        race.denied.add(FOUR[0]!)
        race.start([SIX[0]!, FOUR[0]!], { localAddress: '127.0.0.1' })
      },
    ],
    [
      'of the dial where something was',
      'connection-refused',
      (race) => {
        race.denied.add(SIX[0]!)
        race.start([SIX[0]!, FOUR[0]!])
        race.fail(FOUR[0]!)
      },
    ],
    [
      'dial-timeout at the deadline',
      'dial-timeout',
      (race) => {
        race.start([SIX[0]!, FOUR[0]!])
        race.clock.advance(10_000)
      },
    ],
    [
      'name-lookup-failed where it falls on the look-up',
      'name-lookup-failed',
      (race) => {
        race.start(new Promise(() => {}))
        race.clock.advance(10_000)
      },
    ],
    ['name-not-found where there is no address', 'name-not-found', (race) => race.start([])],
    ['of the look-up', 'name-not-found', (race) => race.start(lookup('name-not-found'))],
    [
      'of the client that went',
      'stream-cancelled',
      (race) => {
        race.start([SIX[0]!, FOUR[0]!])
        race.clock.advance(250)
        race.gone.abort()
      },
    ],
    [
      'of the client that was gone before',
      'stream-cancelled',
      (race) => {
        race.gone.abort()
        race.start([SIX[0]!])
        expect(race.dialled).toEqual([])
      },
    ],
  ])('is that %s', async (_, code, steps) => {
    steps(bench)
    expect(await bench.ended()).toBe(code)
  })
})
