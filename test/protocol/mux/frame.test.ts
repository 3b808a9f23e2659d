// The tunnel's frames, both ways: hex vectors whole, cut short everywhere and with a byte too many; round trips of
// every frame there can be; and bytes without sense, which may end in nothing but a coded error.
import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { describe, expect, it } from 'vitest'
import { GatewayError, type ErrorCode } from '../../../src/errors.ts'
import { decodeAddress, encodeAddress } from '../../../src/protocol/mux/address.ts'
import {
  decodeFrame,
  encodeFrame,
  FRAME_TYPES,
  HEADER_BYTES,
  MAX_FRAME_BYTES,
  MAX_PAYLOAD_BYTES,
  type Frame,
} from '../../../src/protocol/mux/frame.ts'
import { bytesOf, FRAMES, MALFORMED } from './vectors.ts'

const CODES: readonly ErrorCode[] = [
  'frame-malformed',
  'frame-unknown',
  'frame-too-large',
  'address-type-unsupported',
]

/** Gives the code of the error; anything else that is thrown fails the test. */
function codeOf(decode: () => unknown): ErrorCode | 'decoded' {
  try {
    decode()
    return 'decoded'
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown.code
    throw thrown
  }
}

describe('each frame', () => {
  it.each(FRAMES)('$name is read', ({ hex, frame }) => {
    expect(decodeFrame(bytesOf(hex))).toEqual(frame)
  })

  it.each(FRAMES)('$name is read out of the middle of a larger buffer', ({ hex, frame }) => {
    const bytes = bytesOf(hex)
    const around = Buffer.alloc(bytes.length + 20, 0xee)
    bytes.copy(around, 7)
    expect(decodeFrame(around.subarray(7, 7 + bytes.length))).toEqual(frame)
  })

  it.each(FRAMES)('$name is written', ({ hex, frame }) => {
    expect(encodeFrame(frame).toString('hex')).toBe(bytesOf(hex).toString('hex'))
  })

  it.each(FRAMES)('$name cut short anywhere is malformed', ({ hex, shortest }) => {
    const bytes = bytesOf(hex)
    for (let length = 0; length < bytes.length; length += 1) {
      const code = codeOf(() => decodeFrame(bytes.subarray(0, length)))
      const isFrame = shortest !== undefined && length >= shortest
      if (isFrame) expect([length, code]).toEqual([length, 'decoded'])
      else expect(CODES).toContain(code)
    }
  })

  it.each(FRAMES)('$name with a byte too many is no longer that frame', ({ hex, frame, trailing }) => {
    const decode = (): unknown => decodeFrame(Buffer.concat([bytesOf(hex), Buffer.alloc(1)]))
    expect(codeOf(decode)).toBe(trailing === 'accepted' ? 'decoded' : 'frame-malformed')
    if (trailing === 'accepted') expect(decode()).not.toEqual(frame)
  })

  it('has a vector', () => {
    expect(new Set(FRAMES.map(({ frame }) => frame.type))).toEqual(new Set(Object.keys(FRAME_TYPES)))
    for (const { hex, frame } of FRAMES) expect(bytesOf(hex)[0]).toBe(FRAME_TYPES[frame.type])
  })
})

describe('refused', () => {
  it.each(MALFORMED)('%s', (_name, hex, code) => {
    expect(codeOf(() => decodeFrame(bytesOf(hex)))).toBe(code)
  })

  it('one byte more than a frame may have', () => {
    const largest = Buffer.alloc(MAX_FRAME_BYTES)
    largest[0] = FRAME_TYPES.data
    expect(decodeFrame(largest)).toMatchObject({ type: 'data' })
    expect(codeOf(() => decodeFrame(Buffer.concat([largest, Buffer.alloc(1)])))).toBe('frame-too-large')
    expect(MAX_FRAME_BYTES).toBe(HEADER_BYTES + MAX_PAYLOAD_BYTES)
  })

  it.each([0, 9, 10, 11, 12, 13, 14, 15, 16, 64, 128, 255])('type %i', (type) => {
    expect(codeOf(() => decodeFrame(Buffer.from([type, 0, 0, 0, 1, 0, 0])))).toBe('frame-unknown')
  })
})

