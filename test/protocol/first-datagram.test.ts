// What the first datagram to a destination tells: examples of the RFCs, and what only looks like them.
import { describe, expect, it } from 'vitest'
import { classifyDatagram, isQuicInitial } from '../../src/protocol/first-datagram.ts'

const bytes = (hex: string, length = 0): Buffer => {
  const given = Buffer.from(hex.replaceAll(' ', ''), 'hex')
  return Buffer.concat([given, Buffer.alloc(Math.max(0, length - given.length), 0x5a)])
}

/** RFC 9001 appendix A.2 and RFC 9369 appendix A.2: the headers as they are sent, under header protection. */
const QUIC_1 = 'c0 00000001 08 8394c8f03e515708 00 00 449e 7b9aec34'
const QUIC_2 = 'd7 6b3343cf 08 8394c8f03e515708 00 00 449e a0c95e82'
const QUERY = '1234 0100 0001 0000 0000 0000 07 6578616d706c65 03 6f7267 00 0001 0001'
const EDNS = '1234 0120 0001 0000 0000 0001 07 6578616d706c65 00 001c 0001 00 0029 04d0 00000000 0000'

describe('classifyDatagram', () => {
  it.each([
    ['a QUIC Initial', bytes(QUIC_1, 1_200), 'quic'],
    ['a QUIC version 2 Initial', bytes(QUIC_2, 1_252), 'quic'],
    ['an Initial that is too short to be a client’s', bytes(QUIC_1, 1_199), 'other'],
    ['a QUIC Handshake packet', bytes(`e0${QUIC_1.slice(2)}`, 1_200), 'other'],
    ['a QUIC version 2 packet with the type of version 1', bytes(`c7${QUIC_2.slice(2)}`, 1_200), 'other'],
    ['another version of QUIC', bytes('c0 0000000a 08 8394c8f03e515708', 1_200), 'other'],
    ['a connection id that is too long', bytes('c0 00000001 15 8394c8f03e515708', 1_200), 'other'],
    ['a short header', bytes('40 8394c8f03e515708', 1_200), 'other'],
    ['a DNS query', bytes(QUERY), 'dns'],
    ['a DNS query with EDNS', bytes(EDNS), 'dns'],
    ['a query for the root', bytes('1234 0100 0001 0000 0000 0000 00 0002 0001'), 'dns'],
    ['an mDNS query that wants a unicast answer', bytes(QUERY.replace(/0001$/, '8001')), 'dns'],
    ['a DNS answer', bytes(QUERY.replace('0100', '8180')), 'other'],
    ['a DNS update', bytes(QUERY.replace('0100', '2800')), 'other'],
    ['two questions', bytes(QUERY.replace('0100 0001', '0100 0002')), 'other'],
    ['a query with an answer in it', bytes(QUERY.replace('0001 0000', '0001 0001')), 'other'],
    ['another class', bytes(QUERY.replace(/0001$/, '0007')), 'other'],
    ['a compressed name', bytes('1234 0100 0001 0000 0000 0000 c00c 0001 0001'), 'other'],
    ['a name without an end', bytes('1234 0100 0001 0000 0000 0000 07 6578616d706c65'), 'other'],
    [
      'a name that is too long',
      bytes(`1234 0100 0001 0000 0000 0000 ${`3f${'61'.repeat(63)}`.repeat(6)} 00 0001 0001`),
      'other',
    ],
    ['a question cut short', bytes(QUERY.slice(0, -2)), 'other'],
    ['a DTLS hello', bytes('16 fefd 0000 0000 0000 0000 0040 01'), 'other'],
    ['a WireGuard initiation', bytes('01000000', 148), 'other'],
    ['zeros', Buffer.alloc(1_400), 'other'],
    ['nothing', Buffer.alloc(0), 'other'],
  ])('%s', (_name, datagram, expected) => {
    expect(classifyDatagram(datagram)).toBe(expected)
  })

  it('does not look past the end of what it was given', () => {
    for (const [hex, length] of [
      [QUERY, 0],
      [QUIC_1, 1_200],
    ] as const) {
      const whole = bytes(hex, length)
      const around = Buffer.concat([whole, Buffer.alloc(200)])
      for (let end = 0; end < whole.length; end += 1)
        expect([end, classifyDatagram(around.subarray(0, end))]).toEqual([end, 'other'])
    }
  })
})

it('an Initial of a server need not be long', () => {
  expect(isQuicInitial(bytes('c1 00000001 00 08 f067a5502a4262b5'))).toBe(true)
  expect(isQuicInitial(bytes('c1 00000001'))).toBe(false)
})
