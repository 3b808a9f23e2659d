// The life of a stream between two sessions: how it begins, goes on in two directions that end apart, and is given up;
// and the life of a session: how it says goodbye, and what is left of its streams.
import { describe, expect, it } from 'vitest'
import { ERROR_ANSWERS, GatewayError, type ErrorCode } from '../../../src/errors.ts'
import { encodeFrame } from '../../../src/protocol/mux/frame.ts'
import { BOUND, Pair, SITE } from '../../support/mux-pair.ts'

const CODES = Object.keys(ERROR_ANSWERS) as ErrorCode[]

function codeOf(call: () => unknown): ErrorCode | undefined {
  try {
    call()
    return undefined
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown.code
    throw thrown
  }
}

describe('a stream begins', () => {
  it('with OPEN, and stands when OPENED has come back', () => {
    const pair = new Pair({ autoAccept: false })
    const near = pair.open()
    expect(pair.step('client')).toEqual({ type: 'open', stream: 1, kind: 'tcp', destination: SITE })
    expect(pair.accepted[0]?.stream.destination).toEqual(SITE)
    expect(near.heard).toEqual([])
    pair.gateway.accept(pair.accepted[0]!.stream, BOUND)
    expect(pair.step('gateway')).toEqual({ type: 'opened', stream: 1, bound: BOUND })
    expect(near.heard).toEqual(['opened 192.0.2.7:4711'])
    expect([pair.client.streamCount, pair.gateway.streamCount]).toEqual([1, 1])
  })

  it('or is refused, with the code and the reference, and is gone on both ends', () => {
    const pair = new Pair({ autoAccept: false })
    const near = pair.open()
    pair.settle()
    pair.gateway.refuse(pair.accepted[0]!.stream, 'destination-denied', 'a1b2c3')
    pair.settle()
    expect(near.heard).toEqual(['refused destination-denied a1b2c3'])
    expect([pair.client.streamCount, pair.gateway.streamCount]).toEqual([0, 0])
  })

  it.each(CODES)('%s reaches the client as it is', (code) => {
    const pair = new Pair({ autoAccept: false })
    const near = pair.open()
    pair.settle()
    pair.gateway.refuse(pair.accepted[0]!.stream, code, '')
    pair.settle()
    expect(near.heard).toEqual([`refused ${code}`])
  })

  it('with odd numbers that only rise', () => {
    const pair = new Pair()
    for (let count = 0; count < 4; count += 1) pair.open().stream.reset('stream-cancelled')
    pair.open()
    pair.settle()
    expect(pair.log.filter((line) => line.startsWith('> open'))).toEqual(
      [1, 3, 5, 7, 9].map((id) => `> open ${id}`),
    )
  })

  it('for datagrams too, as far as the session knows', () => {
    const pair = new Pair({ autoAccept: false })
    pair.open({ host: '192.0.2.53', port: 53 }, 'udp')
    pair.settle()
    expect(pair.accepted[0]?.stream.kind).toBe('udp')
  })

  it('not where its destination cannot be written, and leaves nothing behind', () => {
    const pair = new Pair()
    expect(codeOf(() => pair.open({ host: '', port: 1 }))).toBe('bad-request')
    expect(pair.client.streamCount).toBe(0)
    expect(pair.client.hasFrames).toBe(false)
    expect(pair.connect().near.stream.id).toBe(1)
  })

  it('not beyond the most that the client keeps', () => {
    const pair = new Pair({ client: { maxStreams: 2 } })
    const { near } = pair.connect()
    pair.connect()
    expect(codeOf(() => pair.open())).toBe('too-many-streams')
    near.stream.reset('stream-cancelled')
    expect(pair.connect().near.heard).toEqual(['opened 192.0.2.7:4711'])
  })

  it('not beyond the most that the gateway keeps, which says so of each', () => {
    const pair = new Pair({ gateway: { maxStreams: 2 } })
    const ends = [pair.open(), pair.open(), pair.open()]
    pair.settle()
    expect(ends.map(({ heard }) => heard)).toEqual([
      ['opened 192.0.2.7:4711'],
      ['opened 192.0.2.7:4711'],
      ['refused too-many-streams'],
    ])
  })
})

