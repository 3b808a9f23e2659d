// The ServerHello dissector: what the server chose, and a HelloRetryRequest told from the real thing.
import { describe, expect, it } from 'vitest'
import { dissectServerHello } from '../../../src/lab/dissect/server-hello.ts'
import * as build from './hello-builder.ts'

/** RFC 8448 section 3. */
const TLS13 = Buffer.from(
  '160303005a020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e0033' +
    '0024001d0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304',
  'hex',
)
/** The random of a HelloRetryRequest (RFC 8446 section 4.1.3). */
const RETRY = Buffer.from('cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c', 'hex')
const CHANGE_CIPHER_SPEC = Buffer.from([20, 3, 3, 0, 1, 1])

function serverHello(random: Uint8Array, extensions: readonly build.Extension[]): Buffer {
  const block = Buffer.concat(
    extensions.map(([type, body]) => Buffer.concat([build.u16(type), build.vector16(body)])),
  )
  const head = Buffer.concat([build.u16(0x0303), random, build.vector8(Buffer.alloc(32)), build.u16(0x1302)])
  return build.records(build.handshake(2, Buffer.concat([head, Buffer.from([0]), build.vector16(block)])))
}

describe('dissectServerHello', () => {
  it('reads the trace of RFC 8448 section 3', () => {
    const hello = dissectServerHello(TLS13)
    expect(hello).toMatchObject({
      legacyVersion: 0x0303,
      version: 0x0304,
      cipherSuite: 0x1301,
      keyShareGroup: 0x001d,
      helloRetryRequest: false,
      end: TLS13.length,
    })
    const shown = hello?.fields.map(({ name, value, offset, length }) => [
      name,
      value,
      TLS13.toString('hex', offset, offset + length),
    ])
    expect(shown).toEqual([
      ['ssl.cipher', 'TLS_AES_128_GCM_SHA256', '1301'],
      ['ssl.curve', 'x25519', '001d'],
      ['ssl.server_version', 'TLSv13', '0304'],
    ])
  })

  it('tells a HelloRetryRequest, and finds the ServerHello behind it and a ChangeCipherSpec', () => {
    const retry = serverHello(RETRY, [
      [43, build.u16(0x0304)],
      [51, build.u16(0x0018)],
    ])
    const stream = Buffer.concat([retry, CHANGE_CIPHER_SPEC, TLS13])
    const first = dissectServerHello(stream)
    expect(first).toMatchObject({ helloRetryRequest: true, keyShareGroup: 0x0018, cipherSuite: 0x1302 })
    const second = dissectServerHello(stream, first?.end)
    expect(second).toMatchObject({ helloRetryRequest: false, end: stream.length })
    expect(second?.offset).toBe(retry.length + CHANGE_CIPHER_SPEC.length + 5)
  })

  it('takes the legacy version of a server without supported_versions', () => {
    const hello = dissectServerHello(serverHello(Buffer.alloc(32, 1), [[0xff01, Buffer.from([0])]]))
    expect(hello).toMatchObject({ version: 0x0303, keyShareGroup: undefined })
    expect(hello?.fields.at(-1)).toEqual({
      name: 'ssl.server_version',
      value: 'TLSv12',
      offset: 9,
      length: 2,
    })
  })

  it('needs more for every prefix, and does not look at what follows', () => {
    for (let length = 0; length < TLS13.length; length += 1) {
      expect(dissectServerHello(TLS13.subarray(0, length))).toBeUndefined()
    }
    expect(dissectServerHello(Buffer.concat([TLS13, Buffer.from('garbage')]))?.cipherSuite).toBe(0x1301)
  })

  it.each([
    ['an alert', Buffer.from([21, 3, 3, 0, 2, 2, 40])],
    ['a ClientHello', build.records(build.clientHelloMessage())],
    ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ])('refuses %s', (_, bytes) => {
    expect(() => dissectServerHello(bytes)).toThrow(expect.objectContaining({ code: 'bad-request' }))
  })
})
