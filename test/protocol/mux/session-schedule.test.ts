// Whose turn it is: control frames before data, streams with bytes one after the other, and a session that says when
// its peer makes it answer faster than it reads.
import { describe, expect, it } from 'vitest'
import { encodeFrame } from '../../../src/protocol/mux/frame.ts'
import { Pair, SITE } from '../../support/mux-pair.ts'

/** Which stream each of the next DATA frames is of. */
function turns(pair: Pair, count: number): number[] {
  return Array.from({ length: count }, () => pair.step('client')?.stream ?? -1)
}

describe('streams with bytes', () => {
  it('take turns', () => {
    const pair = new Pair({ client: { payloadBytes: 1000 } })
    const ends = [pair.connect(), pair.connect(), pair.connect()]
    for (const { near } of ends) near.say(Buffer.alloc(4000))
    expect(turns(pair, 12)).toEqual([1, 3, 5, 1, 3, 5, 1, 3, 5, 1, 3, 5])
  })

  it('that are new wait for one turn of each other, however much these have', () => {
    const pair = new Pair({ client: { payloadBytes: 1000 } })
    const [bulk, other, late] = [pair.connect(), pair.connect(), pair.connect()]
    bulk.near.say(Buffer.alloc(60_000))
    other.near.say(Buffer.alloc(60_000))
    expect(turns(pair, 2)).toEqual([1, 3])
    late.near.say('key')
    expect(turns(pair, 4)).toEqual([1, 3, 5, 1])
  })

  it('lose their turn without credit, and no one waits for them', () => {
    const pair = new Pair()
    const [stuck, live] = [pair.connect(), pair.connect()]
    stuck.far.reading = false
    stuck.near.say(Buffer.alloc(200_000))
    pair.settle()
    live.near.say(Buffer.alloc(40_000))
    expect(turns(pair, 3)).toEqual([3, 3, 3])
  })

  it('have one turn, though they are told of credit twice', () => {
    const pair = new Pair({ client: { payloadBytes: 1000 } })
    const [one, two] = [pair.connect(), pair.connect()]
    one.near.say(Buffer.alloc(10_000))
    two.near.say(Buffer.alloc(10_000))
    for (const offset of [200_000, 300_000]) {
      pair.deliver('gateway', encodeFrame({ type: 'credit', stream: 1, offset }))
    }
    expect(turns(pair, 6)).toEqual([1, 3, 1, 3, 1, 3])
  })
})

describe('control', () => {
  it('goes before data, in its own order', () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    near.say(Buffer.alloc(60_000))
    pair.step('client')
    pair.open()
    near.stream.consumed(0, 0)
    pair.client.goaway('shutting-down')
    pair.takeLog()
    for (let count = 0; count < 3; count += 1) pair.step('client')
    expect(pair.takeLog()).toEqual(['> open 3', '> goaway 3 #23', expect.stringMatching(/^> data 1 /)])
    far.say(Buffer.alloc(50_000))
    far.read()
    expect(pair.step('gateway')?.type).not.toBe('data')
  })

  it('FIN is no control: it stays behind the data of its stream', () => {
    const pair = new Pair()
    const { near } = pair.connect()
    near.say(Buffer.alloc(20_000))
    near.finish()
    pair.takeLog()
    pair.settle()
    const types = pair.takeLog().map((line) => line.split(' ')[1])
    expect(types.filter((type) => type !== 'credit')).toEqual(['data', 'data', 'fin'])
  })
})

describe('ready', () => {
  it('is said when there is something to pull, and there is', () => {
    const pair = new Pair()
    expect([pair.client.hasFrames, pair.ready.client]).toEqual([false, 0])
    const { near } = pair.connect()
    expect(pair.client.hasFrames).toBe(false)
    const before = pair.ready.client
    near.say('x')
    expect([pair.client.hasFrames, pair.ready.client]).toEqual([true, before + 1])
  })

  it('is said of a stream that had no credit, when it has some', () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    far.reading = false
    near.say(Buffer.alloc(100_000))
    pair.settle()
    const before = pair.ready.client
    pair.deliver('gateway', encodeFrame({ type: 'credit', stream: 1, offset: 100_000 }))
    expect(pair.ready.client).toBe(before + 1)
  })
})

describe('congestion', () => {
  it('is said past 256 KiB of waiting answers, and is over when they have gone', () => {
    const pair = new Pair({ gateway: { maxStreams: 1 } })
    pair.connect()
    // Each OPEN past the first is refused: an answer of seven bytes for it.
    for (let stream = 3; !pair.gateway.congested && stream < 100_000; stream += 2) {
      pair.gateway.receive(encodeFrame({ type: 'open', stream, kind: 'tcp', destination: SITE }))
    }
    expect(pair.gateway.congested).toBe(true)
    let waiting = 0
    while (pair.gateway.congested) waiting += pair.gateway.pull()?.length ?? 0
    for (let frame = pair.gateway.pull(); frame !== undefined; frame = pair.gateway.pull())
      waiting += frame.length
    expect(waiting).toBeGreaterThan(256 * 1024)
    expect(waiting).toBeLessThan(256 * 1024 + 16)
  })
})
