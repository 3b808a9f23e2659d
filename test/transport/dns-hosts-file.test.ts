// The hosts file's grammar, as hosts(5) gives it.
import { describe, expect, it } from 'vitest'
import { parseHosts } from '../../src/transport/hosts-file.ts'

describe('parseHosts', () => {
  it.each<[string, string, Record<string, string[]>]>([
    ['one name', '192.0.2.1 a.test', { 'a.test': ['192.0.2.1'] }],
    [
      'aliases',
      '192.0.2.1\ta.test  b.test a',
      { 'a.test': ['192.0.2.1'], 'b.test': ['192.0.2.1'], a: ['192.0.2.1'] },
    ],
    [
      'both families, in the order of the file',
      '127.0.0.1 a\n::1 a\n127.0.0.1 a',
      { a: ['127.0.0.1', '::1'] },
    ],
    ['case and a trailing dot', '192.0.2.1 A.Test.', { 'a.test': ['192.0.2.1'] }],
    ['comments', '# 192.0.2.1 a\n192.0.2.2 b # c\n192.0.2.3 #d', { b: ['192.0.2.2'] }],
    ['CRLF, blank lines, leading blanks', '\r\n  192.0.2.1 a\r\n\r\n', { a: ['192.0.2.1'] }],
    ['what is no address', 'a 192.0.2.1\n127.1 b\n192.0.2.300 c\nfe80::1%lo0 d', {}],
    ['an address alone', '192.0.2.1', {}],
    [
      'names of objects',
      '192.0.2.1 constructor __proto__',
      { constructor: ['192.0.2.1'], ['__proto__']: ['192.0.2.1'] },
    ],
  ])('%s', (_, text, expected) => {
    expect([...parseHosts(text)]).toEqual(Object.entries(expected))
  })
})
