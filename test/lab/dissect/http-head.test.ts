// HTTP heads: Zeek's names, exact places, and no mistake about what is HTTP.
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dissectHttpRequest, dissectHttpResponse, headerValue } from '../../../src/lab/dissect/http-head.ts'
import type { Field } from '../../../src/lab/dissect/field.ts'

const basic = (text: string): string => Buffer.from(text).toString('base64')
const REQUEST = [
  'GET http://site.example:8080/p?q=1 HTTP/1.1',
  'Host: site.example:8080',
  'User-Agent:\t curl/8 \t',
  'Cookie: a=b; c=d',
  `Authorization: Basic ${basic('reader:pass:word')}`,
  `proxy-authorization: basic  ${basic('puser:ppass')}`,
  'Referer: http://from.example/',
  'X-Odd: caf\u00e9',
  'Empty:',
  '',
  '',
].join('\r\n')

/** What stands in `text` where each field says that it does. */
function inPlace(text: string, fields: readonly Field[]): string[][] {
  return fields.map(({ name, offset, length }) => [name, text.slice(offset, offset + length)])
}

/** The fields as rows, moved by `shift`. */
function placed(fields: readonly Field[] = [], shift = 0): (string | number)[][] {
  return fields.map(({ name, value, offset, length }) => [name, value, offset + shift, length])
}

describe('dissectHttpRequest', () => {
  const bytes = Buffer.from(REQUEST, 'latin1')

  it('names what a request says, each at its place', () => {
    const head = dissectHttpRequest(bytes)
    expect(head).toMatchObject({
      kind: 'request',
      method: 'GET',
      version: '1.1',
      offset: 0,
      end: bytes.length,
    })
    expect(inPlace(REQUEST, head?.fields ?? [])).toEqual([
      ['http.method', 'GET'],
      ['http.uri', 'http://site.example:8080/p?q=1'],
      ['http.version', '1.1'],
      ['http.host', 'site.example:8080'],
      ['http.user_agent', 'curl/8'],
      ['http.cookie', 'a=b; c=d'],
      ['http.authorization', `Basic ${basic('reader:pass:word')}`],
      ['http.username', basic('reader:pass:word')],
      ['http.password', basic('reader:pass:word')],
      ['http.proxy_authorization', `basic  ${basic('puser:ppass')}`],
      ['http.proxy_username', basic('puser:ppass')],
      ['http.proxy_password', basic('puser:ppass')],
      ['http.referrer', 'http://from.example/'],
      ['http.header.x-odd', 'caf\u00e9'],
      ['http.header.empty', ''],
    ])
  })

  it('decodes Basic credentials; the user name ends at the first colon (RFC 7617)', () => {
    const fields = dissectHttpRequest(bytes)?.fields ?? []
    const value = (name: string): string | undefined => fields.find((field) => field.name === name)?.value
    expect([value('http.username'), value('http.password')]).toEqual(['reader', 'pass:word'])
    expect([value('http.proxy_username'), value('http.proxy_password')]).toEqual(['puser', 'ppass'])
  })

  it('gives the same at any place in a stream, with anything behind it', () => {
    const stream = Buffer.concat([Buffer.from('xxxx'), bytes, Buffer.from([0, 255, 13, 10])])
    const head = dissectHttpRequest(stream, 4)
    expect(head?.end).toBe(4 + bytes.length)
    expect(placed(head?.fields)).toEqual(placed(dissectHttpRequest(bytes)?.fields, 4))
    expect(head && headerValue(head, 'cookie')).toBe('a=b; c=d')
  })

  it('is undefined for every prefix', () => {
    for (let length = 0; length < bytes.length; length += 1) {
      expect(dissectHttpRequest(bytes.subarray(0, length))).toBeUndefined()
    }
  })

  it.each([
    ['a bare line feed', 'GET / HTTP/1.1\nHost: a\n\n\r\n\r\n'],
    ['another version', 'GET / HTTP/2.0\r\n\r\n'],
    ['no version', 'GET /\r\n\r\n'],
    ['two spaces', 'GET  / HTTP/1.1\r\n\r\n'],
    ['a space in the target', 'GET /a b HTTP/1.1\r\n\r\n'],
    ['a method with a colon', 'G:T / HTTP/1.1\r\n\r\n'],
    ['white space before the colon', 'GET / HTTP/1.1\r\nHost : a\r\n\r\n'],
    ['a folded line', 'GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n'],
    ['a line without a colon', 'GET / HTTP/1.1\r\nnonsense\r\n\r\n'],
    ['a control character', 'GET / HTTP/1.1\r\nA: b\u0000\r\n\r\n'],
    ['a response', 'HTTP/1.1 200 OK\r\n\r\n'],
  ])('does not take %s for a request', (_, text) => {
    expect(dissectHttpRequest(Buffer.from(text, 'latin1'))).toBeUndefined()
  })

  it('leaves credentials alone that are not Basic', () => {
    const text = 'GET / HTTP/1.1\r\nAuthorization: Bearer abc\r\nProxy-Authorization: Basic Zm9v\r\n\r\n'
    const names = dissectHttpRequest(Buffer.from(text))?.fields.map((field) => field.name)
    expect(names).toEqual([
      'http.method',
      'http.uri',
      'http.version',
      'http.authorization',
      'http.proxy_authorization',
    ])
  })

  it('gives each header back at its place', () => {
    const name = fc.stringMatching(/^[a-z][a-z-]{0,9}$/)
    const value = fc.stringMatching(/^([!-~]([ -~]{0,20}[!-~])?)?$/)
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 8 }), (headers) => {
        const text = `PUT /x HTTP/1.0\r\n${headers.map(([key, line]) => `${key}: ${line}\r\n`).join('')}\r\n`
        const head = dissectHttpRequest(Buffer.from(text, 'latin1'))
        expect(head?.headers.map((header) => [header.name, header.value])).toEqual(headers)
        for (const header of head?.headers ?? []) {
          expect(text.slice(header.offset, header.offset + header.length)).toBe(header.value)
        }
      }),
    )
  })
})

describe('dissectHttpResponse', () => {
  const text = 'HTTP/1.0 404 Not Found\r\nSet-Cookie: k=v\r\nSet-Cookie: l=w\r\n\r\nbody'

  it('names what a response says, each at its place', () => {
    const head = dissectHttpResponse(Buffer.from(text))
    expect(head).toMatchObject({ kind: 'response', statusCode: 404, version: '1.0', end: text.length - 4 })
    expect(inPlace(text, head?.fields ?? [])).toEqual([
      ['http.version', '1.0'],
      ['http.status_code', '404'],
      ['http.status_msg', 'Not Found'],
      ['http.set_cookie', 'k=v'],
      ['http.set_cookie', 'l=w'],
    ])
  })

  it('takes a status line without a reason, with the space and without', () => {
    expect(dissectHttpResponse(Buffer.from('HTTP/1.1 204 \r\n\r\n'))?.statusCode).toBe(204)
    expect(dissectHttpResponse(Buffer.from('HTTP/1.1 204\r\n\r\n'))?.fields).toHaveLength(2)
  })

  it.each([
    'HTTP/1.1 20 OK\r\n\r\n',
    'HTTP/1.1 999 X\r\n\r\n',
    'ICY 200 OK\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
  ])('does not take %j for a response', (line) => {
    expect(dissectHttpResponse(Buffer.from(line))).toBeUndefined()
  })
})
