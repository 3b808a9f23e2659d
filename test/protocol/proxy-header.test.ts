// The PROXY header, versions 1 and 2, against haproxy's doc/proxy-protocol.txt (2020/03/05): its own examples and
// limits as hex, each whole, byte by byte and with the client's bytes behind it, and what must be refused.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { decodeProxyHeader, MAX_HEADER_BYTES } from '../../src/protocol/proxy-header.ts'

const SIGNATURE = '0d0a0d0a000d0a515549540a'
const ascii = (text: string): string => Buffer.from(text, 'latin1').toString('hex')

/** Signature, version and command, family and transport, length, and what follows. */
function binary(versionAndCommand: string, family: string, addresses: string): string {
  return (
    SIGNATURE + versionAndCommand + family + (addresses.length / 2).toString(16).padStart(4, '0') + addresses
  )
}

const V4_ADDRESSES = 'c0a80001c0a8000bdc0401bb' // 192.168.0.1:56324 to 192.168.0.11:443
const V6_ADDRESSES = `20010db8${'00'.repeat(11)}0120010db8${'00'.repeat(11)}02dc0401bb`
const FFFF = Array(8).fill('ffff').join(':')
// PP2_TYPE_ALPN (h2), PP2_TYPE_SSL with its version, and PP2_TYPE_NOOP.
const TLVS = `0100026832${'20000f01000000002100075445535476312e'.slice(0, 36)}04000100`

const GOOD: ReadonlyArray<
  readonly [name: string, hex: string, source: { address: string; port: number } | undefined]
> = [
  [
    'section 2.1, the example',
    ascii('PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n'),
    { address: '192.168.0.1', port: 56_324 },
  ],
  [
    'section 2.1, the longest TCP4 line',
    ascii('PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n'),
    { address: '255.255.255.255', port: 65_535 },
  ],
  [
    'section 2.1, the longest TCP6 line',
    ascii(`PROXY TCP6 ${FFFF} ${FFFF} 65535 65535\r\n`),
    { address: FFFF, port: 65_535 },
  ],
  [
    'section 2.1, a short TCP6 line',
    ascii('PROXY TCP6 2001:db8::1 ::1 0 443\r\n'),
    { address: '2001:db8::1', port: 0 },
  ],
  ['section 2.1, UNKNOWN alone', ascii('PROXY UNKNOWN\r\n'), undefined],
  [
    'section 2.1, the worst case of 107 bytes',
    ascii(`PROXY UNKNOWN ${FFFF} ${FFFF} 65535 65535\r\n`),
    undefined,
  ],
  ['section 2.1, UNKNOWN with anything behind it', ascii('PROXY UNKNOWN \0 what "ever"\r\n'), undefined],
  ['section 2.2, TCP over IPv4', binary('21', '11', V4_ADDRESSES), { address: '192.168.0.1', port: 56_324 }],
  ['section 2.2, UDP over IPv4', binary('21', '12', V4_ADDRESSES), { address: '192.168.0.1', port: 56_324 }],
  ['section 2.2, TCP over IPv6', binary('21', '21', V6_ADDRESSES), { address: '2001:db8::1', port: 56_324 }],
  [
    'section 2.2, TCP over IPv4 with TLVs',
    binary('21', '11', V4_ADDRESSES + TLVS),
    { address: '192.168.0.1', port: 56_324 },
  ],
  ['section 2.2, a UNIX socket', binary('21', '31', '00'.repeat(216)), undefined],
  ['section 2.2, UNSPEC', binary('21', '00', ''), undefined],
  ['section 2.2, UNSPEC with bytes to be skipped', binary('21', '00', 'ff'.repeat(40)), undefined],
  ['section 2.2, LOCAL', binary('20', '00', ''), undefined],
  ['section 2.2, LOCAL with addresses, which are ignored', binary('20', '11', V4_ADDRESSES), undefined],
  [
    'section 2.2, LOCAL with a family that there is not, which is ignored',
    binary('20', 'ff', '00'),
    undefined,
  ],
  ['the longest that is read', binary('20', '00', '00'.repeat(MAX_HEADER_BYTES - 16)), undefined],
]

const BAD: ReadonlyArray<readonly [name: string, hex: string]> = [
  ['another protocol', ascii('GET / HTTP/1.1\r\n')],
  ['a TLS ClientHello', '160301020001'],
  ['SOCKS5', '050100'],
  ['lower case', ascii('proxy ')],
  ['two spaces', ascii('PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n')],
  ['another family', ascii('PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n')],
  ['UNKNOWN run into another word', ascii('PROXY UNKNOWNS\r\n')],
  ['a line that LF alone ends', ascii('PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n')],
  ['no line end in 107 bytes', ascii(`PROXY UNKNOWN ${'x'.repeat(93)}`)],
  ['a line end after 107 bytes', ascii(`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`)],
  ['leading zeroes in an address', ascii('PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n')],
  ['three numbers in an address', ascii('PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n')],
  ['256 in an address', ascii('PROXY TCP4 256.2.3.4 5.6.7.8 1 2\r\n')],
  ['a hexadecimal address', ascii('PROXY TCP4 0x7f000001 5.6.7.8 1 2\r\n')],
  ['an IPv6 address as TCP4', ascii('PROXY TCP4 ::1 5.6.7.8 1 2\r\n')],
  ['an IPv4 address as TCP6', ascii('PROXY TCP6 1.2.3.4 ::1 1 2\r\n')],
  ['an IPv6 address with a zone', ascii('PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n')],
  ['a wrong destination', ascii('PROXY TCP4 1.2.3.4 five 1 2\r\n')],
  ['port 65536', ascii('PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n')],
  ['a port with a leading zero', ascii('PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n')],
  ['a port that is none', ascii('PROXY TCP4 1.2.3.4 5.6.7.8 1 -2\r\n')],
  ['one field too few', ascii('PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n')],
  ['one field too many', ascii('PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n')],
  ['a signature with one wrong byte', '0d0a0d0a000d0a515549540b2011000c'],
  ['version 1 in binary', binary('11', '11', V4_ADDRESSES)],
  ['version 3', binary('31', '11', V4_ADDRESSES)],
  ['command 2', binary('22', '11', V4_ADDRESSES)],
  ['family 4', binary('21', '41', V4_ADDRESSES)],
  ['transport 3', binary('21', '13', V4_ADDRESSES)],
  ['a family without transport', binary('21', '10', V4_ADDRESSES)],
  ['no room for IPv4 addresses', binary('21', '11', V4_ADDRESSES.slice(2))],
  ['no room for IPv6 addresses', binary('21', '21', V4_ADDRESSES)],
  ['no room for UNIX addresses', binary('21', '31', V6_ADDRESSES)],
  ['one byte more than is read', `${SIGNATURE}2000${(MAX_HEADER_BYTES - 15).toString(16).padStart(4, '0')}`],
]

