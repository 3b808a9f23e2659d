// What a peer must not do, frame by frame: each violation ends in its own code, on the end that it was done to, and in
// nothing else. What only looks like one, since frames cross on the way, stands in session-streams.test.ts.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GatewayError, type ErrorCode } from '../../../src/errors.ts'
import { encodeFrame, INITIAL_WINDOW_BYTES, type Frame } from '../../../src/protocol/mux/frame.ts'
import { BOUND, Pair, SITE } from '../../support/mux-pair.ts'

function deliver(pair: Pair, from: 'client' | 'gateway', frame: Frame): ErrorCode | 'taken' {
  try {
    pair.deliver(from, encodeFrame(frame))
    return 'taken'
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown.code
    throw thrown
  }
}

const open = (stream: number): Frame => ({ type: 'open', stream, kind: 'tcp', destination: SITE })
const data = (stream: number, bytes = 5): Frame => ({ type: 'data', stream, payload: Buffer.alloc(bytes, 1) })

describe('stream numbers', () => {
  it.each([2, 4, 0x7ffffffe])("even ones are nobody's: %i", (stream) => {
    expect(deliver(new Pair(), 'client', open(stream))).toBe('stream-id-invalid')
  })

  it.each([0, 0x80000001, 0xffffffff])('out of range: %i', (stream) => {
    expect(deliver(new Pair(), 'client', open(stream))).toBe('stream-id-invalid')
  })

  it('a number is used once, whatever became of its stream', () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    expect(deliver(pair, 'client', open(1))).toBe('stream-id-invalid')
    near.stream.reset('stream-cancelled')
    pair.settle()
    expect(far.heard).toEqual(['reset stream-cancelled'])
    expect(deliver(pair, 'client', open(1))).toBe('stream-id-invalid')
  })

  it('never fall, but may leave some out', () => {
    const pair = new Pair()
    expect(deliver(pair, 'client', open(101))).toBe('taken')
    expect(deliver(pair, 'client', open(99))).toBe('stream-id-invalid')
    expect(deliver(pair, 'client', open(103))).toBe('taken')
  })

  it.each([
    ['data', data(3)],
    ['credit', { type: 'credit', stream: 3, offset: 1e6 }],
    ['fin', { type: 'fin', stream: 3 }],
    ['reset', { type: 'reset', stream: 3, error: 1 }],
  ] as Array<[string, Frame]>)('%s for a stream that never was', (_name, frame) => {
    for (const side of ['client', 'gateway'] as const) {
      const pair = new Pair()
      pair.connect()
      expect(deliver(pair, side, frame)).toBe('stream-id-invalid')
      expect(deliver(pair, side, { ...frame, stream: 2 })).toBe('stream-id-invalid')
      expect(deliver(pair, side, { ...frame, stream: 0 })).toBe('stream-id-invalid')
    }
  })
})

describe('frames of the wrong end', () => {
  it('OPEN at the client', () => {
    const pair = new Pair()
    expect(deliver(pair, 'gateway', open(1))).toBe('stream-id-invalid')
    expect(deliver(pair, 'gateway', open(2))).toBe('stream-id-invalid')
  })

  it('OPENED and REFUSED at the gateway', () => {
    const pair = new Pair()
    pair.connect()
    expect(deliver(pair, 'client', { type: 'opened', stream: 1, bound: BOUND })).toBe('frame-malformed')
    expect(deliver(pair, 'client', { type: 'refused', stream: 1, error: 9, reference: '' })).toBe(
      'frame-malformed',
    )
  })
})

