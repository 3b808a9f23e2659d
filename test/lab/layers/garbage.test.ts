// Property: whatever was captured, peeling ends and never throws, and what it found has a place inside the capture.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { peel } from '../../../src/lab/layers.ts'
import { clientHelloMessage, records, serverName } from '../dissect/hello-builder.ts'
import {
  CONNECT_HEAD,
  inConnect,
  inSocks,
  inTunnel,
  muxStream,
  UPGRADE_HEAD,
  webSocketFrame,
} from './wrapping.ts'

const HELLO = records(clientHelloMessage({ extensions: [serverName('site.example')] }))
/** The random of that hello, with secrets that fit nothing. */
const KEYLOG = ['CLIENT_HANDSHAKE', 'SERVER_HANDSHAKE', 'CLIENT', 'SERVER']
  .map(
    (name) =>
      `${name}_TRAFFIC_SECRET${name.includes('_') ? '' : '_0'} ${'52'.repeat(32)} ${'00'.repeat(32)}\n`,
  )
  .join('')
const TUNNEL = inTunnel(muxStream(1, 'site.example', { request: HELLO, response: HELLO, size: 20 }))

const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array))
/** Beginnings that bring garbage past the first look. */
const beginning = fc.constantFrom(
  Buffer.alloc(0),
  HELLO,
  Buffer.from([4, 1]),
  Buffer.from([5, 1, 0, 5, 1, 0]),
  Buffer.from(CONNECT_HEAD),
  Buffer.from(UPGRADE_HEAD),
  Buffer.from('HTTP/1.1 200 OK\r\n\r\n'),
  Buffer.from('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n'),
  Buffer.from([22, 3, 3]),
)
const side = fc.tuple(beginning, bytes).map((parts) => Buffer.concat(parts))

function check(streams: { up: Buffer; down: Buffer }): void {
  const { layers } = peel(streams, ['', 'not a key log', KEYLOG])
  for (const { bytes: found, place, direction, fields } of layers) {
    for (const { offset, length } of fields) expect(offset + length).toBeLessThanOrEqual(found.length)
    const first = place(0, Math.min(1, found.length))
    if (first !== undefined) expect(first.offset).toBeLessThanOrEqual(streams[direction].length)
  }
}

describe('peel of garbage', () => {
  it('never throws', () => {
    fc.assert(
      fc.property(side, side, (up, down) => check({ up, down })),
      { numRuns: 500 },
    )
  })

  it('never throws inside CONNECT, SOCKS or the tunnel’s frames', () => {
    const wrap = fc.constantFrom(
      inConnect,
      (streams: { up: Buffer; down: Buffer }) => inSocks(streams),
      (streams: { up: Buffer; down: Buffer }) => ({
        up: Buffer.concat([TUNNEL.up, webSocketFrame(streams.up, 9)]),
        down: Buffer.concat([TUNNEL.down, webSocketFrame(streams.down)]),
      }),
    )
    fc.assert(
      fc.property(wrap, side, side, (around, up, down) => check(around({ up, down }))),
      { numRuns: 500 },
    )
  })

  it('never throws at a real session with bytes changed or cut off', () => {
    const change = fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { maxLength: 5 })
    fc.assert(
      fc.property(change, fc.nat(2000), fc.nat(2000), (changes, upLength, downLength) => {
        const up = Buffer.from(TUNNEL.up.subarray(0, upLength))
        const down = Buffer.from(TUNNEL.down.subarray(0, downLength))
        for (const [at, value] of changes) {
          if (at < up.length) up[at] = value
          if (at < down.length) down[at] = value
        }
        check({ up, down })
      }),
      { numRuns: 500 },
    )
  })
})
