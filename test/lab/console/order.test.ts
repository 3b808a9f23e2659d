// What the page may ask for: each field's bounds, and that what passes can stand in a request.
import { describe, expect, it } from 'vitest'
import { checkOrder, isOrder, wordsOf } from '../../../src/lab/console/order.ts'
import { ORDER } from '../../support/console.ts'

const check = (changed: object): unknown => checkOrder({ ...ORDER, ...changed })

describe('checkOrder', () => {
  it('takes an order, in any script, and says where its words go', () => {
    const order = { ...ORDER, message: 'میں منگل کو بیمار ہوں', password: 'کلمۂ عبور' }
    expect(checkOrder(order)).toEqual(order)
    expect(isOrder(checkOrder(order))).toBe(true)
    expect(wordsOf(order)).toEqual({
      hostLabel: ORDER.host,
      path: ORDER.path,
      requestBody: order.message,
      cookie: ORDER.cookie,
      sitePassword: order.password,
    })
  })

  it.each([
    [{ message: '1234567' }, 'message', 'too-short'],
    [{ message: 'x'.repeat(401) }, 'message', 'too-long'],
    [{ message: 'two\r\nlines of it' }, 'message', 'characters'],
    [{ cookie: 'a=b; c=d; e=f' }, 'cookie', 'characters'],
    [{ cookie: 'has a blank' }, 'cookie', 'characters'],
    [{ cookie: 'بسکٹ بسکٹ' }, 'cookie', 'characters'],
    [{ password: 'a\u0000bcdefgh' }, 'password', 'characters'],
    [{ host: 'Upper-Case-Name' }, 'host', 'characters'],
    [{ host: 'evil.example.org' }, 'host', 'characters'],
    [{ host: 'clinic' }, 'host', 'too-short'],
    [{ path: '../../etc/passwd?x' }, 'path', 'characters'],
    [{ path: 'a path with blanks' }, 'path', 'characters'],
    [{ left: { mode: 'vpn', variant: null } }, 'modes', 'unknown'],
    [{ left: { mode: 'socks-proxy', variant: null } }, 'modes', 'unknown'],
    [{ left: ORDER.right }, 'modes', 'same-twice'],
  ])('%j: %s is %s', (changed, field, problem) => {
    expect(check(changed)).toEqual({ field, problem })
  })

  it.each([
    [null],
    [[]],
    ['x'],
    [{}],
    [{ ...ORDER, more: 1 }],
    [{ ...ORDER, scheme: 'ftp' }],
    [{ ...ORDER, message: 1 }],
  ])('throws bad-request for %j', (input) => {
    expect(() => checkOrder(input)).toThrow(expect.objectContaining({ code: 'bad-request' }))
  })
})
