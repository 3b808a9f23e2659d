// Credit: how much may be on its way to an end that does not read, how the window grows with the link, and what all
// windows of a session may grow to together.
import { describe, expect, it } from 'vitest'
import { INITIAL_WINDOW_BYTES } from '../../../src/protocol/mux/frame.ts'
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
  it('is said when half of the window is free, with an absolute offset', () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    pair.takeLog()
    far.reading = false
    near.say(Buffer.alloc(32 * KIB))
    pair.settle()
    far.stream.consumed(32 * KIB - 1, pair.nowMs)
    pair.settle()
    expect(pair.takeLog().filter((line) => line.includes('credit'))).toEqual([])
    far.stream.consumed(32 * KIB, pair.nowMs)
    pair.settle()
    expect(pair.takeLog()).toEqual([`< credit 1 ${96 * KIB}`])
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
  it('grows where half of it is used up within two round trips', () => {
    const pair = new Pair()
    pair.gateway.roundTripMs = 100
    expect(pour(pair, 4096 * KIB, 1).window).toBeGreaterThan(512 * KIB)
  })

  it('stays where the link is the limit', () => {
    const pair = new Pair()
    pair.gateway.roundTripMs = 1
    expect(pour(pair, 1024 * KIB, 10).window).toBe(INITIAL_WINDOW_BYTES)
  })

  it('ends at its most', () => {
    const pair = new Pair({ gateway: { maxWindowBytes: 256 * KIB } })
    expect(pour(pair, 4096 * KIB, 0).window).toBe(256 * KIB)
  })

  it('doubles, and no further than the bytes that the stream is owed', () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    near.say(Buffer.alloc(200 * KIB))
    const windows = new Set<number>()
    for (let moved = true; moved;) {
      const frames = [pair.step('client'), pair.step('gateway')]
      windows.add(far.stream.windowBytes / KIB)
      moved = frames.some((frame) => frame !== undefined)
    }
    expect([...windows]).toEqual([64, 128, 256])
  })
})

describe('the growth of all windows together', () => {
  it('ends at the budget, and no stream has less than 64 KiB', () => {
    const pair = new Pair({ gateway: { growthBudgetBytes: 192 * KIB } })
    const windows = Array.from({ length: 5 }, () => pour(pair, 1024 * KIB, 0).window)
    expect(windows.reduce((total, window) => total + window - INITIAL_WINDOW_BYTES, 0)).toBe(192 * KIB)
    expect(Math.min(...windows)).toBe(INITIAL_WINDOW_BYTES)
  })

  it('is given back by a stream that ends, however it ends', () => {
    for (const ending of ['fin', 'reset', 'peer-reset'] as const) {
      const pair = new Pair({ gateway: { growthBudgetBytes: 64 * KIB } })
      const first = pair.connect()
      first.near.say(Buffer.alloc(512 * KIB))
      pair.settle()
      expect(first.far.stream.windowBytes).toBe(128 * KIB)
      expect(pour(pair, 512 * KIB, 0).window).toBe(64 * KIB)
      if (ending === 'reset') first.far.stream.reset('stream-cancelled')
      else if (ending === 'peer-reset') first.near.stream.reset('stream-cancelled')
      else {
        first.near.finish()
        first.far.finish()
      }
      pair.settle()
      expect(pair.gateway.streamCount).toBe(1)
      expect(pour(pair, 512 * KIB, 0).window).toBe(128 * KIB)
    }
  })
})