describe('bytes', () => {
  it('go both ways, whole and in order', () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    const up = Buffer.from(Array.from({ length: 200_000 }, (_value, index) => (index * 7) & 0xff))
    const down = Buffer.from(Array.from({ length: 150_000 }, (_value, index) => (index * 13) & 0xff))
    for (let at = 0; at < up.length; at += 50_000) near.say(up.subarray(at, at + 50_000))
    far.say(down)
    pair.settle()
    expect(far.received.equals(up)).toBe(true)
    expect(near.received.equals(down)).toBe(true)
    expect([near.unsent, far.unsent]).toEqual([0, 0])
  })

  it('of no length are no frame', () => {
    const pair = new Pair()
    const { near } = pair.connect()
    pair.takeLog()
    near.say('')
    near.say('a')
    pair.settle()
    expect(pair.takeLog()).toEqual(['> data 1 (1)'])
  })

  it('are cut to the size that was asked for', () => {
    const pair = new Pair({ client: { payloadBytes: 10 } })
    const { near } = pair.connect()
    pair.takeLog()
    near.say('x'.repeat(25))
    pair.settle()
    expect(pair.takeLog()).toEqual(['> data 1 (10)', '> data 1 (10)', '> data 1 (5)'])
  })

  it('in one frame fit one TLS record with all headers', () => {
    const pair = new Pair()
    const { near } = pair.connect()
    near.say(Buffer.alloc(60_000))
    const sizes = [pair.client.pull()?.length, pair.client.pull()?.length]
    expect(sizes).toEqual([16 * 1024 - 4, 16 * 1024 - 4])
  })
})

describe('half-close', () => {
  it('of the client leaves the other direction open', () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    near.say('question')
    near.finish()
    pair.settle()
    expect(far.heard).toEqual(['fin'])
    far.say('answer')
    pair.settle()
    expect(near.received.toString()).toBe('answer')
    expect([pair.client.streamCount, pair.gateway.streamCount]).toEqual([1, 1])
    far.finish()
    pair.settle()
    expect(near.heard).toEqual(['opened 192.0.2.7:4711', 'fin'])
    expect([pair.client.streamCount, pair.gateway.streamCount]).toEqual([0, 0])
  })

  it('of the gateway leaves the other direction open', () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    far.finish()
    pair.settle()
    near.say('still here')
    near.finish()
    pair.settle()
    expect(far.received.toString()).toBe('still here')
    expect(far.heard).toEqual(['fin'])
    expect([pair.client.streamCount, pair.gateway.streamCount]).toEqual([0, 0])
  })

  it('waits for what was said before it', () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    far.reading = false
    near.say(Buffer.alloc(100_000))
    near.finish()
    pair.settle()
    expect([far.received.length, far.heard]).toEqual([65_536, []])
    far.reading = true
    far.read()
    pair.settle()
    expect([far.received.length, far.heard]).toEqual([100_000, ['fin']])
  })

  it('needs no credit', () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    far.reading = false
    near.say(Buffer.alloc(65_536))
    near.finish()
    pair.settle()
    expect([far.received.length, far.heard]).toEqual([65_536, ['fin']])
  })

  it('is done, and says so, only once it is in a frame', () => {
    const pair = new Pair()
    const { near } = pair.connect()
    let done = false
    near.stream.fin(() => (done = true))
    expect(done).toBe(false)
    expect(pair.step('client')?.type).toBe('fin')
    expect(done).toBe(true)
  })
})

