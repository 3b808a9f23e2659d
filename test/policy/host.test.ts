// Every spelling of a host that someone has used to pass a filter, and what it must become.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { normalizeHost } from '../../src/policy/host.ts'

describe('normalizeHost', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['127.0.0.1.', '127.0.0.1'],
    ['2130706433', '127.0.0.1'],
    ['0x7f000001', '127.0.0.1'],
    ['0X7F.1', '127.0.0.1'],
    ['017700000001', '127.0.0.1'],
    ['127.1', '127.0.0.1'],
    ['127.0.1', '127.0.0.1'],
    ['0177.0.0.01', '127.0.0.1'],
    ['0x7f.0x0.0x0.0x1', '127.0.0.1'],
    ['10.65535', '10.0.255.255'],
    ['169.254.43518', '169.254.169.254'],
    ['0', '0.0.0.0'],
    ['0x', '0.0.0.0'],
    ['4294967295', '255.255.255.255'],
    ['[::1]', '::1'],
    ['::1', '::1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['[2001:DB8::1]', '2001:db8::1'],
    ['[::ffff:127.0.0.1]', '127.0.0.1'],
    ['::ffff:7f00:1', '127.0.0.1'],
    ['::127.0.0.1', '::7f00:1'],
  ])('%s is the address %s', (host, address) => {
    expect(normalizeHost(host)).toEqual({ kind: 'address', address })
  })

  it.each([
    ['Example.ORG', 'example.org'],
    ['example.org.', 'example.org'],
    ['localhost', 'localhost'],
    ['_dmarc.example.org', '_dmarc.example.org'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['1.2.3.4.example', '1.2.3.4.example'],
    ['127.0.0.1.nip.io', '127.0.0.1.nip.io'],
    ['0xg', '0xg'],
    ['a-.b', 'a-.b'],
    [`${'a'.repeat(63)}.b`, `${'a'.repeat(63)}.b`],
    [`${'a.'.repeat(126)}b.`, `${'a.'.repeat(126)}b`],
  ])('%s is the name %s', (host, name) => {
    expect(normalizeHost(host)).toEqual({ kind: 'name', name })
  })

  it.each([
    ['nothing', ''],
    ['a dot', '.'],
    ['two trailing dots', 'example.org..'],
    ['a leading dot', '.example.org'],
    ['an empty label', 'a..b'],
    ['a label of 64', `${'a'.repeat(64)}.b`],
    ['a name of 254', `${'a.'.repeat(126)}bc`],
    ['a space', 'exa mple.org'],
    ['NUL', 'example.org\0.evil.example'],
    ['a line end', 'example.org\r\nX: y'],
    ['a final line end', 'example.org\n'],
    ['a percent sign', 'example%2eorg'],
    ['a zone', 'fe80::1%eth0'],
    ['a zone in brackets', '[fe80::1%25eth0]'],
    ['a slash', 'example.org/x'],
    ['an at sign', 'user@example.org'],
    ['a port', 'example.org:80'],
    ['a name beyond ASCII', 'bücher.example'],
    ['full-width digits', '１２７.0.0.1'],
    ['an ideographic full stop', '127。0。0。1'],
    ['the Kelvin sign', '\u212aelvin.example'],
    ['IPv4 in brackets', '[127.0.0.1]'],
    ['an open bracket', '[::1'],
    ['a closing bracket', '::1]'],
    ['IPv6 with a dot after it', '[::1].'],
    ['five numbers', '1.2.3.4.5'],
    ['a number too large', '256.0.0.1'],
    ['a last number too large', '1.2.65536'],
    ['a whole number too large', '4294967296'],
    ['octal with 8', '08'],
    ['a name before a last number', 'example.1'],
    ['a name before a hexadecimal number', 'example.0x7f'],
  ])('refuses %s, and does not repeat it', (_, host) => {
    const error = refusalOf(host)
    expect(error).toMatchObject({ code: 'bad-request', side: 'client' })
    if (host.length > 6) expect(`${error?.message} ${error?.hint}`).not.toContain(host)
  })

  it('is settled after one pass', () => {
    const hosts = fc.oneof(fc.domain(), fc.ipV4Extended(), fc.ipV6(), fc.string({ maxLength: 20 }))
    fc.assert(
      fc.property(hosts, (host) => {
        if (refusalOf(host) !== undefined) return
        const once = normalizeHost(host)
        expect(normalizeHost(once.kind === 'name' ? once.name : once.address)).toEqual(once)
      }),
    )
  })

  it('reads numbers as the WHATWG URL parser does', () => {
    const part = fc.oneof(
      fc.nat({ max: 300 }).map(String),
      fc.nat({ max: 2 ** 32 }).map((number) => `0x${number.toString(16)}`),
      fc.nat({ max: 2 ** 32 }).map((number) => `0${number.toString(8)}`),
      fc.constantFrom('0', '08', '0x', '4294967295', '4294967296'),
    )
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
        const host = parts.join('.')
        const url = URL.canParse(`http://${host}/`) ? new URL(`http://${host}/`).hostname : undefined
        const ours = refusalOf(host) === undefined ? normalizeHost(host) : undefined
        expect(ours).toEqual(url === undefined ? undefined : { kind: 'address', address: url })
      }),
      { numRuns: 500 },
    )
  })

  it('throws nothing but bad-request', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (host) => {
        expect(refusalOf(host)?.code ?? 'bad-request').toBe('bad-request')
      }),
    )
  })
})

function refusalOf(host: string): GatewayError | undefined {
  try {
    normalizeHost(host)
    return undefined
  } catch (error) {
    if (error instanceof GatewayError) return error
    throw error
  }
}
