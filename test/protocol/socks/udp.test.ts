// The header of RFC 1928 section 7, in vectors, cut short at each length, and against garbage.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../../src/errors.ts'
import { decodeUdpMessage, encodeUdpHeader } from '../../../src/protocol/socks/udp.ts'

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** Header and what it means; the payload is `68 69` in each. */
const WELL_FORMED: ReadonlyArray<
  readonly [name: string, header: string, host: string, port: number, fragment: number]
> = [
  ['IPv4', '0000 00 01 5db8d70e 0035', '93.184.215.14', 53, 0],
  ['IPv6', '0000 00 04 20010db8000000000000000000000001 01bb', '2001:db8::1', 443, 0],
  ['a name', '0000 00 03 0b 6578616d706c652e6f7267 ffff', 'example.org', 65535, 0],
  ['a name of one letter', '0000 00 03 01 61 0001', 'a', 1, 0],
  ['a first fragment', '0000 01 01 7f000001 0035', '127.0.0.1', 53, 1],
  ['a last fragment', '0000 83 01 7f000001 0035', '127.0.0.1', 53, 0x83],
]

const MALFORMED: ReadonlyArray<readonly [name: string, bytes: string, code: string]> = [
  ['nothing', '', 'bad-request'],
  ['a first reserved byte that is not 0', '0100 00 01 7f000001 0035 68', 'bad-request'],
  ['a second reserved byte that is not 0', '0001 00 01 7f000001 0035 68', 'bad-request'],
  ['port 0', '0000 00 01 7f000001 0000 68', 'bad-request'],
  ['an empty name', '0000 00 03 00 0035 68', 'bad-request'],
  ['a name with a space', '0000 00 03 03 612062 0035 68', 'bad-request'],
  ['a name with a NUL', '0000 00 03 03 610062 0035 68', 'bad-request'],
  ['address type 0', '0000 00 00 7f000001 0035 68', 'address-type-unsupported'],
  ['address type 2', '0000 00 02 7f000001 0035 68', 'address-type-unsupported'],
]

describe('a datagram of a client', () => {
  it.each(WELL_FORMED)('with %s', (_name, header, host, port, fragment) => {
    const { payload, ...rest } = decodeUdpMessage(bytesOf(`${header} 6869`))
    expect(rest).toEqual({ destination: { host, port }, fragment })
    expect(hexOf(payload)).toBe('6869')
  })

  it.each(WELL_FORMED)('may have an empty payload, with %s', (_name, header) => {
    expect(decodeUdpMessage(bytesOf(header)).payload).toHaveLength(0)
  })

  it.each(WELL_FORMED)('is malformed at every length short of its header, with %s', (_name, header) => {
    const whole = bytesOf(header)
    for (let length = 0; length < whole.length; length += 1) {
      expect(codeOf(() => decodeUdpMessage(whole.subarray(0, length)))).toBe('bad-request')
    }
  })

  it.each(MALFORMED)('is refused: %s', (_name, bytes, code) => {
    expect(codeOf(() => decodeUdpMessage(bytesOf(bytes)))).toBe(code)
  })

  it('throws nothing but a GatewayError of the client, and never reads past its end', () => {
    const likely = fc.tuple(
      fc.constantFrom(0, 0, 0, 1),
      fc.constantFrom(0, 0, 0, 1),
      fc.nat(255),
      fc.constantFrom(1, 3, 4, 0, 5),
      fc.uint8Array(),
    )
    const garbage = fc.oneof(
      fc.uint8Array(),
      likely.map(([a, b, c, d, rest]) => Uint8Array.from([a, b, c, d, ...rest])),
    )
    fc.assert(
      fc.property(garbage, (bytes) => {
        try {
          const { destination, payload } = decodeUdpMessage(bytes)
          expect(destination.port).toBeGreaterThan(0)
          expect(destination.host).not.toBe('')
          expect(payload.length).toBeLessThanOrEqual(bytes.length - 7)
        } catch (thrown) {
          if (!(thrown instanceof GatewayError)) throw thrown
          expect(['bad-request', 'address-type-unsupported']).toContain(thrown.code)
          expect(thrown.side).toBe('client')
        }
      }),
      { numRuns: 100_000 },
    )
  })
})

describe('the header of a reply', () => {
  it.each([
    ['93.184.215.14', 53, '000000015db8d70e0035'],
    ['2001:db8::1', 443, '000000042001 0db8000000000000000000000001 01bb'],
    ['::ffff:10.0.0.1', 53, '000000010a0000010035'],
    ['fe80::1%eth0', 1, '00000004 fe800000000000000000000000000001 0001'],
  ])('from %s:%d', (address, port, hex) => {
    expect(hexOf(encodeUdpHeader({ address, port }))).toBe(hex.replaceAll(' ', ''))
  })

  it('is what the decoder reads', () => {
    const address = fc.oneof(
      fc.ipV4(),
      fc.ipV6().filter((text) => !/[.]|^::ffff:/i.test(text)),
    )
    fc.assert(
      fc.property(address, fc.integer({ min: 1, max: 65_535 }), fc.uint8Array(), (from, port, payload) => {
        const header = encodeUdpHeader({ address: from, port })
        const message = decodeUdpMessage(Uint8Array.from([...header, ...payload]))
        expect(
          hexOf(encodeUdpHeader({ address: message.destination.host, port: message.destination.port })),
        ).toBe(hexOf(header))
        expect([...message.payload]).toEqual([...payload])
      }),
    )
  })
})

function codeOf(act: () => unknown): string {
  try {
    act()
  } catch (thrown) {
    return thrown instanceof GatewayError ? thrown.code : String(thrown)
  }
  return 'nothing thrown'
}
