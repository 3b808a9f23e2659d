// The ClientHello dissector: every field at its place, in one record or many, whole or in pieces.
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dissectClientHello } from '../../../src/lab/dissect/client-hello.ts'
import * as build from './hello-builder.ts'

const HOST = 'site.example.org'
const FULL = build.clientHelloMessage({
  ciphers: [0x4a4a, 0x1301, 0xc02f],
  extensions: [
    [0x2a2a, Buffer.alloc(0)],
    build.serverName(HOST),
    build.supportedGroups(0x11ec, 0x001d),
    build.signatureAlgorithms(0x0403, 0x0804),
    build.alpn('h2', 'http/1.1'),
    build.supportedVersions(0x0304, 0x0303),
    build.keyShare(0x11ec, 0x001d),
    [0xfe0d, Buffer.from('anything')],
  ],
})
const PIECES = build.records(FULL, 100)
const CHANGE_CIPHER_SPEC = Buffer.from([20, 3, 3, 0, 1, 1])
/** The block's length leaves its last, empty extension outside. */
const SHORT_BLOCK = build.clientHelloMessage({ extensions: [build.alpn('h2'), [23, Buffer.alloc(0)]] })
SHORT_BLOCK.writeUInt16BE(9, SHORT_BLOCK.length - 15)
const badRequest = expect.objectContaining({ code: 'bad-request' })