function codeOf(bytes: Uint8Array): string {
  try {
    return decodeProxyHeader(bytes) === undefined ? 'more' : 'good'
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown
    return thrown.code
  }
}

describe('decodeProxyHeader', () => {
  it.each(GOOD)('reads %s', (_name, hex, source) => {
    const bytes = Buffer.from(hex, 'hex')
    expect(decodeProxyHeader(bytes)).toEqual({ length: bytes.length, source })
  })

  it.each(GOOD)('wants more of all that is shorter: %s', (_name, hex) => {
    const bytes = Buffer.from(hex, 'hex')
    for (let length = 0; length < bytes.length; length += 1)
      expect(codeOf(bytes.subarray(0, length))).toBe('more')
  })

  it.each(GOOD)("leaves the client's bytes: %s", (_name, hex, source) => {
    const bytes = Buffer.from(hex, 'hex')
    for (const behind of ['\x16\x03\x01', '\r\n', 'PROXY TCP4 6.6.6.6 6.6.6.6 6 6\r\n']) {
      const both = Buffer.concat([Buffer.alloc(7), bytes, Buffer.from(behind, 'latin1')]).subarray(7)
      expect(decodeProxyHeader(both)).toEqual({ length: bytes.length, source })
    }
  })

  it.each(BAD)('refuses %s', (_name, hex) => {
    expect(codeOf(Buffer.from(hex, 'hex'))).toBe('proxy-header-invalid')
  })

  it.each(BAD)('refuses it byte by byte, at some byte, and for good: %s', (_name, hex) => {
    const bytes = Buffer.from(hex, 'hex')
    const codes = Array.from({ length: bytes.length + 1 }, (_, length) => codeOf(bytes.subarray(0, length)))
    const first = codes.indexOf('proxy-header-invalid')
    expect(first).toBeGreaterThan(0)
    expect(codes.slice(0, first).every((code) => code === 'more')).toBe(true)
    expect(codes.slice(first).every((code) => code === 'proxy-header-invalid')).toBe(true)
  })

  it('refuses at the first byte that cannot be', () => {
    expect(codeOf(Buffer.from('G'))).toBe('proxy-header-invalid')
    expect(codeOf(Buffer.from('PROXZ'))).toBe('proxy-header-invalid')
    expect(codeOf(Buffer.from('0d0a0d0a01', 'hex'))).toBe('proxy-header-invalid')
  })

  it('gives back every address of a header that was written by the book', () => {
    const octets = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
    fc.assert(
      fc.property(
        octets,
        octets,
        fc.nat(65_535),
        fc.nat(65_535),
        fc.uint8Array({ maxLength: 40 }),
        (from, to, port, at, tail) => {
          const line = Buffer.from(`PROXY TCP4 ${from.join('.')} ${to.join('.')} ${port} ${at}\r\n`)
          const ports = Buffer.from([port >> 8, port & 255, at >> 8, at & 255])
          const rest = Buffer.concat([Buffer.from(from), Buffer.from(to), ports, tail])
          const packed = Buffer.from(binary('21', '11', rest.toString('hex')), 'hex')
          const source = { address: from.join('.'), port }
          expect(decodeProxyHeader(Buffer.concat([line, tail]))).toEqual({ length: line.length, source })
          expect(decodeProxyHeader(packed)).toEqual({ length: packed.length, source })
        },
      ),
      { numRuns: 1_000 },
    )
  })

  // Half of them begin as a header does, since what does not is refused at its first byte.
  const seed = Date.now() & 0x7fffffff
  it(`throws proxy-header-invalid and nothing else, whatever comes (100,000 inputs, seed ${seed})`, () => {
    const starts = ['', 'PROXY ', 'PROXY TCP4 1.2.3.4 5.6.7.8 ', 'PROXY TCP6 ::1 '].map((text) =>
      Buffer.from(text),
    )
    const v2 = ['', '21', '2111', '21110020', '2000'].map((hex) => Buffer.from(SIGNATURE + hex, 'hex'))
    fc.assert(
      fc.property(fc.constantFrom(...starts, ...v2), fc.uint8Array({ maxLength: 64 }), (start, bytes) => {
        const input = Buffer.concat([start, bytes])
        const code = codeOf(input)
        if (code === 'good') expect(decodeProxyHeader(input)?.length).toBeLessThanOrEqual(input.length)
        else expect(['more', 'proxy-header-invalid']).toContain(code)
      }),
      { numRuns: 100_000, seed },
    )
  })
})
