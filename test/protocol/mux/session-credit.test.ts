// Credit: how much may be on its way to an end that does not read, how the window grows with the link, and what all
// windows of a session may grow to together.
import { describe, expect, it } from 'vitest'
import { INITIAL_WINDOW_BYTES } from '../../../src/protocol/mux/frame.ts'
import { GrowthBudget } from '../../../src/protocol/mux/window.ts'
import { LongPair, type LinkShape } from '../../support/mux-link.ts'
import { Pair } from '../../support/mux-pair.ts'

const KIB = 1024

/** Sends `bytes` up stream after stream until all have come, each turn taking `turnMs`. */
function pour(pair: Pair, bytes: number, turnMs: number): { window: number } {
  const { near, far } = pair.connect()
  near.say(Buffer.alloc(bytes))
  pair.settle(turnMs)
  expect(far.received.length).toBe(bytes)
  return { window: far.stream.windowBytes }
}

describe('a stream that is not read', () => {
  it('stops its sender at 64 KiB, and others go on', () => {
    const pair = new Pair()
    const stuck = pair.connect()
    const live = pair.connect()
    stuck.far.reading = false
    stuck.near.say(Buffer.alloc(1024 * KIB))
    live.near.say(Buffer.alloc(1024 * KIB))
    pair.settle()
    expect(stuck.far.received.length).toBe(64 * KIB)
    expect(stuck.near.unsent).toBe(1)
    expect(live.far.received.length).toBe(1024 * KIB)
    expect(pair.client.hasFrames).toBe(false)
  })

  it('stops the gateway too, and goes on when it is read', () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    near.reading = false
    far.say(Buffer.alloc(100 * KIB))
    pair.settle()
    expect(near.received.length).toBe(64 * KIB)
    near.reading = true
    near.read()
    pair.settle()
    expect(near.received.length).toBe(100 * KIB)
  })

  it("does not keep its direction's other half from going", () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    far.reading = false
    near.say(Buffer.alloc(100 * KIB))
    far.say('you are too fast')
    pair.settle()
    expect(near.received.toString()).toBe('you are too fast')
  })
})

describe('CREDIT', () => {
  it('is said when a quarter of the window is free, with an absolute offset', () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    pair.takeLog()
    far.reading = false
    near.say(Buffer.alloc(16 * KIB))
    pair.settle()
    far.stream.consumed(16 * KIB - 1, pair.nowMs)
    pair.settle()
    expect(pair.takeLog().filter((line) => line.includes('credit'))).toEqual([])
    far.stream.consumed(16 * KIB, pair.nowMs)
    pair.settle()
    expect(pair.takeLog()).toEqual([`< credit 1 ${80 * KIB}`])
  })

  it('is not said to a direction that has ended, nor by a stream that has', () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    far.reading = false
    near.say(Buffer.alloc(40 * KIB))
    near.finish()
    pair.settle()
    pair.takeLog()
    far.read()
    far.stream.reset('stream-cancelled')
    far.read()
    pair.settle()
    expect(pair.takeLog().filter((line) => line.includes('credit'))).toEqual([])
  })
})

