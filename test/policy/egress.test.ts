// Who wins when rules meet: own listeners, deny, allow by address, built-in ranges, allow by name, allowOnly.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type EgressConfig,
  type EgressVerdict,
  judgeAddress,
  judgeName,
  parseEgressRules,
} from '../../src/policy/egress.ts'
import type { BoundAddress } from '../../src/protocol/request.ts'

const PUBLIC = '93.184.215.14'

function policyOf(config: Partial<EgressConfig>) {
  return parseEgressRules({ mode: 'enforce', allow: [], deny: [], allowOnly: false, ...config })
}

/** `host port address`, judged; a short text for the table: `+rule` or `-rule reason range`. */
function judge(
  config: Partial<EgressConfig>,
  target: string,
  own: readonly BoundAddress[] = [],
  localAddresses: readonly string[] = [],
): string {
  const [host = '', port, address = host] = target.split(' ')
  return short(judgeAddress(policyOf(config), { host, port: Number(port), address, own, localAddresses }))
}

function short(verdict: EgressVerdict): string {
  if (verdict.allowed) return `+${verdict.rule}`
  return ['-' + verdict.rule, verdict.reason, verdict.range].filter((part) => part !== undefined).join(' ')
}

describe('judgeAddress', () => {
  it.each<[string, Partial<EgressConfig>, string, string]>([
    ['public by default', {}, `example.org 443 ${PUBLIC}`, '+default'],
    ['private by default', {}, 'example.org 443 10.0.0.1', '-built-in denied-range private-use'],
    ['metadata service', {}, 'metadata.internal 80 169.254.169.254', '-built-in denied-range link-local'],
    ['mapped loopback', {}, 'example.org 80 ::ffff:127.0.0.1', '-built-in denied-range loopback'],
    ['zoned', {}, 'example.org 80 fe80::1%eth0', '-built-in denied-range link-local'],
    ['no address at all', {}, 'example.org 80 example.org', '-built-in denied-range not-an-address'],

    ['deny by name', { deny: ['example.org'] }, `example.org 443 ${PUBLIC}`, '-deny[0] denied-rule'],
    [
      'deny by name, dot and case',
      { deny: ['Example.org.'] },
      `EXAMPLE.ORG. 443 ${PUBLIC}`,
      '-deny[0] denied-rule',
    ],
    ['deny by name is exact', { deny: ['example.org'] }, `www.example.org 443 ${PUBLIC}`, '+default'],
    ['deny below', { deny: ['*.example.org'] }, `a.b.example.org 443 ${PUBLIC}`, '-deny[0] denied-rule'],
    ['below leaves the apex', { deny: ['*.example.org'] }, `example.org 443 ${PUBLIC}`, '+default'],
    ['below wants the dot', { deny: ['*.example.org'] }, `badexample.org 443 ${PUBLIC}`, '+default'],
    ['deny by address', { deny: ['93.184.0.0/16'] }, `example.org 443 ${PUBLIC}`, '-deny[0] denied-rule'],
    ['deny by port', { deny: ['*:25'] }, `example.org 25 ${PUBLIC}`, '-deny[0] denied-rule'],
    ['deny another port', { deny: ['*:25'] }, `example.org 443 ${PUBLIC}`, '+default'],
    ['deny a port range', { deny: ['*:20-25'] }, `example.org 20 ${PUBLIC}`, '-deny[0] denied-rule'],
    ['just past the range', { deny: ['*:20-25'] }, `example.org 26 ${PUBLIC}`, '+default'],
    ['the second rule', { deny: ['a.example', '*.org'] }, `x.org 1 ${PUBLIC}`, '-deny[1] denied-rule'],
    [
      'deny IPv4 reaches mapped',
      { deny: ['93.184.0.0/16'] },
      `a.b 1 ::ffff:${PUBLIC}`,
      '-deny[0] denied-rule',
    ],
    [
      'deny IPv4 reaches NAT64',
      { deny: ['93.184.0.0/16'] },
      `a.b 1 64:ff9b::${PUBLIC}`,
      '-deny[0] denied-rule',
    ],
    ['deny IPv4 reaches 6to4', { deny: ['8.8.8.8'] }, 'a.b 1 2002:808:808::1', '-deny[0] denied-rule'],
    [
      'deny mapped range reaches IPv4',
      { deny: ['::ffff:8.8.8.0/120'] },
      'a.b 1 8.8.8.8',
      '-deny[0] denied-rule',
    ],
    ['deny ::/0 reaches mapped', { deny: ['::/0'] }, 'a.b 1 ::ffff:8.8.8.8', '-deny[0] denied-rule'],
    ['deny ::/0 leaves IPv4', { deny: ['::/0'] }, 'a.b 1 8.8.8.8', '+default'],

    [
      'deny beats allow by name',
      { deny: ['a.b'], allow: ['a.b'] },
      `a.b 1 ${PUBLIC}`,
      '-deny[0] denied-rule',
    ],
    [
      'deny beats allow by address',
      { deny: ['a.b'], allow: ['10.0.0.0/8'] },
      'a.b 1 10.0.0.1',
      '-deny[0] denied-rule',
    ],
    ['deny * beats all', { deny: ['*'], allow: ['0.0.0.0/0'] }, `a.b 1 ${PUBLIC}`, '-deny[0] denied-rule'],

    ['allow by CIDR lifts', { allow: ['10.0.0.0/8'] }, 'a.b 443 10.1.2.3', '+allow[0]'],
    ['allow by address lifts', { allow: ['10.0.0.1'] }, 'a.b 443 10.0.0.1', '+allow[0]'],
    ['and no neighbour', { allow: ['10.0.0.1'] }, 'a.b 443 10.0.0.2', '-built-in denied-range private-use'],
    ['with its port', { allow: ['10.0.0.0/8:443'] }, 'a.b 443 10.1.2.3', '+allow[0]'],
    [
      'not with another',
      { allow: ['10.0.0.0/8:443'] },
      'a.b 80 10.1.2.3',
      '-built-in denied-range private-use',
    ],
    ['IPv6 with port', { allow: ['[::1]:80'] }, '::1 80 ::1', '+allow[0]'],
    [
      'IPv6 CIDR, bracket first',
      { allow: ['[2001:db8::]/32:443'] },
      '[2001:db8::5] 443 2001:db8::5',
      '+allow[0]',
    ],
    [
      'IPv6 CIDR, bracket last',
      { allow: ['[2001:db8::/32]:443'] },
      '[2001:db8::5] 443 2001:db8::5',
      '+allow[0]',
    ],
    ['lifts the mapped spelling', { allow: ['127.0.0.0/8'] }, 'a.b 1 ::ffff:127.0.0.1', '+allow[0]'],
    ['lifts behind NAT64', { allow: ['10.0.0.0/8'] }, 'a.b 1 64:ff9b::10.0.0.1', '+allow[0]'],
    [
      'not through a tunnel',
      { allow: ['10.0.0.0/8'] },
      'a.b 1 2002:a00:1::1',
      '-built-in denied-range private-use',
    ],
    ['::/0 lifts no IPv4', { allow: ['::/0'] }, 'a.b 1 ::ffff:127.0.0.1', '-built-in denied-range loopback'],
    ['::/0 lifts no zone', { allow: ['::/0'] }, 'a.b 1 fe80::1%eth0', '-built-in denied-range link-local'],

    [
      'allow by name lifts nothing',
      { allow: ['a.b'] },
      'a.b 1 10.0.0.1',
      '-built-in denied-range private-use',
    ],
    ['nor below', { allow: ['*.b'] }, 'a.b 1 127.0.0.1', '-built-in denied-range loopback'],
    ['nor *', { allow: ['*'] }, 'a.b 1 127.0.0.1', '-built-in denied-range loopback'],
    ['a name allowed', { allow: ['a.b'] }, `a.b 1 ${PUBLIC}`, '+allow[0]'],

    ['allowOnly, nothing', { allowOnly: true }, `a.b 1 ${PUBLIC}`, '-allow-only not-allowed'],
    ['allowOnly, by name', { allowOnly: true, allow: ['a.b'] }, `a.b 1 ${PUBLIC}`, '+allow[0]'],
    [
      'allowOnly, other name',
      { allowOnly: true, allow: ['a.b'] },
      `c.b 1 ${PUBLIC}`,
      '-allow-only not-allowed',
    ],
    [
      'allowOnly, other port',
      { allowOnly: true, allow: ['a.b:443'] },
      `a.b 1 ${PUBLIC}`,
      '-allow-only not-allowed',
    ],
    ['allowOnly, by address', { allowOnly: true, allow: ['93.0.0.0/8'] }, `a.b 1 ${PUBLIC}`, '+allow[0]'],
    ['allowOnly, *', { allowOnly: true, allow: ['*:443'] }, `a.b 443 ${PUBLIC}`, '+allow[0]'],
    [
      'allowOnly, a name for a literal',
      { allowOnly: true, allow: ['a.b'] },
      `${PUBLIC} 1`,
      '-allow-only not-allowed',
    ],
    [
      'allowOnly, name at private',
      { allowOnly: true, allow: ['a.b'] },
      'a.b 1 10.0.0.1',
      '-built-in denied-range private-use',
    ],
  ])('%s', (_, config, target, verdict) => {
    expect(judge(config, target)).toBe(verdict)
  })

  const lift = { allow: ['0.0.0.0/0', '::/0'] }
  const own = '-own-listener own-listener'

  it.each([
    ['itself', '127.0.0.1 3128', '127.0.0.1', own],
    ['itself by mapped address', 'a.b 3128 ::ffff:127.0.0.1', '127.0.0.1', own],
    ['itself by 0.0.0.0', '0.0.0.0 3128', '127.0.0.1', own],
    ['itself by ::', ':: 3128', '::1', own],
    ['listening on a mapped address', '127.0.0.1 3128', '::ffff:127.0.0.1', own],
    ['another port', '127.0.0.1 80', '127.0.0.1', '+allow[0]'],
    ['another loopback address', '127.0.0.2 3128', '127.0.0.1', '+allow[0]'],
    ['IPv4 wildcard, loopback', '127.9.9.9 3128', '0.0.0.0', own],
    ['IPv4 wildcard, local', 'a.b 3128 198.18.0.7', '0.0.0.0', own],
    ['IPv4 wildcard, not local', 'a.b 3128 198.18.0.8', '0.0.0.0', '+allow[0]'],
    ['IPv4 wildcard, IPv6', '::1 3128', '0.0.0.0', '+allow[1]'],
    ['IPv6 wildcard, local IPv6', 'a.b 3128 2001:db8::7', '::', own],
    ['IPv6 wildcard, local IPv4', 'a.b 3128 198.18.0.7', '::', own],
    ['IPv6 wildcard, loopback', '::1 3128', '::', own],
    ['IPv6 wildcard, NAT64 of local', 'a.b 3128 64:ff9b::198.18.0.7', '::', own],
    ['a zone on either side', 'a.b 3128 fe80::7%eth0', 'fe80::7%eth1', own],
  ])('own listener: %s', (_, target, listener, verdict) => {
    const local = ['198.18.0.7', '2001:db8::7', 'fe80::7']
    expect(judge(lift, target, [{ address: listener, port: 3128 }], local)).toBe(verdict)
  })

  it('knows loopback as its own even without a list of local addresses', () => {
    const asked = { host: 'a.b', port: 1, address: '127.0.0.1', own: [{ address: '::', port: 1 }] }
    expect(short(judgeAddress(policyOf(lift), asked))).toBe(own)
  })

  it('never lets a name or * open a special range, whatever else the rules say', () => {
    const special = fc.constantFrom(
      '127.0.0.1',
      '10.1.1.1',
      '::1',
      '::ffff:10.0.0.1',
      'fd00::1',
      '169.254.169.254',
    )
    const byName = fc.constantFrom('*', 'a.example', '*.example', '*:443', 'a.example:1-65535')
    fc.assert(
      fc.property(special, fc.array(byName), fc.boolean(), (address, allow, allowOnly) => {
        expect(judge({ allow, allowOnly }, `a.example 443 ${address}`)).toMatch(/^-built-in denied-range /)
      }),
    )
  })

  it('never allows what a deny rule matches, and puts no destination in a verdict', () => {
    const rule = fc.constantFrom(
      '*',
      '0.0.0.0/0',
      'a.example',
      '8.8.8.8:443',
      '10.0.0.0/8',
      '*.example',
      '*:80',
    )
    const address = fc.constantFrom('8.8.8.8', '10.0.0.1')
    fc.assert(
      fc.property(fc.array(rule), fc.array(rule), fc.boolean(), address, (allow, deny, allowOnly, at) => {
        const verdict = judge({ allow, deny, allowOnly }, `a.example 443 ${at}`)
        const hit = deny.some((text) => !['10.0.0.0/8', '8.8.8.8:443', '*:80'].includes(text))
        const hitAt = deny.includes(at === '8.8.8.8' ? '8.8.8.8:443' : '10.0.0.0/8')
        expect(verdict.startsWith('-deny[')).toBe(hit || hitAt)
        expect(verdict).not.toMatch(/a\.example|\d\.\d/)
      }),
    )
  })
})

