// First flights as the programs send them, whole and byte by byte, and how little the classifier looks at and
// keeps.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type FirstBytes, FirstBytesClassifier } from '../../src/protocol/first-bytes.ts'

const latin1 = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0))

type Flight = readonly ['up' | 'down', string]

function classify(flights: readonly Flight[], chunkLength: number): FirstBytes {
  const classifier = new FirstBytesClassifier()
  for (const [direction, text] of flights) {
    const bytes = latin1(text)
    for (let at = 0; at < bytes.length; at += chunkLength) {
      classifier.push(direction, bytes.subarray(at, at + chunkLength))
    }
  }
  return classifier.end()
}

const CASES: readonly (readonly [string, FirstBytes, readonly Flight[]])[] = [
  ['a TLS 1.3 ClientHello (RFC 8446 §5.1)', 'tls', [['up', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03']]],
  ['an SSL 3.0 record version', 'tls', [['up', '\x16\x03\x00\x00\x2f\x01']]],
  ['record version 3.4', 'tls', [['up', '\x16\x03\x04\x40\x00\x01']]],
  ['a ClientHello in one-byte records', 'tls', [['up', '\x16\x03\x01\x00\x01\x01']]],
  ['record version 3.5', 'other', [['up', '\x16\x03\x05\x02\x00\x01']]],
  ['record version 2', 'other', [['up', '\x16\x02\x01\x02\x00\x01']]],
  ['an empty TLS record', 'other', [['up', '\x16\x03\x01\x00\x00\x01']]],
  ['a TLS record past 2^14', 'other', [['up', '\x16\x03\x01\x40\x01\x01']]],
  ['a TLS handshake that is no ClientHello', 'other', [['up', '\x16\x03\x01\x02\x00\x02']]],
  ['TLS application data', 'other', [['up', '\x17\x03\x03\x02\x00\x01']]],
  ['half a ClientHello head', 'other', [['up', '\x16\x03\x01']]],

  ['GET', 'http', [['up', 'GET / HTTP/1.1\r\n']]],
  ['PUT', 'http', [['up', 'PUT /x HTTP/1.1\r\n']]],
  ['PROPFIND', 'http', [['up', 'PROPFIND /dav/ HTTP/1.1\r\n']]],
  ['a method with a hyphen', 'http', [['up', 'VERSION-CONTROL /']]],
  ['a method that leaves no room for its target', 'http', [['up', 'ABCDEFGHIJKLMNO /']]],
  ['OPTIONS *', 'http', [['up', 'OPTIONS * HTTP/1.1\r\n']]],
  ['absolute form', 'http', [['up', 'GET http://example.org/ HTTP/1.1\r\n']]],
  ['absolute form, https', 'http', [['up', 'POST https://example.org/ HTTP/1.1\r\n']]],
  ['absolute form past the window', 'http', [['up', 'SUBSCRIBEXXX http://example.org/']]],
  ['CONNECT', 'http', [['up', 'CONNECT example.org:443 HTTP/1.1\r\n']]],
  ['CONNECT to IPv6', 'http', [['up', 'CONNECT [::1]:443 HTTP/1.1\r\n']]],
  ['the preface of HTTP/2 (RFC 9113 §3.4)', 'http', [['up', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n']]],
  ['a method of two letters', 'other', [['up', 'GO / HTTP/1.1\r\n']]],
  [
    'a method of 16 letters, whose end lies past the window',
    'other',
    [['up', 'ABCDEFGHIJKLMNOP / HTTP/1.1']],
  ],
  ['a method in small letters', 'other', [['up', 'get / HTTP/1.1\r\n']]],
  ['a method alone', 'other', [['up', 'GET']]],
  ['SMTP without a greeting', 'other', [['up', 'EHLO example.org\r\n']]],
  ['SMTP of a host with h', 'other', [['up', 'EHLO host.example\r\n']]],
  ['IRC', 'other', [['up', 'NICK fred\r\n']]],
  ['redis', 'other', [['up', 'SET h 1\r\n']]],

  ['SSH, client first', 'ssh', [['up', 'SSH-2.0-OpenSSH_9.2\r\n']]],
  ['SSH, server first', 'ssh', [['down', 'SSH-2.0-OpenSSH_9.2\r\n']]],
  [
    'SSH, both at once',
    'ssh',
    [
      ['up', 'SS'],
      ['down', 'SSH-2.0'],
      ['up', 'H-2.0'],
    ],
  ],
  ['a server that answers HTTP at once', 'http', [['down', 'HTTP/1.1 408 Request Timeout\r\n']]],
  [
    'SMTP',
    'other',
    [
      ['down', '220 mail.example ESMTP\r\n'],
      ['up', 'EHLO client.example\r\n'],
    ],
  ],
  [
    'TLS after a greeting',
    'other',
    [
      ['down', '* OK IMAP4rev1\r\n'],
      ['up', '\x16\x03\x01\x02\x00\x01'],
    ],
  ],
  [
    'a server that speaks into a request',
    'http',
    [
      ['up', 'GE'],
      ['down', 'xyz'],
      ['up', 'T / HTTP/1.1\r\n'],
    ],
  ],
  [
    'HTTP deep inside what a server says',
    'other',
    [
      ['up', 'G'],
      ['down', 'x'],
      ['down', 'HTTP/1.1'],
      ['up', 'x'],
    ],
  ],

  ['nothing', 'none', []],
  ['an empty chunk', 'none', [['up', '']]],
  ['a server alone', 'none', [['down', '220 mail.example ESMTP\r\n']]],
  ['half a greeting', 'none', [['down', 'SS']]],
]

describe('FirstBytesClassifier', () => {
  it.each(CASES)('%s: %s', (_, expected, flights) => {
    expect(classify(flights, 4096)).toBe(expected)
    expect(classify(flights, 1)).toBe(expected)
    expect(classify(flights, 5)).toBe(expected)
  })

  it('says nothing before it can, and its decision ever after', () => {
    const classifier = new FirstBytesClassifier()
    expect(classifier.push('up', latin1('GET'))).toBeUndefined()
    expect(classifier.push('up', latin1(' /'))).toBe('http')
    expect(classifier.push('down', latin1('SSH-2.0'))).toBe('http')
    expect(classifier.push('up', latin1(''))).toBe('http')
    expect(classifier.end()).toBe('http')
  })

  it('keeps its word after the end', () => {
    const classifier = new FirstBytesClassifier()
    expect(classifier.end()).toBe('none')
    expect(classifier.push('up', latin1('GET / HTTP/1.1'))).toBe('none')
  })

  const flights = fc.array(
    fc.tuple(
      fc.constantFrom<'up' | 'down'>('up', 'down'),
      fc.oneof(
        fc.string({ unit: fc.nat({ max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 24 }),
        fc.constantFrom('GET ', 'SSH', '-', '/', '\x16\x03\x01', '\x00\x40\x01', 'HTTP/', '1.1', 'CONNECT '),
      ),
    ),
    { maxLength: 6 },
  )

  it('decides the same in whatever pieces the bytes come', () => {
    fc.assert(
      fc.property(flights, fc.integer({ min: 2, max: 30 }), (sent, chunkLength) => {
        expect(classify(sent, chunkLength)).toBe(classify(sent, 1))
      }),
      { numRuns: 300 },
    )
  })

  it('looks at no more than 16 bytes of a direction: what follows changes nothing', () => {
    const head = fc.string({
      unit: fc.constantFrom(...'ABCXYZ- /*h\x16\x03\x01\x00'),
      minLength: 16,
      maxLength: 16,
    })
    fc.assert(
      fc.property(head, fc.string({ maxLength: 40 }), (first, after) => {
        const classifier = new FirstBytesClassifier()
        const decision = classifier.push('up', latin1(first))
        expect(decision).toBe(classify([['up', first + after]], 4096))
      }),
      { numRuns: 300 },
    )
  })

  it('is never past 16 bytes without a decision', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 40 }), (bytes) => {
        expect(new FirstBytesClassifier().push('up', bytes)).toBeDefined()
      }),
    )
  })
})
