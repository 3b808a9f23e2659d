// Which header fields go on (RFC 9110 section 7.6.1), and the odd forms of Basic credentials (RFC 7617).
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { endToEndFields, fieldValues, parseBasicCredentials } from '../../../src/protocol/http/fields.ts'

describe('end-to-end fields', () => {
  it.each([
    'Connection',
    'Keep-Alive',
    'Proxy-Authenticate',
    'Proxy-Authentication-Info',
    'Proxy-Authorization',
    'Proxy-Connection',
    'TE',
    'Transfer-Encoding',
    'Upgrade',
    'proxy-authorization',
    'PROXY-AUTHORIZATION',
  ])('%s stays on its hop', (name) => {
    expect(endToEndFields(['A', '1', name, 'x', 'B', '2'])).toEqual(['A', '1', 'B', '2'])
  })

  it.each([
    'Authorization',
    'Cookie',
    'User-Agent',
    'Via',
    'Forwarded',
    'X-Forwarded-For',
    'Trailer',
    'Content-Length',
    'Expect',
    'Range',
  ])('%s goes on as it came', (name) => {
    expect(endToEndFields([name, 'Value, With  Spaces'])).toEqual([name, 'Value, With  Spaces'])
  })

  it.each([
    ['one', ['Connection', 'X-Secret']],
    ['one in another case', ['CONNECTION', 'x-sEcReT']],
    ['one of a list', ['Connection', 'close,X-Secret , keep-alive']],
    ['one in a second field', ['Connection', 'close', 'connection', 'X-Secret']],
    ['one between empty ones', ['Connection', ', ,X-Secret,,']],
  ])('what Connection names stays: %s', (_name, connection) => {
    expect(endToEndFields(['X-Secret', '1', ...connection, 'X-Other', '2', 'x-secret', '3'])).toEqual([
      'X-Other',
      '2',
    ])
  })

  it('what frames or routes the message goes on, though Connection names it', () => {
    const fields = ['Host', 'site.example', 'Content-Length', '5']
    expect(endToEndFields(['Connection', 'host, content-length', ...fields])).toEqual(fields)
  })

  it('keeps order, spelling and repetition', () => {
    const fields = ['set-cookie', 'a', 'SET-Cookie', 'b', 'X-A', '', 'set-cookie', 'a']
    expect(endToEndFields(fields)).toEqual(fields)
  })

  it('leaves out what it is told to', () => {
    expect(endToEndFields(['Host', 'a', 'X', '1', 'host', 'b'], ['host'])).toEqual(['X', '1'])
  })

  it('adds nothing, whatever comes', () => {
    const field = fc.tuple(fc.stringMatching(/^[A-Za-z-]{1,12}$/), fc.string({ maxLength: 12 }))
    fc.assert(
      fc.property(fc.array(field), (fields) => {
        const kept = endToEndFields(fields.flat())
        const pairs = new Set(fields.map(([name, value]) => JSON.stringify([name, value])))
        for (let index = 0; index < kept.length; index += 2) {
          expect(pairs.has(JSON.stringify([kept[index], kept[index + 1]]))).toBe(true)
        }
      }),
      { numRuns: 100 },
    )
  })
})

describe('the values of a field', () => {
  it('are all of them, in order, whatever its case', () => {
    expect(fieldValues(['A', '1', 'b', '2', 'a', '3'], 'a')).toEqual(['1', '3'])
    expect(fieldValues(['A', '1'], 'b')).toEqual([])
    expect(fieldValues([], 'a')).toEqual([])
  })
})

const basic = (text: string): string => Buffer.from(text).toString('base64')

describe('Basic credentials', () => {
  it.each([
    ['as in RFC 7617', 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==', 'Aladdin', 'open sesame'],
    ['in UTF-8, as in RFC 7617', 'Basic dGVzdDoxMjPCow==', 'test', '123\u00a3'],
    ['with another case', `bAsIc ${basic('a:b')}`, 'a', 'b'],
    ['with several spaces', `Basic   ${basic('a:b')}  `, 'a', 'b'],
    ['with colons in the password', `Basic ${basic('a:b:c:')}`, 'a', 'b:c:'],
    ['with an empty password', `Basic ${basic('a:')}`, 'a', ''],
    ['with an empty name', `Basic ${basic(':b')}`, '', 'b'],
    ['of one colon', `Basic ${basic(':')}`, '', ''],
    ['without padding', `Basic ${basic('a:bc').replaceAll('=', '')}`, 'a', 'bc'],
    [
      'in the alphabet of URLs',
      `Basic ${Buffer.from('a:\u00ff\u00ff>?').toString('base64url')}`,
      'a',
      '\u00ff\u00ff>?',
    ],
  ])('%s', (_name, value, name, password) => {
    expect(parseBasicCredentials(value)).toEqual({ name, password })
  })

  it.each([
    ['nothing', undefined],
    ['an empty value', ''],
    ['the word alone', 'Basic'],
    ['the word and a space', 'Basic '],
    ['another scheme', `Bearer ${basic('a:b')}`],
    ['a scheme that begins so', `Basics ${basic('a:b')}`],
    ['no space', `Basic${basic('a:b')}`],
    ['no colon', `Basic ${basic('ab')}`],
    ['no base64', 'Basic a:b'],
    ['something behind it', `Basic ${basic('a:b')} x`],
    ['two of them', `Basic ${basic('a:b')}, Basic ${basic('c:d')}`],
    ['too much padding', `Basic ${basic('a:b')}====`],
    ['padding in the middle', 'Basic YTpi=YTpi'],
    ['a line', `Basic ${basic('a:b')}\r\nX: y`],
  ])('are none: %s', (_name, value) => {
    expect(parseBasicCredentials(value)).toBe(undefined)
  })

  it('of any name without a colon and any password come back as they were', () => {
    const name = fc
      .string({ unit: 'grapheme', maxLength: 20 })
      .filter((text) => !text.includes(':') && !text.startsWith('\ufeff'))
    fc.assert(
      fc.property(name, fc.string({ unit: 'grapheme', maxLength: 20 }), (user, password) => {
        expect(parseBasicCredentials(`Basic ${basic(`${user}:${password}`)}`)).toEqual({
          name: user,
          password,
        })
      }),
      { numRuns: 100 },
    )
  })
})
