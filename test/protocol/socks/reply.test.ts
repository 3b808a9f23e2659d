// What a SOCKS client reads: replies in hex, and read back by a deliberately plain decoder.
import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { describe, expect, it } from 'vitest'
import { ERROR_ANSWERS, isErrorCode } from '../../../src/errors.ts'
import { encodeSocks4Reply, encodeSocks5Reply, socksRefusal } from '../../../src/protocol/socks/reply.ts'

const hexOf = (bytes: Uint8Array) =>
  Buffer.from(bytes)
    .toString('hex')
    .replaceAll(/(..)(?=.)/g, '$1 ')

/** RFC 1928 §6. */
function decodeSocks5Reply(bytes: Uint8Array) {
  const wire = Buffer.from(bytes)
  const address = ipaddr.fromByteArray([...wire.subarray(4, -2)])
  expect([wire[0], wire[2], wire[3]]).toEqual([5, 0, address.kind() === 'ipv4' ? 1 : 4])
  return { reply: wire[1], address: address.toString(), port: wire.readUInt16BE(wire.length - 2) }
}

describe('encodeSocks5Reply', () => {
  it.each([
    ['IPv4', '192.0.2.1', '05 00 00 01 c0 00 02 01 1f 90'],
    ['IPv6', '2001:db8::1', '05 00 00 04 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01 1f 90'],
    ['a mapped address, as IPv4', '::ffff:192.0.2.1', '05 00 00 01 c0 00 02 01 1f 90'],
    [
      'an address with a zone',
      'fe80::1%eth0',
      '05 00 00 04 fe 80 00 00 00 00 00 00 00 00 00 00 00 00 00 01 1f 90',
    ],
    ['no address', '', '05 00 00 01 00 00 00 00 1f 90'],
    ['a name', 'example.org', '05 00 00 01 00 00 00 00 1f 90'],
  ])('RFC 1928 §6: %s', (_, address, hex) => {
    expect(hexOf(encodeSocks5Reply(0, { address, port: 8080 }))).toBe(hex)
  })

  it('is read back as it was', () => {
    const address = fc.oneof(
      fc.ipV4(),
      fc
        .uint8Array({ minLength: 16, maxLength: 16 })
        .map((bytes) => ipaddr.fromByteArray([...bytes]).toString()),
    )
    fc.assert(
      fc.property(fc.nat({ max: 8 }), address, fc.nat({ max: 65_535 }), (reply, text, port) => {
        const expected = { reply, address: ipaddr.process(text).toString(), port }
        expect(decodeSocks5Reply(encodeSocks5Reply(reply, { address: text, port }))).toEqual(expected)
      }),
    )
  })
})

describe('encodeSocks4Reply', () => {
  it.each([
    [true, '192.0.2.1', '00 5a 1f 90 c0 00 02 01'],
    [false, '192.0.2.1', '00 5b 1f 90 c0 00 02 01'],
    [true, '::ffff:192.0.2.1', '00 5a 1f 90 c0 00 02 01'],
    [true, '2001:db8::1', '00 5a 1f 90 00 00 00 00'],
  ])('granted %s, bound to %s', (granted, address, hex) => {
    expect(hexOf(encodeSocks4Reply(granted, { address, port: 8080 }))).toBe(hex)
  })
})

describe('socksRefusal', () => {
  it.each([
    [5, 'connection-refused', '05 05 00 01 00 00 00 00 00 00'],
    [5, 'destination-denied', '05 02 00 01 00 00 00 00 00 00'],
    [5, 'dial-timeout', '05 06 00 01 00 00 00 00 00 00'],
    [4, 'connection-refused', '00 5b 00 00 00 00 00 00'],
  ] as const)('SOCKS%i, %s', (version, code, hex) => {
    expect(hexOf(socksRefusal(version, code))).toBe(hex)
  })

  it('has a reply that says failure for every error', () => {
    for (const code of Object.keys(ERROR_ANSWERS).filter(isErrorCode)) {
      expect(socksRefusal(5, code)[1]).toBe(ERROR_ANSWERS[code].socks5)
      expect(socksRefusal(5, code)[1]).toBeGreaterThan(0)
      expect(socksRefusal(4, code)[1]).toBe(0x5b)
    }
  })
})
