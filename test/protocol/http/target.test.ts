// Request targets as a proxy reads them (RFC 9112 section 3.2): authority-form and absolute-form, and all that is
// neither. What is taken goes on byte for byte.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../../src/errors.ts'
import { parseAbsoluteTarget, parseAuthority } from '../../../src/protocol/http/target.ts'

function codeOf(parse: () => unknown): string {
  try {
    parse()
    return 'taken'
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown.code
    throw thrown
  }
}

describe('authority-form', () => {
  it.each([
    ['site.example:443', 'site.example', 443],
    ['192.0.2.7:80', '192.0.2.7', 80],
    ['[2001:db8::1]:8443', '2001:db8::1', 8443],
    ['[::ffff:192.0.2.7]:1', '::ffff:192.0.2.7', 1],
    ['SITE.example.:65535', 'SITE.example.', 65_535],
    ['a_b:00080', 'a_b', 80],
  ])('%s', (text, host, port) => {
    expect(parseAuthority(text)).toEqual({ host, port })
  })

  it.each([
    '',
    ':',
    ':443',
    'site.example',
    'site.example:',
    'site.example:0',
    'site.example:65536',
    'site.example:99999',
    'site.example:000443',
    'site.example:-1',
    'site.example:+1',
    'site.example:0x50',
    'site.example:4 4',
    'site.example:443/',
    'site.example:443?x',
    'user@site.example:443',
    'http://site.example:443',
    '::1:443',
    '[::1]',
    '[::1]443',
    '[::1:443',
    '[::1]]:443',
    '[site.example]:443',
    '[fe80::1%eth0]:443',
    'a b:443',
    'site.example:443\n',
    '\tsite.example:443',
    'a:b:443',
    '#:1',
  ])('not %j', (text) => {
    expect(codeOf(() => parseAuthority(text))).toBe('bad-request')
  })

  it('takes a default port where there is none, and only there', () => {
    expect(parseAuthority('a', 80)).toEqual({ host: 'a', port: 80 })
    expect(parseAuthority('a:', 80)).toEqual({ host: 'a', port: 80 })
    expect(parseAuthority('[::1]', 80)).toEqual({ host: '::1', port: 80 })
    expect(parseAuthority('a:81', 80)).toEqual({ host: 'a', port: 81 })
    expect(codeOf(() => parseAuthority('a:0', 80))).toBe('bad-request')
  })
})

describe('absolute-form', () => {
  it.each([
    ['http://site.example/', 'GET', 'site.example', 80, 'site.example', '/'],
    ['http://site.example', 'GET', 'site.example', 80, 'site.example', '/'],
    ['HTTP://Site.Example:8080/A?b=c', 'GET', 'Site.Example', 8080, 'Site.Example:8080', '/A?b=c'],
    ['http://site.example?x=1', 'GET', 'site.example', 80, 'site.example', '/?x=1'],
    ['http://site.example:/a', 'GET', 'site.example', 80, 'site.example:', '/a'],
    ['http://[::1]:81/a', 'GET', '::1', 81, '[::1]:81', '/a'],
    ['http://site.example', 'OPTIONS', 'site.example', 80, 'site.example', '*'],
    ['http://site.example/', 'OPTIONS', 'site.example', 80, 'site.example', '/'],
    [
      'http://site.example/../%2e%2E//a%00?q=http://b/@',
      'GET',
      'site.example',
      80,
      'site.example',
      '/../%2e%2E//a%00?q=http://b/@',
    ],
  ])('%s %s', (target, method, host, port, authority, path) => {
    expect(parseAbsoluteTarget(target, method)).toEqual({ destination: { host, port }, authority, path })
  })

  it.each([
    '',
    '/',
    '*',
    'site.example:80',
    'https://site.example/',
    'ftp://site.example/',
    'ws://site.example/',
    'http:/site.example/',
    'http:site.example',
    'http://',
    'http:///path',
    'http://:80/',
    'http://user@site.example/',
    'http://user:pass@site.example/',
    'http://site.example/#fragment',
    'http://site.example#',
    'http://site.example:0/',
    'http://site.example:99999/',
    'http://[::1/',
    'http://a b/',
    ' http://site.example/',
    'http://site.example\\@other.example/',
    'xhttp://site.example/',
  ])('not %j', (target) => {
    expect(codeOf(() => parseAbsoluteTarget(target, 'GET'))).toBe('bad-request')
  })
})

describe('properties', () => {
  it('garbage throws a coded error or is taken as it stands', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), fc.constantFrom('', 'http://'), (text, start) => {
        expect(['bad-request', 'taken']).toContain(codeOf(() => parseAuthority(text)))
        if (codeOf(() => parseAbsoluteTarget(start + text, 'GET')) !== 'taken') return
        const { authority, path } = parseAbsoluteTarget(start + text, 'GET')
        expect((start + text).slice(7).startsWith(authority)).toBe(true)
        expect((start + text).endsWith(path) || path === '/' || path.startsWith('/?')).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})
