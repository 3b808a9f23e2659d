// HTTP CONNECT as captured: its target, its credentials, and the first tunnelled byte on each side.
import { describe, expect, it } from 'vitest'
import { dissectConnect } from '../../../src/lab/dissect/connect.ts'

const CREDENTIALS = Buffer.from('puser:ppass').toString('base64')
const REQUEST = `CONNECT site.example:443 HTTP/1.1\r\nHost: site.example:443\r\nProxy-Authorization: Basic ${CREDENTIALS}\r\n\r\n`
const GRANTED = 'HTTP/1.1 200 Connection established\r\n\r\n'
const REFUSED = 'HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 5\r\n\r\nlogin'

const dissect = (client: string, server: string) =>
  dissectConnect({ client: Buffer.from(client, 'latin1'), server: Buffer.from(server, 'latin1') })

describe('dissectConnect', () => {
  it('reads target, credentials and where the tunnel begins', () => {
    const found = dissect(`${REQUEST}\u0016\u0003`, `${GRANTED}\u0016\u0003`)
    expect(found?.target).toEqual({ host: 'site.example', port: 443 })
    expect(found?.statusCode).toBe(200)
    expect(found?.tunnel).toEqual({ client: REQUEST.length, server: GRANTED.length })
    const field = (name: string) => found?.client.find((candidate) => candidate.name === name)
    expect(field('connect.host')).toEqual({
      name: 'connect.host',
      value: 'site.example',
      offset: 8,
      length: 12,
    })
    expect(field('connect.port')).toEqual({ name: 'connect.port', value: '443', offset: 21, length: 3 })
    const at = REQUEST.indexOf(CREDENTIALS)
    expect(field('http.proxy_username')).toMatchObject({
      value: 'puser',
      offset: at,
      length: CREDENTIALS.length,
    })
    expect(field('http.proxy_password')).toMatchObject({
      value: 'ppass',
      offset: at,
      length: CREDENTIALS.length,
    })
  })

  it('follows a client that tries again with credentials', () => {
    const first = 'CONNECT site.example:443 HTTP/1.1\r\n\r\n'
    const found = dissect(first + REQUEST, REFUSED + GRANTED)
    expect(found?.tunnel).toEqual({
      client: first.length + REQUEST.length,
      server: REFUSED.length + GRANTED.length,
    })
    expect(found?.client.find((field) => field.name === 'http.proxy_username')?.offset).toBe(
      first.length + REQUEST.indexOf(CREDENTIALS),
    )
    expect(found?.client.filter((field) => field.name === 'connect.host')).toHaveLength(1)
    expect(
      found?.server.filter((field) => field.name === 'http.status_code').map((field) => field.value),
    ).toEqual(['407', '200'])
  })

  it('passes over an interim answer', () => {
    const interim = 'HTTP/1.1 103 Early Hints\r\n\r\n'
    expect(dissect(REQUEST, interim + GRANTED)?.tunnel?.server).toBe(interim.length + GRANTED.length)
  })

  it('reads an IPv6 target', () => {
    const found = dissect('CONNECT [2001:db8::1]:8443 HTTP/1.1\r\n\r\n', '')
    expect(found?.target).toEqual({ host: '2001:db8::1', port: 8443 })
    expect(found?.client.find((field) => field.name === 'connect.port')).toMatchObject({
      offset: 22,
      length: 4,
    })
  })

  it('has no tunnel while it is refused or not answered', () => {
    expect(dissect(REQUEST, '')).toMatchObject({ tunnel: undefined, statusCode: undefined })
    expect(dissect(REQUEST, REFUSED)).toMatchObject({ tunnel: undefined, statusCode: 407 })
    expect(dissect(REQUEST + REQUEST, REFUSED.slice(0, -1))).toMatchObject({
      tunnel: undefined,
      statusCode: 407,
    })
  })

  it('reads every prefix of either side without a mistake', () => {
    const whole = dissect(REQUEST, GRANTED)
    for (let length = 0; length < REQUEST.length; length += 1) {
      expect(dissect(REQUEST.slice(0, length), GRANTED)).toBeUndefined()
    }
    for (let length = 0; length < GRANTED.length; length += 1) {
      expect(dissect(REQUEST, GRANTED.slice(0, length))).toMatchObject({
        client: whole?.client,
        tunnel: undefined,
      })
    }
  })

  it.each([
    ['another method', 'GET / HTTP/1.1\r\n\r\n', ''],
    ['TLS', '\u0016\u0003\u0001', ''],
    ['no port', 'CONNECT site.example HTTP/1.1\r\n\r\n', ''],
    ['port 0', 'CONNECT site.example:0 HTTP/1.1\r\n\r\n', ''],
    ['a port that is too high', 'CONNECT site.example:65536 HTTP/1.1\r\n\r\n', ''],
    ['a head that is not HTTP', 'CONNECT a b c\r\n\r\n', ''],
    ['an answer that is not HTTP', REQUEST, 'SSH-2.0-x\r\n'],
  ])('refuses %s', (_, client, server) => {
    expect(() => dissect(client, server)).toThrow(expect.objectContaining({ code: 'bad-request' }))
  })
})
