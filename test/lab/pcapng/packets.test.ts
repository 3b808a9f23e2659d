// The packets that are made up around recorded bytes: the sequence numbers add up, each direction's bytes come out as they
// passed, numbers and offsets lead to them, and what is recorded later changes none of what stands before.
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Recorder, streamBytes, type CapturedConnection, type Direction } from '../../../src/lab/capture.ts'
import { frameAt, joinCapture } from '../../../src/lab/pcapng/frames.ts'
import { packetsOf } from '../../../src/lab/pcapng/packets.ts'
import { readSegment, type ReadSegment } from '../../support/pcapng.ts'

const CLIENT = { address: '127.1.2.3', port: 40_000 }
const SITE = { address: '127.4.5.6', port: 80 }
const SEGMENT_BYTES = 1460

type Step = readonly [Direction, bytes: number | 'fin' | 'reset']

/** A connection to which these things happened, one after the other. */
function connectionOf(steps: readonly Step[], from = CLIENT, to = SITE): CapturedConnection {
  const recorder = new Recorder()
  const { connection, record, end } = recorder.connection(from, to)
  let filled = 0
  for (const [direction, what] of steps) {
    if (typeof what === 'string') end(direction, what)
    else record(direction, Buffer.alloc(what, (filled += 1)))
  }
  return connection
}

const segmentsOf = (...connections: CapturedConnection[]): ReadSegment[] =>
  packetsOf(connections).map(({ bytes }) => readSegment(bytes))

/** `>PA 100` for each packet: who sent it, its flags, how much it carries. */
const outline = (segments: readonly ReadSegment[]): string[] =>
  segments.map(
    ({ from, flags, payload }) => `${from === CLIENT.address ? '>' : '<'}${flags} ${payload.length}`,
  )

describe('a TCP connection', () => {
  it('has a handshake, data that acknowledges, and two orderly ends', () => {
    const segments = segmentsOf(
      connectionOf([
        ['up', 100],
        ['down', 50],
        ['up', 'fin'],
        ['down', 'fin'],
      ]),
    )
    expect(outline(segments)).toEqual([
      '>S 0',
      '<SA 0',
      '>A 0',
      '>PA 100',
      '<PA 50',
      '>FA 0',
      '<A 0',
      '<FA 0',
      '>A 0',
    ])
    const first = { up: segments[0]?.sequence ?? 0, down: segments[1]?.sequence ?? 0 }
    const relative = segments.map(({ from, sequence, acknowledged }) =>
      from === CLIENT.address
        ? [sequence - first.up, acknowledged - first.down]
        : [sequence - first.down, acknowledged - first.up],
    )
    expect(relative).toEqual([
      [0, -first.down],
      [0, 1],
      [1, 1],
      [1, 1],
      [1, 101],
      [101, 51],
      [51, 102],
      [51, 102],
      [102, 52],
    ])
  })

  it('cuts a long chunk into segments that Ethernet carries, and acknowledges every second', () => {
    const packets = packetsOf([connectionOf([['down', 4 * SEGMENT_BYTES + 1]])])
    expect(outline(packets.map(({ bytes }) => readSegment(bytes))).slice(3)).toEqual([
      `<PA ${SEGMENT_BYTES}`,
      `<PA ${SEGMENT_BYTES}`,
      '>A 0',
      `<PA ${SEGMENT_BYTES}`,
      `<PA ${SEGMENT_BYTES}`,
      '>A 0',
      '<PA 1',
    ])
    expect(Math.max(...packets.map(({ bytes }) => bytes.length))).toBe(1514)
  })

  it('goes on one way after the other has ended', () => {
    expect(
      outline(
        segmentsOf(
          connectionOf([
            ['up', 'fin'],
            ['down', 9],
            ['down', 'fin'],
          ]),
        ),
      ).slice(3),
    ).toEqual(['>FA 0', '<A 0', '<PA 9', '<FA 0', '>A 0'])
  })

  it('is broken off after all that was recorded, once, and without an orderly end behind', () => {
    expect(
      outline(
        segmentsOf(
          connectionOf([
            ['up', 'reset'],
            ['down', 9],
            ['down', 'reset'],
          ]),
        ),
      ).slice(3),
    ).toEqual(['<PA 9', '>RA 0'])
  })

  it('goes on from 0 where the sequence numbers end', () => {
    const from = { ...CLIENT, port: 65_535 }
    const connection = connectionOf([['up', 100_000]], from, { ...SITE, port: 65_000 })
    const segments = segmentsOf(connection)
    expect(Math.min(...segments.map(({ sequence }) => sequence))).toBeLessThan(1_500)
    expect(segments.every(({ checksumsHold }) => checksumsHold)).toBe(true)
  })

  it('that is still open has no end', () => {
    expect(outline(segmentsOf(connectionOf([['up', 1]])))).toEqual(['>S 0', '<SA 0', '>A 0', '>PA 1'])
  })

  it('over IPv6 has segments that fit too', () => {
    const [from, to] = [
      { address: '::1', port: 1 },
      { address: '2001:db8::2', port: 2 },
    ]
    const packets = packetsOf([connectionOf([['up', 3_000]], from, to)])
    const segments = packets.map(({ bytes }) => readSegment(bytes))
    expect(Math.max(...packets.map(({ bytes }) => bytes.length))).toBe(1514)
    expect(segments.every(({ checksumsHold }) => checksumsHold)).toBe(true)
    expect(segments[0]).toMatchObject({ from: `${'0'.repeat(31)}1`, toPort: 2, flags: 'S' })
  })

  it('cannot lie between two families', () => {
    expect(() => packetsOf([connectionOf([], { address: '::1', port: 1 }, SITE)])).toThrow(
      expect.objectContaining({ code: 'bad-request' }),
    )
  })
})

