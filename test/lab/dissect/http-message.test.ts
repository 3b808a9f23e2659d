// HTTP messages: where each body begins and ends (RFC 9112 section 6.3), and the chunks undone.
import { describe, expect, it } from 'vitest'
import { readHttpRequests, readHttpResponses } from '../../../src/lab/dissect/http-message.ts'

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
const bodies = (messages: readonly { body: { bytes: Uint8Array } }[]): string[] =>
  messages.map((message) => text(message.body.bytes))

describe('readHttpRequests', () => {
  it('reads one request after another', () => {
    const stream =
      'POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcdGET /b HTTP/1.1\r\n\r\n' +
      'POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\nA;e=1\r\n0123456789\r\n0\r\nT: t\r\n\r\n' +
      'GET /d HTTP/1.1\r\n\r\n'
    const messages = readHttpRequests(Buffer.from(stream))
    expect(messages.map((message) => message.head.uri)).toEqual(['/a', '/b', '/c', '/d'])
    expect(bodies(messages)).toEqual(['abcd', '', 'xyz0123456789', ''])
    for (const { body } of messages) {
      for (const span of body.spans) {
        expect(stream.slice(span.offset, span.offset + span.length)).toBe(
          text(body.bytes.subarray(span.at, span.at + span.length)),
        )
      }
    }
  })

  it('stops where the stream is handed over', () => {
    const rest = 'GET /inside HTTP/1.1\r\n\r\n'
    expect(readHttpRequests(Buffer.from(`CONNECT a:1 HTTP/1.1\r\n\r\n${rest}`))).toHaveLength(1)
    expect(readHttpRequests(Buffer.from(`GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n${rest}`))).toHaveLength(
      1,
    )
  })
})

describe('readHttpResponses', () => {
  const LENGTH = 'Content-Length: 3\r\n\r\n'

  it('matches the answers to the methods', () => {
    const stream = `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n${LENGTH}HTTP/1.1 304 N\r\n${LENGTH}HTTP/1.1 200 OK\r\n${LENGTH}abc`
    const messages = readHttpResponses(Buffer.from(stream), ['HEAD', 'GET', 'GET'])
    expect(bodies(messages)).toEqual(['', '', '', 'abc'])
    expect(messages.map((message) => message.head.statusCode)).toEqual([100, 200, 304, 200])
  })

  it('reads to the end of the stream without a length', () => {
    const [message] = readHttpResponses(Buffer.from('HTTP/1.0 200 OK\r\n\r\nall of it'))
    expect(message?.body).toMatchObject({ complete: true, end: 28 })
    expect(message && text(message.body.bytes)).toBe('all of it')
  })

  it('says so where the capture ends first, and gives what there is', () => {
    const stream = Buffer.from(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nabcde\r\n6\r\nfghijk\r\n0\r\n\r\n',
    )
    for (let length = stream.indexOf('5\r\n'); length < stream.length; length += 1) {
      const [message] = readHttpResponses(stream.subarray(0, length))
      expect(message?.body.complete).toBe(false)
      expect('abcdefghijk'.startsWith(bodies(message ? [message] : []).join())).toBe(true)
    }
    expect(bodies(readHttpResponses(stream))).toEqual(['abcdefghijk'])
    const short = readHttpResponses(Buffer.from(`HTTP/1.1 200 OK\r\n${LENGTH}ab`))
    expect(short[0]?.body).toMatchObject({ complete: false })
    expect(bodies(short)).toEqual(['ab'])
  })

  it('stops where the stream is handed over', () => {
    const stream = Buffer.from('HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n')
    expect(readHttpResponses(stream, ['CONNECT'])).toHaveLength(1)
  })

  it.each([
    ['a chunk size', 'Transfer-Encoding: chunked\r\n\r\nzz\r\n'],
    ['the end of a chunk', 'Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n'],
    ['a chunk line without an end', `Transfer-Encoding: chunked\r\n\r\n${'1'.repeat(2000)}`],
    ['a length', 'Content-Length: many\r\n\r\n'],
  ])('refuses %s that is wrong', (_, rest) => {
    const stream = Buffer.from(`HTTP/1.1 200 OK\r\n${rest}`)
    expect(() => readHttpResponses(stream)).toThrow(expect.objectContaining({ code: 'bad-request' }))
  })
})