describe('an address that is written', () => {
  it.each([
    ['127.0.0.1', '01 7f000001 0050'],
    ['::1', '04 00000000000000000000000000000001 0050'],
    ['fe80::1%eth0', '04 fe800000000000000000000000000001 0050'],
    ['::ffff:192.0.2.7', '04 00000000000000000000ffffc0000207 0050'],
    ['localhost', '03 09 6c6f63616c686f7374 0050'],
    ['127.1', '03 05 3132372e31 0050'],
    ['a'.repeat(255), `03 ff ${'61'.repeat(255)} 0050`],
  ])('%s', (host, hex) => {
    expect(Buffer.from(encodeAddress(host, 80)).toString('hex')).toBe(bytesOf(hex).toString('hex'))
  })

  it.each([
    ['nothing', ''],
    ['256 characters', 'a'.repeat(256)],
    ['a space', 'site example'],
    ['a letter that is not ASCII', 'sité.example'],
    ['a letter that is not Latin', 'сайт.example'],
    ['a line', 'site\r\nexample'],
  ])('is none that its reader would refuse: %s', (_name, host) => {
    expect(codeOf(() => encodeAddress(host, 80))).toBe('bad-request')
  })
})

const host = fc.oneof(
  fc.ipV4(),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => ipaddr.fromByteArray([...bytes]).toString()),
  fc.stringMatching(/^[!-$&-9;-~]{1,255}$/).filter((name) => !ipaddr.isValid(name)),
)
const port = fc.integer({ min: 0, max: 65_535 })
const stream = fc.integer({ min: 0, max: 0xffffffff })
const error = fc.integer({ min: 0, max: 0xffff })
const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({
    type: fc.constant('open' as const),
    stream,
    kind: fc.constantFrom('tcp' as const, 'udp' as const),
    destination: fc.record({ host, port }),
  }),
  fc.record({
    type: fc.constant('opened' as const),
    stream,
    bound: fc.record({ address: host, port }),
  }),
  fc.record({
    type: fc.constant('refused' as const),
    stream,
    error,
    reference: fc.stringMatching(/^[0-9a-z-]{0,32}$/),
  }),
  fc.record({
    type: fc.constant('data' as const),
    stream,
    payload: fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  }),
  fc.record({
    type: fc.constant('credit' as const),
    stream,
    offset: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  }),
  fc.record({ type: fc.constant('fin' as const), stream }),
  fc.record({ type: fc.constantFrom('reset' as const, 'goaway' as const), stream, error }),
)

describe('properties', () => {
  it('what is written is read as the same', () => {
    fc.assert(
      fc.property(anyFrame, (frame) => {
        expect(decodeFrame(encodeFrame(frame))).toEqual(frame)
      }),
      { numRuns: 300 },
    )
  })

  it('an address that is written is read as the same', () => {
    fc.assert(
      fc.property(host, port, (name, number) => {
        expect(decodeAddress(encodeAddress(name, number))).toEqual({ host: name, port: number })
      }),
    )
  })

  it('whatever a host is, it is written so that its reader takes it, or not at all', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (name) => {
        if (codeOf(() => encodeAddress(name, 1)) !== 'decoded') return
        expect(codeOf(() => decodeAddress(encodeAddress(name, 1)))).toBe('decoded')
      }),
      { numRuns: 300 },
    )
  })

  it('garbage throws a coded error and nothing else', () => {
    const typed = fc
      .tuple(fc.integer({ min: 0, max: 16 }), fc.uint8Array({ maxLength: 64 }))
      .map(([type, rest]) => Uint8Array.from([type, ...rest]))
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), typed), (bytes) => {
        expect(['decoded', ...CODES]).toContain(codeOf(() => decodeFrame(bytes)))
      }),
      { numRuns: 300 },
    )
  })

  it('a frame with one byte changed, cut or added throws a coded error or is read', () => {
    fc.assert(
      fc.property(anyFrame, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat(2), (frame, at, byte, how) => {
        const bytes = [...encodeFrame(frame)]
        bytes.splice(at % bytes.length, how === 2 ? 0 : 1, ...(how === 0 ? [] : [byte]))
        expect(['decoded', ...CODES]).toContain(codeOf(() => decodeFrame(Uint8Array.from(bytes))))
      }),
      { numRuns: 600 },
    )
  })
})