describe('a reset', () => {
  it('ends both directions at once and drops what was queued', () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    near.say(Buffer.alloc(50_000))
    pair.step('client')
    near.stream.reset('connection-reset')
    pair.takeLog()
    pair.settle()
    expect(pair.takeLog()).toEqual([`> reset 1 #${ERROR_ANSWERS['connection-reset'].mux}`])
    expect(far.heard).toEqual(['reset connection-reset'])
    expect([pair.client.streamCount, pair.gateway.streamCount]).toEqual([0, 0])
  })

  it('of a stream that is not opened yet is heard, and its OPENED goes nowhere', () => {
    const pair = new Pair({ autoAccept: false })
    const near = pair.open()
    pair.settle()
    near.stream.reset('stream-cancelled')
    pair.gateway.accept(pair.accepted[0]!.stream, BOUND)
    pair.settle()
    expect(pair.accepted[0]?.heard).toEqual(['reset stream-cancelled'])
    expect(near.heard).toEqual([])
    expect([pair.client.streamCount, pair.gateway.streamCount]).toEqual([0, 0])
  })

  it('makes every later answer of the gateway a silence', () => {
    const pair = new Pair({ autoAccept: false })
    pair.open().stream.reset('stream-cancelled')
    pair.settle()
    const { stream } = pair.accepted[0]!
    pair.gateway.accept(stream, BOUND)
    pair.gateway.refuse(stream, 'dial-failed', 'x')
    expect(pair.gateway.hasFrames).toBe(false)
  })

  it('of the gateway before its answer reaches the client, which has not been opened', () => {
    const pair = new Pair({ autoAccept: false })
    const near = pair.open()
    pair.settle()
    pair.accepted[0]!.stream.reset('shutting-down')
    pair.settle()
    expect(near.heard).toEqual(['reset shutting-down'])
  })

  it.each(['data', 'credit', 'fin', 'reset'] as const)('ignores %s that was under way', (type) => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    const late = encodeFrame(
      type === 'data'
        ? { type, stream: 1, payload: Buffer.from('late') }
        : type === 'credit'
          ? { type, stream: 1, offset: 1e6 }
          : type === 'fin'
            ? { type, stream: 1 }
            : { type, stream: 1, error: 17 },
    )
    far.stream.reset('connection-reset')
    pair.deliver('client', late)
    near.stream.reset('stream-cancelled')
    pair.deliver('gateway', late)
    expect([near.heard.slice(1), far.heard]).toEqual([[], []])
    expect(far.received.length + near.received.length).toBe(0)
    pair.settle()
    expect(pair.connect().near.heard).toEqual(['opened 192.0.2.7:4711'])
  })

  it('of both at once crosses on the way without harm', () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    near.stream.reset('stream-cancelled')
    far.stream.reset('connection-reset')
    pair.settle()
    expect([near.heard, far.heard]).toEqual([['opened 192.0.2.7:4711'], []])
  })

  it.each(CODES)('with %s reaches the other end as it is', (code) => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    far.stream.reset(code)
    pair.settle()
    expect(near.heard.at(-1)).toBe(`reset ${code}`)
  })

  it('with a number of a newer peer reads as a failed dial', () => {
    const pair = new Pair()
    const { near } = pair.connect()
    pair.deliver('gateway', encodeFrame({ type: 'reset', stream: 1, error: 40_000 }))
    expect(near.heard.at(-1)).toBe('reset dial-failed')
  })
})

describe('GOAWAY', () => {
  it('of the gateway: what is open goes on, nothing new starts', () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    pair.gateway.goaway('shutting-down')
    pair.settle()
    expect(pair.goaways).toEqual(['client: shutting-down 1'])
    expect(pair.client.draining).toBe(true)
    expect(codeOf(() => pair.open())).toBe('shutting-down')
    near.say('more')
    near.finish()
    far.finish()
    pair.settle()
    expect(far.received.toString()).toBe('more')
    expect(near.heard.at(-1)).toBe('fin')
  })

  it('refuses an OPEN that crossed it', () => {
    const pair = new Pair()
    pair.connect()
    const late = pair.open()
    pair.gateway.goaway('shutting-down')
    pair.settle()
    expect(pair.goaways).toEqual(['client: shutting-down 1'])
    expect(late.heard).toEqual(['refused shutting-down'])
    expect(pair.accepted.length).toBe(1)
  })

  it('names 0 where no stream was ever open', () => {
    const pair = new Pair()
    pair.gateway.goaway('certificate-revoked')
    pair.settle()
    expect(pair.goaways).toEqual(['client: certificate-revoked 0'])
  })

  it('of the client is heard at the gateway', () => {
    const pair = new Pair()
    pair.client.goaway('credit-exceeded')
    pair.settle()
    expect(pair.goaways).toEqual(['gateway: credit-exceeded 0'])
  })
})

describe('the end of a session', () => {
  it('ends every stream with its code, and nothing moves after it', () => {
    const pair = new Pair()
    const one = pair.connect()
    const two = pair.connect()
    one.near.say('never sent')
    pair.client.end('tunnel-dead')
    expect([one.near.heard.at(-1), two.near.heard.at(-1)]).toEqual(['reset tunnel-dead', 'reset tunnel-dead'])
    expect(pair.client.hasFrames).toBe(false)
    expect(pair.client.streamCount).toBe(0)
    expect(codeOf(() => pair.open())).toBe('shutting-down')
    pair.client.goaway('shutting-down')
    one.near.stream.reset('stream-cancelled')
    pair.client.end('connection-reset')
    expect(pair.client.pull()).toBe(undefined)
    expect(one.near.heard).toEqual(['opened 192.0.2.7:4711', 'reset tunnel-dead'])
  })

  it('makes it deaf: even garbage is not read any more', () => {
    const pair = new Pair()
    pair.gateway.end('connection-reset')
    expect(codeOf(() => pair.gateway.receive(Buffer.from('garbage')))).toBe(undefined)
  })
})
