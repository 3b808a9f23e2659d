// IPv4 addresses in text: what four plain decimals are, and what is none of them.
import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { describe, expect, it } from 'vitest'
import { quadBytes } from '../../src/protocol/dotted-quad.ts'

const octet = fc.integer({ min: 0, max: 255 })

describe('a dotted quad', () => {
  it('is read as its four bytes', () => {
    fc.assert(
      fc.property(fc.tuple(octet, octet, octet, octet), (bytes) => {
        expect(quadBytes(bytes.join('.'))).toEqual(bytes)
      }),
    )
  })

  it.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.4.',
    '.1.2.3',
    '01.2.3.4',
    '1.2.3.256',
    '0x1.2.3.4',
    '1.2.3.4 ',
    '::1.2.3.4',
    'a.b.c.d',
    '1.2.3.-4',
    '1.2.3.4\n',
  ])('is not %j', (text) => expect(quadBytes(text)).toBeUndefined())

  it('is what ipaddr.js takes for four decimals, without leading zeros', () => {
    const text = fc.stringMatching(/^[0-9.]{1,16}$/)
    fc.assert(
      fc.property(text, (candidate) => {
        const isQuad = ipaddr.IPv4.isValidFourPartDecimal(candidate) && !/(^|\.)0\d/.test(candidate)
        expect(quadBytes(candidate) !== undefined).toBe(isQuad)
      }),
      { numRuns: 2_000 },
    )
  })
})
