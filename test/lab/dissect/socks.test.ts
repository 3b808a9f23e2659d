// SOCKS handshakes as captured: each field at its place, in every version, and the first byte after them.
import { describe, expect, it } from 'vitest'
import { dissectSocks } from '../../../src/lab/dissect/socks.ts'
import type { Field } from '../../../src/lab/dissect/field.ts'

const bytes = (...parts: (number | string)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from([part]))))
const shown = (stream: Buffer, fields: readonly Field[] = []): string[][] =>
  fields.map(({ name, value, offset, length }) => [
    name,
    value,
    stream.toString('hex', offset, offset + length),
  ])
const hex = (text: string): string => Buffer.from(text).toString('hex')

const SOCKS5_CLIENT = bytes(5, 2, 0, 2, 1, 4, 'user', 6, 'secret', 5, 1, 0, 3, 12, 'site.example', 1, 187)
const SOCKS5_SERVER = bytes(5, 2, 1, 0, 5, 0, 0, 1, 127, 0, 0, 1, 4, 56)

describe('dissectSocks', () => {
  it('reads SOCKS5 with user and password and a name (RFC 1928, RFC 1929)', () => {
    const client = Buffer.concat([SOCKS5_CLIENT, Buffer.from('GET /')])
    const server = Buffer.concat([SOCKS5_SERVER, Buffer.from('HTTP/')])
    const found = dissectSocks({ client, server })
    expect(found).toMatchObject({ variant: 'socks5', outcome: 'granted' })
    expect(found?.payload).toEqual({ client: SOCKS5_CLIENT.length, server: SOCKS5_SERVER.length })
    expect(shown(client, found?.client)).toEqual([
      ['socks.version', '5', '05'],
      ['socks.user', 'user', hex('user')],
      ['socks.password', 'secret', hex('secret')],
      ['socks.command', 'connect', '01'],
      ['socks.request.name', 'site.example', hex('site.example')],
      ['socks.request_p', '443', '01bb'],
    ])
    expect(shown(server, found?.server)).toEqual([
      ['socks.method', '2', '02'],
      ['socks.auth_status', '0', '00'],
      ['socks.status', '0', '00'],
      ['socks.bound.host', '127.0.0.1', '7f000001'],
      ['socks.bound_p', '1080', '0438'],
    ])
  })

  it.each([
    ['192.0.2.7', bytes(1, 192, 0, 2, 7)],
    ['2001:db8::1', Buffer.from('0420010db8000000000000000000000001', 'hex')],
    ['::', Buffer.from(`04${'00'.repeat(16)}`, 'hex')],
    ['1:0:2::3:0', Buffer.from('0400010000000200000000000000030000', 'hex')],
    ['1:2:3:4:5:6:7:8', Buffer.from('0400010002000300040005000600070008', 'hex')],
    ['1::2:0:0:3:4', Buffer.from('0400010000000000020000000000030004', 'hex')],
    ['1:0:2:3:4:5:6:7', Buffer.from('0400010000000200030004000500060007', 'hex')],
  ])('reads SOCKS5 without authentication to %s', (address, encoded) => {
    const client = Buffer.concat([bytes(5, 1, 0, 5, 1, 0), encoded, bytes(0, 80)])
    const found = dissectSocks({ client, server: bytes(5, 0, 5, 0, 0, 3, 1, 'h', 0, 9) })
    expect(found?.client.find((field) => field.name === 'socks.request.host')?.value).toBe(address)
    expect(found?.payload).toEqual({ client: client.length, server: 10 })
  })

  it('reads SOCKS4 and SOCKS4a', () => {
    const reply = bytes(0, 90, 0, 80, 192, 0, 2, 1)
    const four = bytes(4, 1, 0, 80, 192, 0, 2, 7, 'me', 0)
    const foundFour = dissectSocks({ client: Buffer.concat([four, Buffer.from('x')]), server: reply })
    expect(foundFour).toMatchObject({
      variant: 'socks4',
      outcome: 'granted',
      payload: { client: 11, server: 8 },
    })
    expect(shown(four, foundFour?.client)).toEqual([
      ['socks.version', '4', '04'],
      ['socks.command', 'connect', '01'],
      ['socks.request_p', '80', '0050'],
      ['socks.request.host', '192.0.2.7', 'c0000207'],
      ['socks.user', 'me', hex('me')],
    ])
    const named = bytes(4, 1, 0, 80, 0, 0, 0, 1, 'me', 0, 'site.example', 0)
    const foundNamed = dissectSocks({ client: named, server: reply })
    expect(foundNamed).toMatchObject({
      variant: 'socks4a',
      outcome: 'granted',
      payload: { client: named.length },
    })
    expect(shown(named, foundNamed?.client).slice(2)).toEqual([
      ['socks.request_p', '80', '0050'],
      ['socks.user', 'me', hex('me')],
      ['socks.request.name', 'site.example', hex('site.example')],
    ])
    expect(shown(reply, foundNamed?.server)).toEqual([
      ['socks.status', '90', '5a'],
      ['socks.bound_p', '80', '0050'],
      ['socks.bound.host', '192.0.2.1', 'c0000201'],
    ])
  })

  it('takes 0.0.0.0 for an address: the marks of SOCKS4a are 0.0.0.1 to 0.0.0.255', () => {
    const found = dissectSocks({ client: bytes(4, 1, 0, 80, 0, 0, 0, 0, 0), server: Buffer.alloc(0) })
    expect(found).toMatchObject({ variant: 'socks4' })
    expect(found?.client.find((field) => field.name === 'socks.request.host')?.value).toBe('0.0.0.0')
  })

  it.each([
    ['no method', SOCKS5_CLIENT, bytes(5, 0xff)],
    ['the password', SOCKS5_CLIENT, bytes(5, 2, 1, 1)],
    ['the request', SOCKS5_CLIENT, bytes(5, 2, 1, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 0)],
    ['a SOCKS4 request', bytes(4, 1, 0, 80, 192, 0, 2, 7, 0), bytes(0, 91, 0, 0, 0, 0, 0, 0)],
  ])('says that it was refused: %s', (_, client, server) => {
    expect(dissectSocks({ client, server })).toMatchObject({ outcome: 'refused', payload: undefined })
  })

  it('shows the credentials even where they were refused', () => {
    const found = dissectSocks({ client: SOCKS5_CLIENT, server: bytes(5, 2, 1, 1) })
    expect(found?.client.map((field) => field.name)).toEqual([
      'socks.version',
      'socks.user',
      'socks.password',
    ])
  })

  it('stops at a method that it does not read', () => {
    expect(dissectSocks({ client: bytes(5, 1, 1, 9, 9), server: bytes(5, 1) })?.outcome).toBe('unfinished')
  })

  it('reads a prefix as a prefix: no field changes as bytes arrive', () => {
    const whole = dissectSocks({ client: SOCKS5_CLIENT, server: SOCKS5_SERVER })
    for (let length = 1; length < SOCKS5_CLIENT.length; length += 1) {
      const found = dissectSocks({ client: SOCKS5_CLIENT.subarray(0, length), server: SOCKS5_SERVER })
      expect(found?.outcome).toBe('unfinished')
      expect(found?.payload).toBeUndefined()
      expect(found?.client).toEqual(whole?.client.slice(0, found?.client.length))
    }
    for (let length = 0; length < SOCKS5_SERVER.length; length += 1) {
      const found = dissectSocks({ client: SOCKS5_CLIENT, server: SOCKS5_SERVER.subarray(0, length) })
      expect(found?.outcome).toBe('unfinished')
      expect(found?.server).toEqual(whole?.server.slice(0, found?.server.length))
    }
    const named = bytes(4, 1, 0, 80, 0, 0, 0, 1, 'me', 0, 'site.example', 0)
    const wholeNamed = dissectSocks({ client: named, server: Buffer.alloc(0) })
    for (let length = 1; length < named.length; length += 1) {
      const found = dissectSocks({ client: named.subarray(0, length), server: Buffer.alloc(0) })
      expect(found?.client).toEqual(wholeNamed?.client.slice(0, found?.client.length))
    }
    expect(dissectSocks({ client: Buffer.alloc(0), server: Buffer.alloc(0) })).toBeUndefined()
  })

  it.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(0)],
    ['a server that is not SOCKS5', SOCKS5_CLIENT, Buffer.from('HTTP/1.1')],
    ['a server that is not SOCKS4', bytes(4, 1, 0, 80, 1, 2, 3, 4, 0), bytes(4, 90)],
    ['a method that was not offered', bytes(5, 1, 0), bytes(5, 2)],
    ['an unknown command', bytes(5, 1, 0, 5, 9), bytes(5, 0)],
    ['an unknown address type', bytes(5, 1, 0, 5, 1, 0, 2), bytes(5, 0)],
    ['another version in the request', bytes(5, 1, 0, 4, 1), bytes(5, 0)],
    ['another version of authentication', bytes(5, 1, 2, 5, 1), bytes(5, 2)],
  ])('refuses %s', (_, client, server) => {
    expect(() => dissectSocks({ client, server })).toThrow(expect.objectContaining({ code: 'bad-request' }))
  })
})
