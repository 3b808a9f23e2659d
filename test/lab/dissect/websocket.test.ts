// WebSocket streams as captured: unmasked, joined, and every message's bytes traced back to the stream.
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dissectWebSocket } from '../../../src/lab/dissect/websocket.ts'

const UPGRADE = 'GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const ACCEPTED = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d])

/** RFC 6455 section 5.2. */
function frame(opcode: number, payload: Uint8Array, { masked = false, final = true } = {}): Buffer {
  const size = payload.length
  const length = size < 126 ? [size] : size < 0x10000 ? [126, size >> 8, size & 255] : [127, 0, 0, 0, 0]
  if (length[0] === 127) length.push(size >>> 24, (size >> 16) & 255, (size >> 8) & 255, size & 255)
  length[0] = (length[0] ?? 0) | (masked ? 0x80 : 0)
  const body = masked ? payload.map((byte, at) => byte ^ (MASK[at % 4] ?? 0)) : payload
  const head = Buffer.from([(final ? 0x80 : 0) | opcode, ...length])
  return Buffer.concat([head, masked ? MASK : Buffer.alloc(0), body])
}

const client = (...frames: Uint8Array[]): Buffer => Buffer.concat([Buffer.from(UPGRADE), ...frames])
const server = (...frames: Uint8Array[]): Buffer => Buffer.concat([Buffer.from(ACCEPTED), ...frames])

describe('dissectWebSocket', () => {
  it('unmasks the examples of RFC 6455 section 5.7', () => {
    const masked = Buffer.from('818537fa213d7f9f4d5158', 'hex')
    const fragments = Buffer.from('010348656c80026c6f', 'hex')
    const fromClient = dissectWebSocket(client(masked), 'client')
    expect(Buffer.from(fromClient?.messages[0]?.payload ?? []).toString()).toBe('Hello')
    const fromServer = dissectWebSocket(server(fragments), 'server')
    expect(fromServer?.messages).toHaveLength(1)
    expect(fromServer?.messages[0]).toMatchObject({
      kind: 'text',
      payload: Buffer.from('Hello'),
      masked: false,
      offset: ACCEPTED.length,
      length: fragments.length,
      spans: [
        { at: 0, offset: ACCEPTED.length + 2, length: 3 },
        { at: 3, offset: ACCEPTED.length + 7, length: 2 },
      ],
    })
    expect(fromServer?.rest).toBe(ACCEPTED.length + fragments.length)
  })

  it('names the fields of the upgrade', () => {
    const fields = dissectWebSocket(client(), 'client')?.fields
    expect(fields).toContainEqual({ name: 'http.uri', value: '/tunnel', offset: 4, length: 7 })
  })

  it('lets control frames stand between fragments', () => {
    const stream = server(
      frame(2, Buffer.from('ab'), { final: false }),
      frame(9, Buffer.from('ping')),
      frame(0, Buffer.from('cd'), { final: false }),
      frame(10, Buffer.alloc(0)),
      frame(0, Buffer.from('ef')),
      frame(8, Buffer.from([3, 232])),
    )
    const found = dissectWebSocket(stream, 'server')
    expect(
      found?.messages.map(({ kind, payload }) => [kind, Buffer.from(payload).toString('latin1')]),
    ).toEqual([
      ['ping', 'ping'],
      ['pong', ''],
      ['binary', 'abcdef'],
      ['close', '\u0003\u00e8'],
    ])
  })

  it('gives back any messages in any fragments, and the bytes that they stand in', () => {
    const message = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(fc.array(message, { maxLength: 4 }), fc.boolean(), (messages, masked) => {
        const frames = messages.flatMap((pieces) =>
          pieces.map((piece, at) =>
            frame(at === 0 ? 2 : 0, piece, { masked, final: at === pieces.length - 1 }),
          ),
        )
        const stream = masked ? client(...frames) : server(...frames)
        const found = dissectWebSocket(stream, masked ? 'client' : 'server')
        expect(found?.messages.map(({ payload }) => Buffer.from(payload).toString('hex'))).toEqual(
          messages.map((pieces) => Buffer.concat(pieces).toString('hex')),
        )
        for (const { payload, spans } of found?.messages ?? []) {
          const traced = spans.map((span) => {
            const sent = stream.subarray(span.offset, span.offset + span.length)
            return masked ? sent.map((byte, at) => byte ^ (MASK[at % 4] ?? 0)) : sent
          })
          expect(Buffer.concat(traced).equals(payload)).toBe(true)
        }
      }),
      { numRuns: 50 },
    )
  })

  it('reads a frame of more than 64 KiB', () => {
    const payload = Buffer.alloc(70_000, 7)
    const found = dissectWebSocket(client(frame(2, payload, { masked: true })), 'client')
    expect(Buffer.from(found?.messages[0]?.payload ?? []).equals(payload)).toBe(true)
  })

  it('leaves out what is cut short, in every prefix', () => {
    const first = frame(2, Buffer.alloc(130, 1), { masked: true })
    const stream = client(first, frame(1, Buffer.from('second'), { masked: true }))
    for (let length = 0; length < stream.length; length += 1) {
      const found = dissectWebSocket(stream.subarray(0, length), 'client')
      const whole = length < UPGRADE.length ? undefined : length < UPGRADE.length + first.length ? 0 : 1
      expect(found?.messages.length).toBe(whole)
    }
  })

  it.each([
    ['a request that is no upgrade', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'client'],
    ['a refusal', Buffer.from('HTTP/1.1 403 Forbidden\r\nUpgrade: websocket\r\n\r\n'), 'server'],
    ['another upgrade', Buffer.from('HTTP/1.1 101 X\r\nUpgrade: h2c\r\n\r\n'), 'server'],
    ['another protocol', Buffer.from('220 mail\r\n\r\n'), 'server'],
    ['a client without a mask', client(frame(1, Buffer.from('a'))), 'client'],
    ['a server with a mask', server(frame(1, Buffer.from('a'), { masked: true })), 'server'],
    ['a compressed frame', server(Buffer.from([0xc1, 1, 65])), 'server'],
    ['an unknown opcode', server(Buffer.from([0x83, 1, 65])), 'server'],
    ['a continuation of nothing', server(frame(0, Buffer.from('a'))), 'server'],
    [
      'a message inside another',
      server(frame(1, Buffer.from('a'), { final: false }), frame(1, Buffer.from('b'))),
      'server',
    ],
    ['a control frame in fragments', server(frame(9, Buffer.from('a'), { final: false })), 'server'],
    ['a control frame that is too long', server(frame(9, Buffer.alloc(126))), 'server'],
    [
      'a length without end',
      server(Buffer.from([0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255])),
      'server',
    ],
  ] as const)('refuses %s', (_, stream, side) => {
    expect(() => dissectWebSocket(stream, side)).toThrow(expect.objectContaining({ code: 'bad-request' }))
  })
})