describe('dissectClientHello', () => {
  it('reads everything that a hello says', () => {
    expect(dissectClientHello(build.records(FULL))).toMatchObject({
      legacyVersion: 0x0303,
      random: Buffer.alloc(32, 0x52),
      sessionId: Buffer.alloc(32, 7),
      cipherSuites: [0x4a4a, 0x1301, 0xc02f],
      serverName: HOST,
      alpn: ['h2', 'http/1.1'],
      supportedGroups: [0x11ec, 0x001d],
      signatureAlgorithms: [0x0403, 0x0804],
      supportedVersions: [0x0304, 0x0303],
      keyShareGroups: [0x11ec, 0x001d],
      message: FULL,
      offset: 5,
      end: FULL.length + 5,
    })
    const types = dissectClientHello(build.records(FULL))?.extensions.map((extension) => extension.type)
    expect(types).toEqual([0x2a2a, 0, 10, 13, 16, 43, 51, 0xfe0d])
  })

  it('reads the trace of RFC 8448 section 3', () => {
    const hello = dissectClientHello(
      Buffer.from(
        '16030100c4010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006' +
          '130113031302010000910000000b0009000006736572766572ff01000100000a00140012001d0017001800190100' +
          '010101020103010400230000003300260024001d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d' +
          '5413691e529aaf2c002b0003020304000d0020001e040305030603020308040805080604010501060102010402' +
          '050206020202002d00020101001c00024001',
        'hex',
      ),
    )
    expect(hello?.cipherSuites).toEqual([0x1301, 0x1303, 0x1302])
    expect(hello?.serverName).toBe('server')
    expect(hello?.supportedGroups).toEqual([0x1d, 0x17, 0x18, 0x19, 0x100, 0x101, 0x102, 0x103, 0x104])
    expect(hello?.keyShareGroups).toEqual([0x1d])
    expect(hello?.extensions.map((extension) => extension.type)).toEqual([
      0, 0xff01, 10, 35, 51, 43, 13, 45, 28,
    ])
  })

  it('says where each field stands in the stream', () => {
    const bytes = build.records(FULL)
    const hello = dissectClientHello(bytes)
    const text = (name: string): string | undefined => {
      const field = hello?.fields.find((candidate) => candidate.name === name)
      return field && bytes.toString('hex', field.offset, field.offset + field.length)
    }
    expect(text('ssl.server_name')).toBe(Buffer.from(HOST).toString('hex'))
    expect(text('ssl.client_version')).toBe('0303')
    expect(text('ssl.client_random')).toBe('52'.repeat(32))
    expect(text('ssl.client_ciphers')).toBe('4a4a1301c02f')
    expect(text('ssl.client_curves')).toBe('11ec001d')
    expect(text('ssl.sigalgs')).toBe('04030804')
    expect(text('ssl.orig_alpn')).toBe(Buffer.from('\u0002h2\u0008http/1.1').toString('hex'))
    expect(text('ssl.client_supported_versions')).toBe('03040303')
    expect(text('ssl.client_key_share_groups')).toBe('11ec00036b6579001d00036b6579')
    expect(text('ssl.ssl_client_exts')?.startsWith('2a2a0000')).toBe(true)
    expect(hello?.fields.map((field) => field.value)).toContain('X25519MLKEM768,x25519')
    expect(hello?.fields.map((field) => field.value)).toContain('TLSv13,TLSv12')
  })

  it.each([1, 2, 3, 7, 50, 113])('joins a hello in records of %i bytes', (size) => {
    const bytes = build.records(FULL, size)
    const hello = dissectClientHello(bytes)
    expect(hello?.serverName).toBe(HOST)
    expect(hello?.end).toBe(bytes.length)
    const field = hello?.fields.find((candidate) => candidate.name === 'ssl.server_name')
    const [first = 0, last = 0] = field ? [field.offset, field.offset + field.length - 1] : []
    expect(String.fromCharCode(bytes[first] ?? 0, bytes[last] ?? 0)).toBe('sg')
  })

  it('needs more for every prefix, and does not look at what follows', () => {
    for (const bytes of [build.records(FULL), build.records(FULL, 20)]) {
      for (let length = 0; length < bytes.length; length += 1) {
        expect(dissectClientHello(bytes.subarray(0, length))).toBeUndefined()
      }
      const trailing = Buffer.concat([bytes, Buffer.from('not a record at all')])
      expect(dissectClientHello(trailing)?.fields).toEqual(dissectClientHello(bytes)?.fields)
    }
  })

  it('counts offsets from the start of the stream, wherever the hello begins', () => {
    const bytes = Buffer.concat([Buffer.from('CONNECT…'), build.records(FULL)])
    const start = bytes.length - build.records(FULL).length
    const field = dissectClientHello(bytes, start)?.fields.find(
      (candidate) => candidate.name === 'ssl.server_name',
    )
    expect(field?.offset).toBe(bytes.indexOf(HOST))
  })

  it('takes a hello without extensions', () => {
    const hello = dissectClientHello(build.records(build.clientHelloMessage({ sessionId: Buffer.alloc(0) })))
    expect(hello).toMatchObject({ extensions: [], serverName: undefined, alpn: [], supportedVersions: [] })
  })

  it.each([
    ['another protocol', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['an alert', build.records(Buffer.from([2, 40]), 9, 21)],
    ['another message', build.records(build.handshake(2, FULL.subarray(4)))],
    ['a record of another version', Buffer.concat([Buffer.from([22, 2]), build.records(FULL).subarray(2)])],
    [
      'a ChangeCipherSpec inside',
      Buffer.concat([PIECES.subarray(0, 105), CHANGE_CIPHER_SPEC, PIECES.subarray(105)]),
    ],
    ['an extension after the extensions', build.records(SHORT_BLOCK)],
    ['an empty record', Buffer.from([22, 3, 1, 0, 0])],
    ['a record that is too long', Buffer.from([22, 3, 1, 0xff, 0xff])],
    ['a message that is too long', build.records(Buffer.from([1, 0xff, 0xff, 0xff]))],
    ['a message that is too short', build.records(build.handshake(1, Buffer.from([3, 3])))],
    ['SSL 2', build.records(build.clientHelloMessage({ version: 0x0002 }))],
    [
      'a session id that is too long',
      build.records(build.clientHelloMessage({ sessionId: Buffer.alloc(33) })),
    ],
    [
      'bytes after the extensions',
      build.records(build.handshake(1, Buffer.concat([FULL.subarray(4), Buffer.alloc(1)]))),
    ],
    [
      'an odd list',
      build.records(build.clientHelloMessage({ extensions: [[10, build.vector16(Buffer.alloc(3))]] })),
    ],
    [
      'an ALPN list cut short',
      build.records(build.clientHelloMessage({ extensions: [[16, build.u16(3, 0x0968)]] })),
    ],
    [
      'a list with bytes after it',
      build.records(build.clientHelloMessage({ extensions: [[43, Buffer.from([0, 9])]] })),
    ],
  ])('refuses %s', (_, bytes) => {
    expect(() => dissectClientHello(bytes)).toThrow(badRequest)
  })

  it('gives back what was built, in any records', () => {
    const numbers = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20 })
    fc.assert(
      fc.property(
        numbers,
        numbers,
        fc.domain(),
        fc.integer({ min: 1, max: 400 }),
        (ciphers, groups, host, size) => {
          const extensions = [
            build.supportedGroups(...groups),
            build.serverName(host),
            build.supportedVersions(...groups),
          ]
          const hello = dissectClientHello(
            build.records(build.clientHelloMessage({ ciphers, extensions }), size),
          )
          expect(hello).toMatchObject({ cipherSuites: ciphers, supportedGroups: groups, serverName: host })
        },
      ),
      { numRuns: 50 },
    )
  })
})
