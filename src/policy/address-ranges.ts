// Which IP addresses are part of the public network: IANA's IPv4 and IPv6 special-purpose address registries
// (RFC 6890, RFC 8190 and the RFCs named below), multicast, and the IPv6 space that is not given out. Rule:
// the longest matching range decides, and an IPv4 address inside an IPv6 one is judged as that IPv4 address.
import { type AddressBytes, heldAddresses, inPrefix, parseAddress, prefix } from './ip-address.ts'

interface AddressRange {
  readonly cidr: string
  readonly name: string
  readonly source: string
  /** `held`: as the IPv4 addresses that it holds are. */
  readonly global: boolean | 'held'
}

type AddressClass = { readonly global: true } | { readonly global: false; readonly range: string }

// prettier-ignore
const ROWS: readonly (readonly [cidr: string, name: string, source: string, global?: true | 'held'])[] = [
  ['0.0.0.0/8',          'this-network',            'RFC 791'],
  ['10.0.0.0/8',         'private-use',             'RFC 1918'],
  ['100.64.0.0/10',      'shared-address-space',    'RFC 6598'],
  ['127.0.0.0/8',        'loopback',                'RFC 1122'],
  ['169.254.0.0/16',     'link-local',              'RFC 3927'],
  ['172.16.0.0/12',      'private-use',             'RFC 1918'],
  ['192.0.0.0/24',       'ietf-protocol',           'RFC 6890'],
  ['192.0.0.0/29',       'service-continuity',      'RFC 7335'],
  ['192.0.0.8/32',       'dummy-address',           'RFC 7600'],
  ['192.0.0.9/32',       'pcp-anycast',             'RFC 7723', true],
  ['192.0.0.10/32',      'turn-anycast',            'RFC 8155', true],
  ['192.0.0.170/32',     'nat64-discovery',         'RFC 8880'],
  ['192.0.0.171/32',     'nat64-discovery',         'RFC 8880'],
  ['192.0.2.0/24',       'documentation',           'RFC 5737'],
  ['192.31.196.0/24',    'as112',                   'RFC 7535', true],
  ['192.52.193.0/24',    'amt',                     'RFC 7450', true],
  ['192.88.99.0/24',     '6to4-relay-anycast',      'RFC 7526'],
  ['192.168.0.0/16',     'private-use',             'RFC 1918'],
  ['192.175.48.0/24',    'as112',                   'RFC 7534', true],
  ['198.18.0.0/15',      'benchmarking',            'RFC 2544'],
  ['198.51.100.0/24',    'documentation',           'RFC 5737'],
  ['203.0.113.0/24',     'documentation',           'RFC 5737'],
  ['224.0.0.0/4',        'multicast',               'RFC 5771'],
  ['240.0.0.0/4',        'reserved',                'RFC 1112'],
  ['255.255.255.255/32', 'limited-broadcast',       'RFC 919'],

  ['::/128',             'unspecified',             'RFC 4291'],
  ['::1/128',            'loopback',                'RFC 4291'],
  ['::/96',              'ipv4-compatible',         'RFC 4291', 'held'],
  ['::ffff:0:0/96',      'ipv4-mapped',             'RFC 4291', 'held'],
  ['::ffff:0:0:0/96',    'ipv4-translated',         'RFC 2765', 'held'],
  ['64:ff9b::/96',       'nat64',                   'RFC 6052', 'held'],
  ['64:ff9b:1::/48',     'nat64-local-use',         'RFC 8215'],
  ['100::/64',           'discard-only',            'RFC 6666'],
  ['100:0:0:1::/64',     'dummy-prefix',            'RFC 9780'],
  ['2001::/23',          'ietf-protocol',           'RFC 2928'],
  ['2001::/32',          'teredo',                  'RFC 4380', 'held'],
  ['2001:1::1/128',      'pcp-anycast',             'RFC 7723', true],
  ['2001:1::2/128',      'turn-anycast',            'RFC 8155', true],
  ['2001:1::3/128',      'dns-sd-srp-anycast',      'RFC 9665', true],
  ['2001:2::/48',        'benchmarking',            'RFC 5180'],
  ['2001:3::/32',        'amt',                     'RFC 7450', true],
  ['2001:4:112::/48',    'as112',                   'RFC 7535', true],
  ['2001:10::/28',       'orchid',                  'RFC 4843'],
  ['2001:20::/28',       'orchid-v2',               'RFC 7343', true],
  ['2001:30::/28',       'drone-remote-id',         'RFC 9374', true],
  ['2001:db8::/32',      'documentation',           'RFC 3849'],
  ['2002::/16',          '6to4',                    'RFC 3056', 'held'],
  ['2620:4f:8000::/48',  'as112',                   'RFC 7534', true],
  ['3fff::/20',          'documentation',           'RFC 9637'],
  ['5f00::/16',          'segment-routing',         'RFC 9602'],
  ['fc00::/7',           'unique-local',            'RFC 4193'],
  ['fe80::/10',          'link-local',              'RFC 4291'],
  ['fec0::/10',          'site-local',              'RFC 3879'],
  ['ff00::/8',           'multicast',               'RFC 4291'],
  // Only 2000::/3 is given out as global unicast; overlays squat in the rest (Yggdrasil uses 200::/7).
  ['::/3',               'reserved',                'RFC 4291'],
  ['4000::/2',           'reserved',                'RFC 4291'],
  ['8000::/1',           'reserved',                'RFC 4291'],
]

/** Every range that differs from "public", by name and by the document that says so. */
export const ADDRESS_RANGES: readonly AddressRange[] = ROWS.map(([cidr, name, source, global]) => ({
  cidr,
  name,
  source,
  global: global ?? false,
}))

const LONGEST_FIRST = ADDRESS_RANGES.map((range) => ({ ...range, prefix: prefix(range.cidr) })).toSorted(
  (one, other) => other.prefix.bits - one.prefix.bits,
)

/**
 * Whether an address is of the public network, and if not, the name of the range that it is in. An address
 * with a zone (RFC 4007) is of one link only and never global; what is no address at all is in range
 * `not-an-address`.
 */
export function classifyAddress(address: string): AddressClass {
  const percent = address.indexOf('%')
  const bytes = parseAddress(percent < 0 ? address : address.slice(0, percent))
  if (bytes === undefined || (percent >= 0 && bytes.length === 4)) {
    return { global: false, range: 'not-an-address' }
  }
  const verdict = classifyBytes(bytes)
  return verdict.global && percent >= 0 ? { global: false, range: 'zoned' } : verdict
}

function classifyBytes(address: AddressBytes): AddressClass {
  const range = LONGEST_FIRST.find((candidate) => inPrefix(address, candidate.prefix))
  if (range !== undefined && range.global === false) return { global: false, range: range.name }
  for (const held of heldAddresses(address)) {
    const verdict = classifyBytes(held.bytes)
    if (!verdict.global) return verdict
  }
  return { global: true }
}
