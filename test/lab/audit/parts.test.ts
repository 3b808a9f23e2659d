// The parts of an audit that need no proxy: seals, the probe's address, headers held against each other, and what reaches
// a terminal.
import { describe, expect, it } from 'vitest'
import { headerChanges, namesTheClient } from '../../../src/lab/audit/compare.ts'
import { formatProbeUrl, readProbeUrl } from '../../../src/lab/audit/probe-url.ts'
import { isIdOf, newId, newToken, seal, unseal } from '../../../src/lab/audit/seal.ts'
import { formatAudit } from '../../../src/lab/audit/text.ts'

describe('a seal', () => {
  const token = newToken()
  it('opens with its token and nonce, and with no other, changed or not', () => {
    const sealed = seal(token, 'n', 'the report')
    expect(unseal(token, 'n', sealed)).toBe('the report')
    expect(unseal(token, 'old', sealed)).toBeUndefined()
    expect(unseal(newToken(), 'n', sealed)).toBeUndefined()
    expect(unseal(token, 'n', sealed.replace('the report', 'a report'))).toBeUndefined()
    for (const text of ['', '[]', 'null', '{}', '{"seal":1,"text":"a"}', '<html>'])
      expect(unseal(token, 'n', text)).toBeUndefined()
  })

  it('makes identities that only its holder makes', () => {
    const id = newId(token)
    expect(isIdOf(token, id)).toBe(true)
    expect(isIdOf(newToken(), id)).toBe(false)
    expect(isIdOf(token, id.slice(0, -1) + (id.endsWith('0') ? '1' : '0'))).toBe(false)
    expect(isIdOf(token, '')).toBe(false)
  })
})

describe("the probe's address", () => {
  const address = {
    ...{ http: 80, https: 9003, echo: 9004 },
    ...{ certificate: 'ab'.repeat(32), token: newToken() },
  }
  it.each(['probe.example', '192.0.2.7', '2001:db8::7'])('of %s comes back as it was', (host) => {
    expect(readProbeUrl(formatProbeUrl({ ...address, host }))).toEqual({ ...address, host })
  })

  it('holds the zone where there is one', () => {
    const zoned = { ...address, host: 'probe.example', zone: 'audit.example' }
    expect(readProbeUrl(formatProbeUrl(zoned))).toEqual(zoned)
    expect(() => readProbeUrl(formatProbeUrl({ ...zoned, zone: 'a b' }))).toThrow(
      /not one that a probe prints/,
    )
  })

  it.each(['', 'http://probe.example:9002/', 'https://a/#token=1', 'http://a/#https=1,echo=1,token=x'])(
    'is not %s',
    (text) => {
      expect(() => readProbeUrl(text)).toThrow(/not one that a probe prints/)
    },
  )
})

describe('headers', () => {
  it('are added, removed and changed, whatever their case, and hop-by-hop ones are none of it', () => {
    const sent = [
      ['Host', 'a'],
      ['Cookie', 'x'],
      ['Referer', 'r'],
      ['Connection', 'close'],
    ] as const
    const arrived = [
      ['host', 'a'],
      ['cookie', 'y'],
      ['via', '1.1 p'],
      ['keep-alive', '5'],
    ] as const
    expect(headerChanges(sent, arrived)).toEqual({
      added: [['via', '1.1 p']],
      removed: ['referer'],
      changed: [{ name: 'cookie', from: 'x', to: 'y' }],
    })
  })

  it.each([
    ['x-forwarded-for', '203.0.113.9', true],
    ['forwarded', 'for="[2001:db8::1]:4711"', true],
    ['forwarded', 'for=203.0.113.9:80;proto=http', true],
    ['x-anything', 'id=192.0.2.7', true],
    ['x-user', 'ada', true],
    ['x-forwarded-for', 'unknown', false],
    ['via', '1.1 squid', false],
    ['x-served-by', '203.0.113.9', false],
  ])('%s: %s names the client: %s', (name, value, names) => {
    expect(namesTheClient([name, value], ['192.0.2.7', 'ada'])).toBe(names)
  })
})

it('nothing that a proxy wrote moves the cursor of a terminal', () => {
  const text = formatAudit(
    {
      ...{
        version: 1,
        proxy: 'http://a:1',
        answer: 'plain',
        stands: true,
        runs: [],
        coverage: [],
        notes: [],
      },
      checks: [
        {
          question: 'request-changed',
          answer: 'yes',
          says: [`added x: \u001b[2J\u009b2J${'a'.repeat(9_000)}`],
        },
      ],
    },
    { colour: false, unicode: true },
  )
  expect(text).toContain('added x: .[2J.2Jaaa')
  expect(text).not.toMatch(/[\u001b\u009b]|a{400}/)
})