describe('judgeName', () => {
  it.each<[string, Partial<EgressConfig>, string, number, string]>([
    ['nothing said', {}, 'example.org', 443, '+default'],
    ['denied', { deny: ['*.example.org:443'] }, 'www.example.org', 443, '-deny[0] denied-rule'],
    ['denied on another port', { deny: ['*.example.org:443'] }, 'www.example.org', 80, '+default'],
    ['denied and allowed', { deny: ['a.b'], allow: ['a.b'] }, 'a.b', 80, '-deny[0] denied-rule'],
    ['allowed', { allow: ['c.d', 'a.b'] }, 'A.B.', 80, '+allow[1]'],
    ['a range says nothing of names', { deny: ['10.0.0.0/8'] }, 'a.b', 80, '+default'],
    ['a literal in a denied range', { deny: ['10.0.0.0/8'] }, '10.1', 80, '-deny[0] denied-rule'],
    ['a literal', {}, '127.0.0.1', 80, '+default'],
    ['allowOnly, not named', { allowOnly: true, allow: ['a.b'] }, 'c.d', 80, '-allow-only not-allowed'],
    ['allowOnly, an address may yet', { allowOnly: true, allow: ['10.0.0.0/8:80'] }, 'c.d', 80, '+default'],
    [
      'allowOnly, but not here',
      { allowOnly: true, allow: ['10.0.0.0/8:80'] },
      'c.d',
      81,
      '-allow-only not-allowed',
    ],
    [
      'allowOnly, a literal',
      { allowOnly: true, allow: ['10.0.0.0/8'] },
      '11.0.0.1',
      1,
      '-allow-only not-allowed',
    ],
    ['allowOnly, an allowed literal', { allowOnly: true, allow: ['10.0.0.0/8'] }, '10.1', 1, '+allow[0]'],
  ])('%s', (_, config, host, port, verdict) => {
    expect(short(judgeName(policyOf(config), { host, port }))).toBe(verdict)
  })

  it('refuses a malformed host', () => {
    expect(() => judgeName(policyOf({}), { host: 'a b', port: 1 })).toThrow(
      expect.objectContaining({ code: 'bad-request' }),
    )
  })
})
