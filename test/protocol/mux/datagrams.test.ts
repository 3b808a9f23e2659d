// Datagrams in the tunnel: hex vectors of one, and streams of kind udp between two sessions. Whole or not at all, within
// the credit or dropped, and nothing held that waits.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../../src/errors.ts'
import { decodeDatagram, encodeDatagram, firstWindow } from '../../../src/protocol/mux/datagram.ts'
import { encodeFrame, MAX_PAYLOAD_BYTES } from '../../../src/protocol/mux/frame.ts'
import { Pair } from '../../support/mux-pair.ts'
import { bytesOf, DATAGRAMS, MALFORMED_DATAGRAMS } from './vectors.ts'

const PEER = { host: '192.0.2.53', port: 53 }
const ADDRESS_BYTES = 7
/** A payload that makes a DATA of so many bytes. */
const payload = (bytes: number): Buffer => Buffer.alloc(bytes - ADDRESS_BYTES, 'x')

function codeOf(action: () => unknown): string {
  try {
    action()
    return 'nothing'
  } catch (thrown) {
    return thrown instanceof GatewayError ? thrown.code : String(thrown)
  }
}

describe('one datagram', () => {
  it.each(DATAGRAMS)('$name is read and written', ({ hex, datagram }) => {
    const bytes = bytesOf(hex)
    expect(decodeDatagram(bytes)).toEqual(datagram)
    expect(Buffer.from(encodeDatagram(datagram.peer, datagram.payload)).equals(bytes)).toBe(true)
  })

  it.each(DATAGRAMS)('$name is malformed where it is cut in its address', ({ hex, datagram }) => {
    const bytes = bytesOf(hex)
    for (let length = 1; length < bytes.length - datagram.payload.length; length += 1)
      expect([length, codeOf(() => decodeDatagram(bytes.subarray(0, length)))]).toEqual([
        length,
        'frame-malformed',
      ])
  })

  it.each(MALFORMED_DATAGRAMS)('%s is refused', (_name, hex, code) => {
    expect(codeOf(() => decodeDatagram(bytesOf(hex)))).toBe(code)
  })

  it('of any kind comes back as it was', () => {
    const host = fc.oneof(fc.ipV4(), fc.domain(), fc.constantFrom('::1', '2001:db8::1', 'x'.repeat(255)))
    const peer = fc.record({ host, port: fc.integer({ min: 0, max: 65_535 }) })
    fc.assert(
      fc.property(peer, fc.uint8Array({ maxLength: 300 }), (to, bytes) => {
        expect(decodeDatagram(encodeDatagram(to, bytes))).toEqual({ peer: to, payload: bytes })
      }),
    )
  })
})

