// Every special range at its edges. The table is written by hand from the registries, apart from the one in
// src, so that a slip in either shows; `before` and `after` are the verdicts just outside.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ADDRESS_RANGES, classifyAddress } from '../../src/policy/address-ranges.ts'
import { formatAddress, parseAddress } from '../../src/policy/ip-address.ts'

/** A final `~` stands for ones to the end. */
type Row = readonly [range: string, first: string, last: string, before: string, after: string]

// prettier-ignore
const DENIED: readonly Row[] = [
  ['this-network', '0.0.0.0', '0.255.255.255', '', '1.0.0.0 global'],
  ['private-use', '10.0.0.0', '10.255.255.255', '9.255.255.255 global', '11.0.0.0 global'],
  ['shared-address-space', '100.64.0.0', '100.127.255.255', '100.63.255.255 global', '100.128.0.0 global'],
  ['loopback', '127.0.0.0', '127.255.255.255', '126.255.255.255 global', '128.0.0.0 global'],
  ['link-local', '169.254.0.0', '169.254.255.255', '169.253.255.255 global', '169.255.0.0 global'],
  ['private-use', '172.16.0.0', '172.31.255.255', '172.15.255.255 global', '172.32.0.0 global'],
  ['service-continuity', '192.0.0.0', '192.0.0.7', '191.255.255.255 global', '192.0.0.8 dummy-address'],
  ['dummy-address', '192.0.0.8', '192.0.0.8', '192.0.0.7 service-continuity', '192.0.0.9 global'],
  ['ietf-protocol', '192.0.0.11', '192.0.0.169', '192.0.0.10 global', '192.0.0.170 nat64-discovery'],
  ['nat64-discovery', '192.0.0.170', '192.0.0.171', '192.0.0.169 ietf-protocol', '192.0.0.172 ietf-protocol'],
  ['ietf-protocol', '192.0.0.172', '192.0.0.255', '192.0.0.171 nat64-discovery', '192.0.1.0 global'],
  ['documentation', '192.0.2.0', '192.0.2.255', '192.0.1.255 global', '192.0.3.0 global'],
  ['6to4-relay-anycast', '192.88.99.0', '192.88.99.255', '192.88.98.255 global', '192.88.100.0 global'],
  ['private-use', '192.168.0.0', '192.168.255.255', '192.167.255.255 global', '192.169.0.0 global'],
  ['benchmarking', '198.18.0.0', '198.19.255.255', '198.17.255.255 global', '198.20.0.0 global'],
  ['documentation', '198.51.100.0', '198.51.100.255', '198.51.99.255 global', '198.51.101.0 global'],
  ['documentation', '203.0.113.0', '203.0.113.255', '203.0.112.255 global', '203.0.114.0 global'],
  ['multicast', '224.0.0.0', '239.255.255.255', '223.255.255.255 global', '240.0.0.0 reserved'],
  ['reserved', '240.0.0.0', '255.255.255.254', '239.255.255.255 multicast', '255.255.255.255 limited-broadcast'],

  ['unspecified', '::', '::', '', '::1 loopback'],
  ['loopback', '::1', '::1', ':: unspecified', '::2 this-network'],
  ['reserved', '::1:0:0', '::fffe:ffff:ffff', '::ffff:ffff limited-broadcast', '::ffff:0:0 this-network'],
  ['reserved', '::ffff:1:0:0', '64:ff9a:~', '::ffff:0:ffff:ffff limited-broadcast', '64:ff9b:: this-network'],
  ['nat64-local-use', '64:ff9b:1::', '64:ff9b:1:~', '64:ff9b:0:~ reserved', '64:ff9b:2:: reserved'],
  ['discard-only', '100::', '100::ffff:ffff:ffff:ffff', 'ff:~ reserved', '100:0:0:1:: dummy-prefix'],
  ['dummy-prefix', '100:0:0:1::', '100::1:ffff:ffff:ffff:ffff', '100::ffff:ffff:ffff:ffff discard-only', '100:0:0:2:: reserved'],
  ['reserved', '200::', '1fff:~', '100:0:0:2:: reserved', '2000:: global'],
  ['ietf-protocol', '2001:1::', '2001:1::', '2001:0:808:808:0:0:f7f7:f7f7 global', '2001:1::1 global'],
  ['ietf-protocol', '2001:1::4', '2001:1:~', '2001:1::3 global', '2001:2:: benchmarking'],
  ['benchmarking', '2001:2::', '2001:2:0:~', '2001:1:ffff:: ietf-protocol', '2001:2:1:: ietf-protocol'],
  ['ietf-protocol', '2001:4::', '2001:4:111:~', '2001:3:~ global', '2001:4:112:: global'],
  ['ietf-protocol', '2001:4:113::', '2001:f:~', '2001:4:112:~ global', '2001:10:: orchid'],
  ['orchid', '2001:10::', '2001:1f:~', '2001:f:: ietf-protocol', '2001:20:: global'],
  ['ietf-protocol', '2001:40::', '2001:1ff:~', '2001:3f:~ global', '2001:200:: global'],
  ['documentation', '2001:db8::', '2001:db8:~', '2001:db7:~ global', '2001:db9:: global'],
  ['documentation', '3fff::', '3fff:fff:~', '3ffe:~ global', '3fff:1000:: global'],
  ['reserved', '4000::', '5eff:~', '3fff:~ global', '5f00:: segment-routing'],
  ['segment-routing', '5f00::', '5f00:~', '5eff:: reserved', '5f01:: reserved'],
  ['unique-local', 'fc00::', 'fdff:~', 'fbff:~ reserved', 'fe00:: reserved'],
  ['link-local', 'fe80::', 'febf:~', 'fe7f:~ reserved', 'fec0:: site-local'],
  ['site-local', 'fec0::', 'feff:~', 'febf:: link-local', 'ff00:: multicast'],
  ['multicast', 'ff00::', 'ffff:~', 'feff:: site-local', ''],
]

