// The grammar of a rule: what is read, and what is refused with its place, its text and a hint.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { parseEgressRules } from '../../src/policy/egress-rules.ts'

function parse(...allow: string[]) {
  return parseEgressRules({ mode: 'report', allow, deny: [], allowOnly: true })
}

describe('parseEgressRules', () => {
  it('keeps the mode and numbers the rules of each list', () => {
    const policy = parseEgressRules({
      mode: 'report',
      allow: ['a.b', '*:1-9'],
      deny: ['c.d'],
      allowOnly: true,
    })
    expect(policy).toMatchObject({ mode: 'report', allowOnly: true })
    expect([...policy.allow, ...policy.deny].map((rule) => rule.id)).toEqual([
      'allow[0]',
      'allow[1]',
      'deny[0]',
    ])
  })

  it.each([
    ['*', { kind: 'any' }, 1, 65_535],
    ['*:*', { kind: 'any' }, 1, 65_535],
    ['Example.org.:443', { kind: 'name', name: 'example.org' }, 443, 443],
    ['*.example.org:8000-8010', { kind: 'below', suffix: '.example.org' }, 8000, 8010],
    ['10.0.0.0/8', { kind: 'range', prefix: { bytes: [10, 0, 0, 0], bits: 8 } }, 1, 65_535],
    ['192.0.2.1:80', { kind: 'range', prefix: { bytes: [192, 0, 2, 1], bits: 32 } }, 80, 80],
    ['0.0.0.0/0:1', { kind: 'range', prefix: { bytes: [0, 0, 0, 0], bits: 0 } }, 1, 1],
    ['::ffff:10.0.0.0/104', { kind: 'range', prefix: { bytes: [10, 0, 0, 0], bits: 8 } }, 1, 65_535],
  ])('reads %s', (text, host, firstPort, lastPort) => {
    expect(parse(text).allow).toEqual([{ id: 'allow[0]', host, firstPort, lastPort }])
  })

  it.each(['2001:db8::/32', '[2001:db8::]/32', '[2001:db8::/32]', '[2001:db8::/32]:*'])(
    'reads %s',
    (text) => {
      const bytes = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
      expect(parse(text).allow[0]?.host).toEqual({ kind: 'range', prefix: { bytes, bits: 32 } })
    },
  )

  const MALFORMED = [
    ': :80 example.org: example.org:0 example.org:65536 example.org:9-8 example.org:1- example.org:080',
    'example.org:http example.org:1,2 example.* a.*.b *example.org *. ** *.* *.10.0.0.1 127.1',
    '2130706433 0x7f.0.0.1 10.0.0.1/8 10.0.0.0/33 10.0.0.0/ 10.0.0.0/08 10.0.0.0/8/8 example.org/8 2001:db8::/32:443 2001:db8::1/32',
    '[::1]80 [::1 [127.0.0.1]:80 [example.org]:80 [2001:db8::/32]/32 fe80::1%eth0 bücher.example 1:2:3',
  ].flatMap((line) => line.split(' '))

  it.each(['', 'exa mple.org', 'a.b ', ...MALFORMED])('refuses %j', (text) => {
    const thrown = catchFrom(() => parse('a.b', text))
    expect(thrown).toMatchObject({
      code: 'config-invalid',
      message: expect.stringContaining('egress.allow[1]'),
    })
    expect(thrown?.message).toContain(JSON.stringify(text))
    expect(thrown?.hint).toMatch(/^write /)
  })

  it('tells which prefix was meant', () => {
    expect(catchFrom(() => parse('10.1.2.3/8'))?.hint).toBe('write 10.0.0.0/8')
    expect(catchFrom(() => parse('[2001:db8::1]/32:1'))?.hint).toBe('write 2001:db8::/32')
  })

  it('throws nothing but config-invalid', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[[\]*.:/0-9a-f-]{0,24}$/))
    fc.assert(
      fc.property(text, (rule) => {
        expect(catchFrom(() => parse(rule))?.code ?? 'config-invalid').toBe('config-invalid')
      }),
      { numRuns: 500 },
    )
  })
})

function catchFrom(run: () => unknown): GatewayError | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof GatewayError) return error
    throw error
  }
}