describe('datagrams', () => {
  it('are one packet each, the empty ones too, and nothing besides', () => {
    const recorder = new Recorder()
    const { connection, record } = recorder.connection(CLIENT, { ...SITE, port: 53 }, 'udp')
    record('up', Buffer.from('question'))
    record('down', Buffer.alloc(0))
    record('down', Buffer.alloc(9_000, 1))
    const segments = segmentsOf(connection)
    expect(segments.map(({ protocol, payload }) => [protocol, payload.length])).toEqual([
      ['udp', 8],
      ['udp', 0],
      ['udp', 9_000],
    ])
    expect(segments.every(({ checksumsHold }) => checksumsHold)).toBe(true)
    expect(joinCapture([connection])[0]?.frames.map(({ number }) => number)).toEqual([1, 2, 3])
  })
})

describe('numbers and offsets', () => {
  it('lead to the packet and the place in it, from its first byte of Ethernet', () => {
    const [joined] = joinCapture([
      connectionOf([
        ['up', 10],
        ['down', 2_000],
        ['up', 5],
      ]),
    ])
    if (joined === undefined) throw new Error('a connection was given')
    // Behind the handshake's three.
    expect([0, 9, 10, 14, 15].map((at) => frameAt(joined, 'up', at))).toEqual([
      { frame: 4, offset: 54 },
      { frame: 4, offset: 63 },
      // The client's acknowledgement of two segments stands between.
      { frame: 8, offset: 54 },
      { frame: 8, offset: 58 },
      undefined,
    ])
    expect([0, SEGMENT_BYTES - 1, SEGMENT_BYTES].map((at) => frameAt(joined, 'down', at))).toEqual([
      { frame: 5, offset: 54 },
      { frame: 5, offset: 1513 },
      { frame: 6, offset: 54 },
    ])
  })

  it('count over all connections of a capture, in the order of time', () => {
    const recorder = new Recorder()
    const one = recorder.connection(CLIENT, SITE)
    one.record('up', Buffer.from('a'))
    const two = recorder.connection({ ...CLIENT, port: 40_001 }, SITE)
    two.record('up', Buffer.from('b'))
    one.record('down', Buffer.from('c'))
    const [first, second] = joinCapture(recorder.take())
    expect(first?.frames.map(({ number }) => number)).toEqual([4, 9])
    expect(second?.frames.map(({ number }) => number)).toEqual([8])
  })
})

describe('any recording', () => {
  const step = fc.tuple(
    fc.constantFrom<Direction>('up', 'down'),
    fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 1, max: 4_000 }) },
      { weight: 1, arbitrary: fc.constantFrom('fin' as const, 'reset' as const) },
    ),
  )
  const sendsOnlyBefore = (steps: readonly Step[]): Step[] =>
    steps.filter(([direction, what], index) => {
      const before = steps.slice(0, index)
      return what === 'reset' || !before.some(([side, was]) => side === direction && was === 'fin')
    })
  const recordings = fc.array(fc.array(step, { maxLength: 12 }), { minLength: 1, maxLength: 3 })

  it('comes out of its packets as it passed, with numbers that add up and checksums that hold', () => {
    fc.assert(
      fc.property(recordings, (lists) => {
        const connections = lists.map((steps, index) =>
          connectionOf(sendsOnlyBefore(steps), { ...CLIENT, port: 1 + index }),
        )
        const segments = segmentsOf(...connections)
        for (const [index, connection] of connections.entries()) {
          const port = 1 + index
          const own = segments.filter(({ fromPort, toPort }) => fromPort === port || toPort === port)
          expect(reassembled(own, 'up')).toEqual(streamBytes(connection, 'up'))
          expect(reassembled(own, 'down')).toEqual(streamBytes(connection, 'down'))
        }
        expect(segments.every(({ checksumsHold }) => checksumsHold)).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  it('keeps its packets when more is recorded, and gives the same when it was cut into them', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), fc.nat(12), (steps, cut) => {
        const whole = connectionOf(sendsOnlyBefore(steps).filter(([, what]) => what !== 'reset'))
        const count = Math.min(cut, whole.frames.length)
        const { atMs = whole.openedMs } = whole.frames[count - 1] ?? {}
        const begun = {
          ...whole,
          frames: whole.frames.slice(0, count),
          endings: whole.endings.filter((ending) => ending.atMs < atMs),
        }
        const all = packetsOf([whole]).map(({ bytes }) => bytes.toString('hex'))
        const first = packetsOf([begun]).map(({ bytes }) => bytes.toString('hex'))
        expect(all.slice(0, first.length)).toEqual(first)
        expect(packetsOf(joinCapture([whole])).map(({ bytes }) => bytes.toString('hex'))).toEqual(all)
      }),
      { numRuns: 100 },
    )
  })
})

/** Puts a direction together by its sequence numbers; every byte once, and each acknowledgement of what was sent. */
function reassembled(segments: readonly ReadSegment[], direction: Direction): Buffer {
  const isUp = (segment: ReadSegment): boolean => (segment.toPort === SITE.port) === (direction === 'up')
  const first = segments.find(isUp)
  let next = (first?.sequence ?? 0) + 1
  const pieces: Buffer[] = []
  for (const segment of segments) {
    if (!isUp(segment)) {
      if (segment.flags.includes('A')) expect(segment.acknowledged).toBe(next % 2 ** 32)
      continue
    }
    if (segment === first) continue
    expect(segment.sequence).toBe(next % 2 ** 32)
    pieces.push(segment.payload)
    next += segment.payload.length + (/[SF]/.test(segment.flags) ? 1 : 0)
  }
  return Buffer.concat(pieces)
}
