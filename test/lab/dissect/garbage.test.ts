// Whatever bytes stand in a capture, a dissector ends, and throws nothing but GatewayError.
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../../src/errors.ts'
import { dissectClientHello } from '../../../src/lab/dissect/client-hello.ts'
import { dissectConnect } from '../../../src/lab/dissect/connect.ts'
import { dissectDns } from '../../../src/lab/dissect/dns.ts'
import { dissectHttpRequest, dissectHttpResponse } from '../../../src/lab/dissect/http-head.ts'
import { readHttpRequests, readHttpResponses } from '../../../src/lab/dissect/http-message.ts'
import { dissectServerHello } from '../../../src/lab/dissect/server-hello.ts'
import { dissectSocks } from '../../../src/lab/dissect/socks.ts'
import { tlsRecords } from '../../../src/lab/dissect/tls-records.ts'
import { dissectWebSocket } from '../../../src/lab/dissect/websocket.ts'
import type { Field } from '../../../src/lab/dissect/field.ts'
import * as dns from './dns-builder.ts'
import * as build from './hello-builder.ts'

const HELLO = build.records(
  build.clientHelloMessage({
    extensions: [build.serverName('a.example'), build.alpn('h2'), build.keyShare(0x1d)],
  }),
  40,
)
const HTTP = Buffer.from(
  'CONNECT a:1 HTTP/1.1\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\nProxy-Authorization: Basic YTpi\r\n\r\n2\r\nab\r\n0\r\n\r\n',
)
const ANSWER = Buffer.from(
  'HTTP/1.1 101 X\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n\u0081\u0001a',
  'latin1',
)
const SOCKS = Buffer.from([5, 1, 0, 5, 1, 0, 1, 1, 2, 3, 4, 0, 80])
const SOCKS_ANSWER = Buffer.from([5, 0, 5, 0, 0, 1, 1, 2, 3, 4, 0, 80])

const DNS = dns.message({
  flags: 0x8180,
  questions: [dns.question(dns.name('a.example'))],
  answers: [dns.record(dns.pointer(12), 1, Buffer.from([192, 0, 2, 1]))],
  additional: [dns.opt([8, Buffer.from([0, 1, 8, 0, 10])])],
})

type Dissect = (client: Uint8Array, server: Uint8Array) => readonly Field[]

const DISSECTORS: readonly (readonly [string, Dissect, Uint8Array, Uint8Array])[] = [
  [
    'TLS records',
    (client) =>
      [...tlsRecords(client)].map(({ offset, end }) => ({
        name: '',
        value: '',
        offset,
        length: end - offset,
      })),
    HELLO,
    HELLO,
  ],
  ['ClientHello', (client) => dissectClientHello(client)?.fields ?? [], HELLO, HELLO],
  ['ServerHello', (client) => dissectServerHello(client)?.fields ?? [], HELLO, HELLO],
  ['DNS', (client) => dissectDns(client).fields, DNS, DNS],
  ['HTTP request', (client) => dissectHttpRequest(client)?.fields ?? [], HTTP, ANSWER],
  ['HTTP response', (client) => dissectHttpResponse(client)?.fields ?? [], ANSWER, ANSWER],
  [
    'HTTP requests',
    (client) => readHttpRequests(client).flatMap((message) => message.head.fields),
    HTTP,
    ANSWER,
  ],
  [
    'HTTP responses',
    (client) => readHttpResponses(client).flatMap((message) => message.head.fields),
    ANSWER,
    HTTP,
  ],
  ['CONNECT', (client, server) => dissectConnect({ client, server })?.client ?? [], HTTP, ANSWER],
  ['SOCKS', (client, server) => dissectSocks({ client, server })?.client ?? [], SOCKS, SOCKS_ANSWER],
  ['WebSocket client', (client) => dissectWebSocket(client, 'client')?.fields ?? [], HTTP, ANSWER],
  ['WebSocket server', (client) => dissectWebSocket(client, 'server')?.fields ?? [], ANSWER, HTTP],
]

/** `fine` where it ends with fields inside the stream or with `bad-request`. */
function verdict(dissect: Dissect, client: Uint8Array, server: Uint8Array): string {
  try {
    const outside = dissect(client, server).some(
      ({ offset, length }) => offset < 0 || length < 0 || offset + length > client.length,
    )
    return outside ? 'a field lies outside the stream' : 'fine'
  } catch (error) {
    return error instanceof GatewayError && error.code === 'bad-request' ? 'fine' : String(error)
  }
}

describe.each(DISSECTORS)('%s', (_, dissect, client, server) => {
  it('throws only GatewayError at random bytes', () => {
    const bytes = fc.uint8Array({ maxLength: 300 })
    fc.assert(
      fc.property(bytes, bytes, (left, right) => {
        expect(verdict(dissect, left, right)).toBe('fine')
      }),
    )
  })

  it('throws only GatewayError at a real stream with bytes changed, cut and added', () => {
    const change = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }))
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 4 }),
        fc.nat(),
        fc.uint8Array({ maxLength: 20 }),
        (changes, cut, tail) => {
          const changed = Buffer.from(client)
          for (const [at, value] of changes) changed[at % changed.length] = value
          expect(verdict(dissect, changed, server)).toBe('fine')
          expect(
            verdict(dissect, client, Buffer.concat([server.subarray(0, cut % server.length), tail])),
          ).toBe('fine')
          expect(
            verdict(dissect, Buffer.concat([changed.subarray(0, cut % changed.length), tail]), server),
          ).toBe('fine')
          expect(verdict(dissect, Buffer.concat([changed, tail]), server)).toBe('fine')
        },
      ),
    )
  })

  it('throws only GatewayError at every prefix', () => {
    for (let length = 0; length <= client.length; length += 1) {
      expect(verdict(dissect, client.subarray(0, length), server)).toBe('fine')
      expect(verdict(dissect, client, server.subarray(0, length))).toBe('fine')
    }
  })
})