describe('a stream of kind udp', () => {
  const connect = (pair = new Pair()): { pair: Pair } & ReturnType<Pair['connect']> => {
    const ends = pair.connect({ host: '0.0.0.0', port: 0 }, 'udp')
    pair.takeLog()
    return { pair, ...ends }
  }

  it('keeps the borders of datagrams, and empty ones, both ways', () => {
    const { pair, near, far } = connect()
    for (const text of ['one', '', 'three']) expect(near.throw(PEER, text)).toBe(undefined)
    far.throw({ host: '2001:db8::1', port: 9 }, 'back')
    pair.settle()
    expect(far.datagrams).toEqual(['192.0.2.53:53 one', '192.0.2.53:53 ', '192.0.2.53:53 three'])
    expect(near.datagrams).toEqual(['2001:db8::1:9 back'])
    expect(pair.takeLog().filter((line) => line.startsWith('>'))).toEqual([
      '> data 1 (10)',
      '> data 1 (7)',
      '> data 1 (12)',
    ])
  })

  it('never divides a datagram, whatever its size', () => {
    const { pair, near, far } = connect()
    expect(near.throw(PEER, payload(MAX_PAYLOAD_BYTES))).toBe(undefined)
    expect(near.throw(PEER, payload(MAX_PAYLOAD_BYTES + 1))).toBe('too-large')
    pair.settle()
    expect(pair.takeLog()).toContain('> data 1 (65536)')
    expect(far.datagrams).toHaveLength(1)
  })

  it('drops what is past the credit, holds nothing, and goes on once there is credit again', () => {
    const { pair, near, far } = connect()
    far.reading = false
    const half = firstWindow('udp') / 2
    expect([near.throw(PEER, payload(half)), near.throw(PEER, payload(half))]).toEqual([undefined, undefined])
    expect(near.throw(PEER, payload(ADDRESS_BYTES))).toBe('no-credit')
    pair.settle()
    expect(near.throw(PEER, payload(ADDRESS_BYTES))).toBe('no-credit')
    expect(far.datagrams).toHaveLength(2)
    far.stream.consumed(half, pair.nowMs)
    pair.settle()
    expect(far.datagrams).toHaveLength(2)
    expect(near.throw(PEER, payload(half + 1))).toBe('too-large')
    expect(near.throw(PEER, payload(half))).toBe(undefined)
    expect(near.throw(PEER, '')).toBe('no-credit')
    pair.settle()
    expect(far.datagrams).toHaveLength(3)
  })

  it('holds no more than 128 KiB that wait for their turn, whatever the credit', () => {
    const { pair, near } = connect()
    pair.deliver('gateway', encodeFrame({ type: 'credit', stream: 1, offset: 100_000_000 }))
    const drops = Array.from({ length: 200 }, () => near.throw(PEER, payload(1_024)))
    expect(drops.filter((drop) => drop === undefined)).toHaveLength(128)
    expect(new Set(drops.slice(128))).toEqual(new Set(['queue-full']))
    pair.step('client')
    expect([near.throw(PEER, payload(1_024)), near.throw(PEER, payload(1_024))]).toEqual([
      undefined,
      'queue-full',
    ])
  })

  it('takes turns with the other streams', () => {
    const { pair, near } = connect()
    const other = pair.connect()
    pair.takeLog()
    other.near.say(Buffer.alloc(40_000))
    for (const text of ['one', 'two']) near.throw(PEER, text)
    pair.settle()
    const order = pair.takeLog().filter((line) => line.startsWith('> data'))
    expect(order.map((line) => line.split(' ')[2])).toEqual(['3', '1', '3', '1', '3'])
  })

  it('ends in order behind what was sent, and gives back what its window grew by', () => {
    const pair = new Pair({ gateway: { growthBudgetBytes: firstWindow('udp') } })
    pair.gateway.roundTripMs = 10
    for (let turn = 0; turn < 2; turn += 1) {
      const near = pair.open({ host: '0.0.0.0', port: 0 }, 'udp')
      pair.settle()
      const far = pair.accepted.at(-1)!
      for (let sent = 0; sent < 20; sent += 1) {
        near.throw(PEER, payload(60_000))
        pair.settle(1)
      }
      expect(far.stream.windowBytes).toBe(2 * firstWindow('udp'))
      near.throw(PEER, 'last')
      near.finish()
      pair.settle()
      expect(far.datagrams.at(-1)).toBe('192.0.2.53:53 last')
      expect(far.heard).toEqual(['fin'])
      far.finish()
      pair.settle()
      expect([pair.client.streamCount, pair.gateway.streamCount]).toEqual([0, 0])
    }
  })

  it.each(MALFORMED_DATAGRAMS)('ends its session where a datagram is %s', (_name, hex, code) => {
    const { pair } = connect()
    const bytes = encodeFrame({ type: 'data', stream: 1, payload: bytesOf(hex) })
    expect(codeOf(() => pair.deliver('client', bytes))).toBe(code)
  })

  it('is sent nothing past its end', () => {
    const { pair, near, far } = connect()
    near.stream.reset('stream-cancelled')
    expect(near.throw(PEER, 'late')).toBe(undefined)
    far.throw(PEER, 'crossed')
    pair.settle()
    expect([near.datagrams, far.datagrams, far.heard]).toEqual([[], [], ['reset stream-cancelled']])
  })
})