const GLOBAL = [
  '1.1.1.1 8.8.8.8 192.0.0.9 192.0.0.10 192.31.196.1 192.52.193.1 192.175.48.1 2000:: 2001:1::1',
  '2001:1::2 2001:1::3 2001:3:: 2001:4:112::1 2001:20:: 2001:3f:: 2001:200:: 2001:4860:4860::8888 2003::',
  '2620:4f:8000::1',
]
  .join(' ')
  .split(' ')

function verdictOf(address: string): string {
  const groups = address.split(':')
  const ones = Array.from({ length: 9 - groups.length }, () => 'ffff')
  const verdict = classifyAddress(
    address.endsWith(':~') ? groups.slice(0, -1).concat(ones).join(':') : address,
  )
  return verdict.global ? 'global' : verdict.range
}

describe('classifyAddress', () => {
  it.each(DENIED)('%s: %s to %s', (range, first, last, before, after) => {
    expect([verdictOf(first), verdictOf(last)]).toEqual([range, range])
    for (const outside of [before, after].filter((text) => text !== '')) {
      const [address = '', verdict] = outside.split(' ')
      expect(`${address} ${verdictOf(address)}`).toBe(`${address} ${verdict}`)
    }
  })

  it.each(GLOBAL)('%s is global', (address) => {
    expect(classifyAddress(address)).toEqual({ global: true })
  })

  it('has a name and a document for every range, and each range once', () => {
    expect(new Set(ADDRESS_RANGES.map((range) => range.cidr)).size).toBe(ADDRESS_RANGES.length)
    for (const range of ADDRESS_RANGES) {
      expect(range.name).toMatch(/^[a-z0-9-]+$/)
      expect(range.source).toMatch(/^RFC \d+$/)
    }
  })

  it.each([
    ['mapped, dotted', '::ffff:127.0.0.1', 'loopback'],
    ['mapped, hex', '::ffff:a9fe:a9fe', 'link-local'],
    ['mapped, long', '0:0:0:0:0:ffff:0a00:0001', 'private-use'],
    ['compatible', '::10.0.0.1', 'private-use'],
    ['translated', '::ffff:0:192.168.1.1', 'private-use'],
    ['NAT64', '64:ff9b::127.0.0.1', 'loopback'],
    ['6to4', '2002:7f00:1::', 'loopback'],
    ['6to4 with a host part', '2002:c0a8:101:5::99', 'private-use'],
    ['Teredo server', '2001:0:a00:1::f7f7:f7f7', 'private-use'],
    ['Teredo client, inverted bits', '2001:0:808:808::80ff:fffe', 'loopback'],
    ['ISATAP, local bit clear', '2001:4860::5efe:10.0.0.1', 'private-use'],
    ['ISATAP, universal bit set', '2001:4860::200:5efe:127.0.0.1', 'loopback'],
    ['ISATAP under a 6to4 prefix', '2002:808:808::5efe:10.0.0.1', 'private-use'],
  ])('judges %s as the IPv4 it holds', (_, address, range) => {
    expect(classifyAddress(address)).toEqual({ global: false, range })
  })

  it.each([
    '::ffff:8.8.8.8',
    '::8.8.8.8',
    '64:ff9b::8.8.8.8',
    '2002:808:808::1',
    '2001:0:808:808::f7f7:f7f7',
    '2001:4860::5efe:8.8.8.8',
  ])('lets %s pass, whose IPv4 is public', (address) => {
    expect(classifyAddress(address)).toEqual({ global: true })
  })

  it('judges the prefix of an ISATAP address too', () => {
    expect(classifyAddress('fe80::5efe:8.8.8.8')).toEqual({ global: false, range: 'link-local' })
  })

  it.each([
    ['fe80::1%eth0', 'link-local'],
    ['2001:4860::1%eth0', 'zoned'],
    ['::1%25lo', 'loopback'],
    ['8.8.8.8%eth0', 'not-an-address'],
    ['example.org', 'not-an-address'],
    ['127.1', 'not-an-address'],
    ['010.0.0.1', 'not-an-address'],
    ['8.8.8.8.', 'not-an-address'],
    ['1::2::3', 'not-an-address'],
    ['', 'not-an-address'],
  ])('denies %s as %s', (address, range) => {
    expect(classifyAddress(address)).toEqual({ global: false, range })
  })

  it('gives IPv4 and its mapped form one verdict', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(classifyAddress(`::ffff:${address}`)).toEqual(classifyAddress(address))
        expect(classifyAddress(`64:ff9b::${address}`)).toEqual(classifyAddress(address))
      }),
    )
  })

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(classifyAddress(text)).toHaveProperty('global')
      }),
    )
  })
})

describe('parseAddress and formatAddress', () => {
  it.each([
    ['::1.2.3.4', '::102:304'],
    ['::ffff:1.2.3.4', '::ffff:102:304'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['255.255.255.255', '255.255.255.255'],
  ])('reads %s as %s', (text, canonical) => {
    expect(formatAddress(parseAddress(text) ?? [])).toBe(canonical)
  })

  it.each([
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '0x1.2.3.4',
    '::ffff:01.2.3.4',
    '::ffff:1.2.3',
    ':::',
    '1:',
    '::g',
  ])('refuses %s', (text) => expect(parseAddress(text)).toBeUndefined())

  it('reads back what it wrote', () => {
    const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 })
    fc.assert(
      fc.property(bytes, (address) => {
        expect(parseAddress(formatAddress([...address]))).toEqual([...address])
      }),
    )
  })
})
