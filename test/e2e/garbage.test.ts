// Bytes that are no request, on every listener of a real process: each gets the answer of its protocol or a
// close, nothing but `refused` reaches the log, and the process serves the next request.
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { eventually } from '../support/eventually.ts'
import { get, serve, type SightlineProcess } from '../support/gateway-process.ts'
import { sum } from '../support/metrics.ts'
import { startOrigin, type Origin } from '../support/origin.ts'
import { everyInbound, LOOPBACK_EGRESS } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { Wire, type Ending } from '../support/wire.ts'

let pki: TempDir
let origin: Origin
let gateway: SightlineProcess
beforeAll(async () => {
  pki = await tempDir()
  await ensureDevelopmentPki(pki.path)
  origin = await startOrigin()
  gateway = await serve(pki.file('gateway.json'), {
    inbounds: everyInbound(pki),
    egress: LOOPBACK_EGRESS,
    // A TLS handshake that its client ended before its hello is noticed by this deadline only.
    limits: { handshakeMs: 500 },
  })
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await origin.close()
  await pki[Symbol.asyncDispose]()
})

const LISTENERS = ['http', 'socks', 'https', 'mixed', 'tunnel', 'admin']
const RUBBISH: ReadonlyArray<readonly [name: string, bytes: Buffer]> = [
  ['zeros', Buffer.alloc(64)],
  ['all ones', Buffer.alloc(4096, 0xff)],
  ['random bytes', randomBytes(2048)],
  ['half a TLS record', Buffer.from('160301020001', 'hex')],
  ['a TLS alert', Buffer.from('15030300020228', 'hex')],
  ['an unfinished HTTP head', Buffer.from('GET http://127.0.0.1/ HTTP/1.1\r\nHost')],
  ['HTTP/2 in clear', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
  [
    'two lengths',
    Buffer.from(
      'POST http://127.0.0.1/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx',
    ),
  ],
  [
    'a length and chunks',
    Buffer.from(
      'POST http://127.0.0.1/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ),
  ],
  ['SOCKS5 without methods', Buffer.from('0500', 'hex')],
  ['SOCKS5 with an unknown address type', Buffer.from('05010005010009', 'hex')],
  [
    'SOCKS4 with an endless user',
    Buffer.concat([Buffer.from('040100507f000001', 'hex'), Buffer.alloc(2000, 0x61)]),
  ],
  ['nothing', Buffer.alloc(0)],
]

/** Sends, ends, and says how the gateway ended it. */
async function throwAt(port: number, bytes: Buffer): Promise<{ ending: Ending; text: string }> {
  using wire = await Wire.connect(port)
  if (bytes.length > 0) wire.send(bytes)
  wire.socket.end()
  return { ending: await wire.ended(), text: wire.text }
}

describe('garbage', () => {
  it.each(LISTENERS.flatMap((listener) => RUBBISH.map(([name, bytes]) => ({ listener, name, bytes }))))(
    '$name to $listener',
    async ({ listener, bytes }) => {
      const { text } = await throwAt(gateway.port(listener), bytes)
      // A success of any protocol would be one too many.
      expect(text).not.toMatch(/^HTTP\/1\.1 2\d\d/)
      expect(text.startsWith('\x05\x00\x05\x00')).toBe(false)
      expect(text.startsWith('\x00\x5a')).toBe(false)
    },
  )

  it.each([
    ['http', 'BLURB\r\n\r\n', /^HTTP\/1\.1 400 .*\r\nsightline-error: bad-request\r\n/s],
    ['mixed', '\x01\x02\x03\x04', /^HTTP\/1\.1 400 /],
    ['admin', 'BLURB\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['http', 'GET /no-proxy-request HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1\.1 404 /],
    ['http', 'GET ftp://127.0.0.1/ HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['http', 'GET http://user:pass@127.0.0.1/ HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['http', 'CONNECT 127.0.0.1 HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['http', 'CONNECT 127.0.0.1:0 HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['http', 'CONNECT 127.0.0.1:99999 HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1\.1 400 /],
  ])('is answered in its protocol: %s, %j', async (listener, text, answer) => {
    using wire = await Wire.connect(gateway.port(listener))
    wire.send(text)
    await wire.ended()
    expect(wire.text).toMatch(answer)
  })

  it.each([
    ['no acceptable method', '050102', '05ff'],
    ['BIND', '050100' + '050200017f0000010050', '0500' + '0507000100000000' + '0000'],
    ['an unknown command', '050100' + '050900017f0000010050', '0500' + '0507000100000000' + '0000'],
    ['an unknown address type', '050100' + '050100097f0000010050', '0500' + '0508000100000000' + '0000'],
    ['an empty name', '050100' + '0501000300' + '0050', '0500' + '0501000100000000' + '0000'],
    ['SOCKS4 BIND', '040200507f00000100', '005b000000000000'],
  ])('is answered in SOCKS: %s', async (_name, sent, answer) => {
    using wire = await Wire.connect(gateway.port('socks'))
    wire.send(Buffer.from(sent, 'hex'))
    await wire.ended()
    expect(wire.received.toString('hex')).toBe(answer)
  })

  it('leaves the process whole, with no defect in its log and no connection left', async () => {
    using wire = await Wire.connect(gateway.port('http'))
    wire.send(`GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    await wire.ended()
    expect(wire.text).toMatch(/hello\n/)
    expect(gateway.err.filter((line) => !line.startsWith('{'))).toEqual([])
    expect(gateway.err.filter((line) => line.includes('internal-error'))).toEqual([])
    await eventually(async () => {
      const { body } = await get(gateway.port('admin'), '/metrics')
      expect(sum(body, 'sightline_connections')).toBe(0)
    })
  })
})
