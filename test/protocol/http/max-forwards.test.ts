// Max-Forwards: counted down for TRACE and OPTIONS alone, used up at 0 (RFC 9110 section 7.6.2).
import { describe, expect, it } from 'vitest'
import { countForward, endsHere } from '../../../src/protocol/http/max-forwards.ts'

describe('Max-Forwards', () => {
  it.each([
    ['OPTIONS', '0', true],
    ['TRACE', '00', true],
    ['TRACE', '1', false],
    ['OPTIONS', '', false],
    ['OPTIONS', '-0', false],
    ['GET', '0', false],
  ])('%s with %j ends here: %s', (method, value, ends) => {
    expect(endsHere(method, ['Host', 'x', 'Max-Forwards', value])).toBe(ends)
  })

  it.each([
    ['OPTIONS', '5', '4'],
    ['TRACE', '1', '0'],
    ['TRACE', '0010', '9'],
    ['TRACE', 'five', 'five'],
    ['TRACE', '99999999999999999999', '99999999999999999999'],
    ['GET', '5', '5'],
  ])('%s with %j goes on with %j', (method, value, left) => {
    const fields = ['Host', 'x', 'max-FORWARDS', value, 'X-Max-Forwards', '7']
    expect(countForward(method, fields)).toEqual(['Host', 'x', 'max-FORWARDS', left, 'X-Max-Forwards', '7'])
  })

  it('a request without it goes on as it is', () => {
    expect(endsHere('TRACE', ['Host', 'x'])).toBe(false)
    expect(countForward('TRACE', ['Host', 'x'])).toEqual(['Host', 'x'])
  })
})
