// JA4 against vectors that FoxIO publishes: technical_details/JA4.md and python/test/testdata of
// FoxIO-LLC/ja4, each built from its JA4_ro (the lists in the order the client sent them) with GREASE mixed
// in.
import { describe, expect, it } from 'vitest'
import { dissectClientHello } from '../../../src/lab/dissect/client-hello.ts'
import { ja4, ja4Raw } from '../../../src/lab/dissect/ja4.ts'
import * as build from './hello-builder.ts'

const codes = (list: string): number[] => list.split(',').map((code) => Number.parseInt(code, 16))

/** The hello behind a published JA4_ro, through the wire format and the dissector. */
function helloFromRaw(raw: string, alpnProtocol = 'h2') {
  const [, ciphers = '', extensions = '', algorithms = ''] = raw.split('_')
  const bodies = new Map<number, build.Extension>(
    [
      build.serverName('example.org'),
      build.alpn(alpnProtocol, 'http/1.1'),
      build.signatureAlgorithms(0x5a5a, ...codes(algorithms)),
      build.supportedVersions(0x3a3a, 0x0303, 0x0304),
      build.supportedGroups(0x9a9a, 0x001d),
      build.keyShare(0x9a9a, 0x001d),
    ].map((extension) => [extension[0], extension]),
  )
  const listed = codes(extensions).map((type) => bodies.get(type) ?? ([type, Buffer.from([0])] as const))
  const message = build.clientHelloMessage({
    ciphers: [0x0a0a, ...codes(ciphers)],
    extensions: [[0xdada, Buffer.alloc(0)], ...listed, [0xfafa, Buffer.from([0])]],
  })
  const hello = dissectClientHello(build.records(message))
  if (hello === undefined) throw new Error('the hello is not whole')
  return hello
}

/** The first part for a hello with these extensions. */
const prefix = (extensions: readonly build.Extension[] | undefined, version = 0x0301): string => {
  const hello = dissectClientHello(build.records(build.clientHelloMessage({ version, extensions })))
  return hello === undefined ? '' : ja4(hello).slice(0, 10)
}

const VECTORS = [
  {
    source: 'the example of JA4.md',
    raw:
      't13d1516h2_1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035_' +
      '001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015_' +
      '0403,0804,0401,0503,0805,0501,0806,0601',
    ja4: 't13d1516h2_8daaf6152771_e5627efa2ab1',
    ja4Raw:
      't13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9_' +
      '0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_' +
      '0403,0804,0401,0503,0805,0501,0806,0601',
  },
  {
    source: 'sigalg-grease.pcapng',
    raw:
      't13d1517h2_1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035_' +
      'fe0d,0010,0017,0033,44cd,ff01,000a,000d,0023,002b,000b,ca34,002d,0000,0005,001b,0012_' +
      '0904,0905,0906,0403,0804,0401,0503,0805,0501,0806,0601',
    ja4: 't13d1517h2_8daaf6152771_cb7bf5808d99',
    ja4Raw:
      't13d1517h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9_' +
      '0005,000a,000b,000d,0012,0017,001b,0023,002b,002d,0033,44cd,ca34,fe0d,ff01_' +
      '0904,0905,0906,0403,0804,0401,0503,0805,0501,0806,0601',
  },
  {
    source: 'badcurveball.pcap',
    raw:
      't13d1615h2_1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035,000a_' +
      '0000,0017,ff01,000a,000b,0023,0010,0005,000d,0012,0033,002d,002b,001b,0015_' +
      '0403,0804,0401,0503,0805,0501,0806,0601,0201',
    ja4: 't13d1615h2_46e7e9700bed_45f260be83e2',
    ja4Raw:
      't13d1615h2_000a,002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9_' +
      '0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,ff01_' +
      '0403,0804,0401,0503,0805,0501,0806,0601,0201',
  },
]

describe('ja4', () => {
  it.each(VECTORS)('agrees with $source', (vector) => {
    const hello = helloFromRaw(vector.raw)
    expect(ja4(hello)).toBe(vector.ja4)
    expect(ja4Raw(hello)).toBe(vector.ja4Raw)
  })

  it('hashes the extensions alone where there are no signature algorithms (JA4.md: 6d807ffa2a79)', () => {
    const hello = helloFromRaw(VECTORS[0]?.raw ?? '')
    expect(ja4({ ...hello, signatureAlgorithms: [] })).toBe('t13d1516h2_8daaf6152771_6d807ffa2a79')
  })

  it.each([
    ['h2', Buffer.from('h2')],
    ['h1', Buffer.from('http/1.1')],
    ['hh', Buffer.from('h')],
    ['00', Buffer.alloc(0)],
    ['ab', Buffer.from([0xab])],
    ['ad', Buffer.from([0xab, 0xcd])],
    ['3b', Buffer.from([0x30, 0xab])],
    ['3d', Buffer.from([0x30, 0x31, 0xab, 0xcd])],
    ['01', Buffer.from([0x30, 0xab, 0xcd, 0x31])],
  ])('shows the first ALPN value as %s', (shown, protocol) => {
    expect(prefix([build.alpn(protocol, 'zz')])).toBe(`t10i0101${shown}`)
  })

  it.each([
    ['s3', 0x0300],
    ['10', 0x0301],
    ['11', 0x0302],
    ['12', 0x0303],
    ['00', 0x03ff],
  ])('shows version %s where supported_versions is missing', (shown, version) => {
    expect(prefix(undefined, version)).toBe(`t${shown}i010000`)
  })

  it('takes the highest supported version that is not GREASE', () => {
    expect(prefix([build.supportedVersions(0x0303, 0xfafa, 0x0304)])).toBe('t13i010100')
    expect(prefix([build.supportedVersions(0xfafa)])).toBe('t10i010100')
  })

  it('takes for GREASE what RFC 8701 lists and no other number', () => {
    const grease = Array.from({ length: 16 }, (_, high) => (high * 16 + 10) * 0x101)
    const hello = {
      ...helloFromRaw(VECTORS[0]?.raw ?? ''),
      cipherSuites: [...grease, 0x0a1a, 0xabab, 0x0a0b],
    }
    expect(ja4Raw(hello).split('_')[1]).toBe('0a0b,0a1a,abab')
  })

  it('stops counting at 99 and says zeros for lists that are empty', () => {
    const ciphers = Array.from({ length: 120 }, (_, index) => 0x0100 + index)
    const hello = helloFromRaw(VECTORS[0]?.raw ?? '')
    expect(ja4({ ...hello, cipherSuites: ciphers }).slice(0, 6)).toBe('t13d99')
    const bare = { ...hello, cipherSuites: [0x0a0a], extensions: [], alpn: [], signatureAlgorithms: [] }
    expect(ja4({ ...bare, supportedVersions: [] })).toBe('t12i000000_000000000000_000000000000')
  })
})