describe('the window', () => {
  const LINKS = [
    { roundTripMs: 50, bytesPerMs: 12_500 },
    { roundTripMs: 200, bytesPerMs: 12_500 },
    { roundTripMs: 50, bytesPerMs: 1_250 },
  ]
  const product = ({ roundTripMs, bytesPerMs }: LinkShape): number => roundTripMs * bytesPerMs

  it.each(LINKS)(
    'fills a link of $roundTripMs ms and $bytesPerMs bytes/ms, and does not flood it',
    (shape) => {
      const pair = new LongPair(shape)
      const [flood] = pair.flood(1)
      pair.pass(4_000)
      const before = flood!.got
      pair.mostWaiting = 0
      pair.pass(1_000)
      expect((flood!.got - before) / 1_000 / shape.bytesPerMs).toBeGreaterThan(0.95)
      expect(flood!.windowBytes).toBeGreaterThanOrEqual(2 * product(shape))
      expect(flood!.windowBytes).toBeLessThan(3.7 * product(shape))
      // What an interactive stream waits behind: beside the round trip that it has anyway.
      expect(pair.mostWaiting).toBeLessThan(2.7 * product(shape))
    },
  )

  it('is shared out by four floods, which together fill the link', () => {
    const shape = LINKS[0]!
    const pair = new LongPair(shape)
    const floods = pair.flood(4)
    pair.pass(3_000)
    const all = (): number => floods.reduce((sum, { got }) => sum + got, 0)
    const before = all()
    pair.pass(1_000)
    expect((all() - before) / 1_000 / shape.bytesPerMs).toBeGreaterThan(0.95)
    const windows = floods.reduce((sum, { windowBytes }) => sum + windowBytes, 0)
    expect(windows).toBeLessThan(4 * product(shape))
  })

  it('is not blown up by a machine that now and then stands still', () => {
    const shape = { ...LINKS[0]!, hiccup: { everyMs: 499, ms: 30 } }
    const pair = new LongPair(shape)
    const [flood] = pair.flood(1)
    pair.pass(8_000)
    expect(flood!.windowBytes).toBeLessThan(6 * product(shape))
  })

  it('stays small on a short link, and yet makes room for the turns of two processes', () => {
    const shape = { roundTripMs: 4, bytesPerMs: 100_000 }
    const pair = new LongPair(shape)
    pair.client.roundTripMs = 0.2
    const [flood] = pair.flood(1)
    pair.pass(500)
    const before = flood!.got
    pair.pass(500)
    expect((flood!.got - before) / 500 / shape.bytesPerMs).toBeGreaterThan(0.5)
    expect(flood!.windowBytes).toBe(512 * KIB)
  })

  it('stays as it is where the reader is the limit', () => {
    const pair = new LongPair(LINKS[0]!)
    const [flood] = pair.flood(1, 300)
    pair.pass(3_000)
    expect(flood!.got).toBeGreaterThan(800_000)
    expect(flood!.windowBytes).toBe(INITIAL_WINDOW_BYTES)
  })

  it('stays as it is until a round trip has been measured over a busy link', () => {
    const pair = new Pair()
    expect(pour(pair, 1024 * KIB, 10).window).toBe(INITIAL_WINDOW_BYTES)
  })

  it('ends at its most', () => {
    const pair = new LongPair(LINKS[0]!, { client: { maxWindowBytes: 256 * KIB } })
    const [flood] = pair.flood(1)
    pair.pass(1_000)
    expect(flood!.windowBytes).toBe(256 * KIB)
  })
})

describe('the growth of all windows together', () => {
  it('ends at the budget, and no stream has less than 64 KiB', () => {
    const pair = new Pair({ gateway: { growthBudgetBytes: 192 * KIB } })
    pair.gateway.roundTripMs = 10
    const windows = Array.from({ length: 5 }, () => pour(pair, 1024 * KIB, 1).window)
    expect(windows.reduce((total, window) => total + window - INITIAL_WINDOW_BYTES, 0)).toBe(192 * KIB)
    expect(Math.min(...windows)).toBe(INITIAL_WINDOW_BYTES)
  })

  it('is shared by sessions, of which none may hold more than is left for the others', () => {
    const sharedGrowth = new GrowthBudget(384 * KIB)
    const pairs = Array.from({ length: 3 }, () => {
      const pair = new Pair({ gateway: { sharedGrowth } })
      pair.gateway.roundTripMs = 10
      return pair
    })
    const growth = (pair: Pair): number => pour(pair, 4096 * KIB, 1).window - INITIAL_WINDOW_BYTES
    const [first, second, third] = pairs.map(growth)
    expect(first).toBe(192 * KIB)
    expect(second).toBe(96 * KIB)
    expect(third).toBe(48 * KIB)
    for (const pair of pairs) pair.gateway.end('shutting-down')
    expect(sharedGrowth.take(1024 * KIB, 0)).toBe(192 * KIB)
  })

  it('is given back by a stream that ends, however it ends', () => {
    for (const ending of ['fin', 'reset', 'peer-reset'] as const) {
      const pair = new Pair({ gateway: { growthBudgetBytes: 64 * KIB } })
      pair.gateway.roundTripMs = 10
      const first = pair.connect()
      first.near.say(Buffer.alloc(512 * KIB))
      pair.settle(1)
      expect(first.far.stream.windowBytes).toBe(128 * KIB)
      expect(pour(pair, 512 * KIB, 1).window).toBe(64 * KIB)
      if (ending === 'reset') first.far.stream.reset('stream-cancelled')
      else if (ending === 'peer-reset') first.near.stream.reset('stream-cancelled')
      else {
        first.near.finish()
        first.far.finish()
      }
      pair.settle()
      expect(pair.gateway.streamCount).toBe(1)
      expect(pour(pair, 512 * KIB, 1).window).toBe(128 * KIB)
    }
  })
})