describe('frames out of their order', () => {
  it.each([
    ['data', data(1)],
    ['fin', { type: 'fin', stream: 1 }],
  ] as Array<[string, Frame]>)('%s before OPENED', (_name, frame) => {
    const pair = new Pair({ autoAccept: false })
    pair.open()
    pair.settle()
    expect(deliver(pair, 'gateway', frame)).toBe('frame-malformed')
  })

  it('OPENED twice, and REFUSED after OPENED', () => {
    const pair = new Pair()
    pair.connect()
    expect(deliver(pair, 'gateway', { type: 'opened', stream: 1, bound: BOUND })).toBe('frame-malformed')
    expect(deliver(pair, 'gateway', { type: 'refused', stream: 1, error: 9, reference: '' })).toBe(
      'frame-malformed',
    )
  })

  it.each(['client', 'gateway'] as const)('data and FIN after FIN, from the %s', (side) => {
    for (const frame of [data(1), { type: 'fin', stream: 1 } as const]) {
      const pair = new Pair()
      const { near, far } = pair.connect()
      ;(side === 'client' ? near : far).finish()
      pair.settle()
      expect(deliver(pair, side, frame)).toBe('frame-malformed')
    }
  })

  it('CREDIT before OPENED is early, not wrong', () => {
    const pair = new Pair({ autoAccept: false })
    const near = pair.open()
    pair.settle()
    expect(deliver(pair, 'gateway', { type: 'credit', stream: 1, offset: 100_000 })).toBe('taken')
    pair.gateway.accept(pair.accepted[0]!.stream, BOUND)
    pair.settle()
    expect(near.heard).toEqual(['opened 192.0.2.7:4711'])
  })
})

describe('credit', () => {
  it.each(['client', 'gateway'] as const)('one byte past it, from the %s', (side) => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    const receiver = side === 'client' ? far : near
    receiver.reading = false
    for (let sent = 0; sent < INITIAL_WINDOW_BYTES; sent += 16_384) {
      expect(deliver(pair, side, data(1, 16_384))).toBe('taken')
    }
    expect(deliver(pair, side, data(1, 1))).toBe('credit-exceeded')
    expect(receiver.received.length).toBe(INITIAL_WINDOW_BYTES)
  })

  it('one frame that is larger than all of it', () => {
    const pair = new Pair()
    pair.connect().far.reading = false
    expect(deliver(pair, 'client', data(1, 40_000))).toBe('taken')
    expect(deliver(pair, 'client', data(1, 40_000))).toBe('credit-exceeded')
  })

  it('that falls is ignored: offsets are absolute, and frames may cross', () => {
    const pair = new Pair()
    const { near, far } = pair.connect()
    far.reading = false
    expect(deliver(pair, 'gateway', { type: 'credit', stream: 1, offset: 10 })).toBe('taken')
    expect(deliver(pair, 'gateway', { type: 'credit', stream: 1, offset: 0 })).toBe('taken')
    near.say(Buffer.alloc(50_000))
    pair.settle()
    expect(far.received.length).toBe(50_000)
  })
})

describe('whatever comes', () => {
  it('a session takes it or throws a coded error', () => {
    const kinds = ['open', 'opened', 'refused', 'data', 'credit', 'fin', 'reset', 'goaway'] as const
    const anyFrame = fc.record({
      kind: fc.constantFrom(...kinds),
      stream: fc.integer({ min: 0, max: 8 }),
      number: fc.nat(70_000),
    })
    const build = ({
      kind,
      stream,
      number,
    }: {
      kind: (typeof kinds)[number]
      stream: number
      number: number
    }): Frame => {
      switch (kind) {
        case 'open':
          return open(stream)
        case 'opened':
          return { type: kind, stream, bound: BOUND }
        case 'refused':
          return { type: kind, stream, error: number & 0xffff, reference: '' }
        case 'data':
          return data(stream, 1 + (number % 65_536))
        case 'credit':
          return { type: kind, stream, offset: number }
        case 'fin':
          return { type: kind, stream }
        default:
          return { type: kind, stream, error: number & 0xffff }
      }
    }
    fc.assert(
      fc.property(
        fc.constantFrom('client', 'gateway'),
        fc.array(anyFrame, { maxLength: 30 }),
        (side, frames) => {
          const pair = new Pair()
          pair.connect()
          pair.connect()
          for (const frame of frames) if (deliver(pair, side, build(frame)) !== 'taken') break
          expect(pair.gateway.streamCount).toBeLessThanOrEqual(2 + frames.length)
        },
      ),
      { numRuns: 200 },
    )
  })
})
