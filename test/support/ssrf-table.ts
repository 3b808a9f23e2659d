// Every way of naming a destination that a gateway must not reach, for every protocol that can carry it (TCP and UDP).
// Rule: a row is refused in `enforce` under SSRF_EGRESS, which allows all that a rule by name can allow, and nothing but
// what `dials` names is ever dialled for it.
import { GatewayError } from '../../src/errors.ts'
import { ADDRESS_RANGES } from '../../src/policy/address-ranges.ts'
import { formatAddress, parseAddress, prefix } from '../../src/policy/ip-address.ts'
import type { Resolve } from '../../src/transport/resolve.ts'

export interface SsrfRow {
  readonly what: string
  /** As a client writes it; IPv6 without brackets. */
  readonly host: string
  readonly code: 'destination-denied' | 'bad-request' | 'connection-refused'
  /** The public addresses that may be dialled for it. */
  readonly dials?: readonly string[]
}

/** An address of the public network, for answers that mix; a test must not let it be dialled. */
export const PUBLIC_ADDRESS = '93.184.215.14'

/** Rules by name, which lift nothing. */
export const SSRF_EGRESS = { allow: ['*', 'allowed.ssrf.test', '*.below.ssrf.test'] }

const DENIED_FOUR = ADDRESS_RANGES.filter(({ cidr, global }) => global === false && !cidr.includes(':'))
const DENIED_SIX = ADDRESS_RANGES.filter(({ cidr, global }) => global === false && cidr.includes(':'))

/** An address of the range: its last, but in 0.0.0.0/8, whose first addresses mean something else to SOCKS4a. */
function lastOf(cidr: string): number[] {
  const { bytes, bits } = prefix(cidr)
  return bytes.map((byte, index) => byte | (0xff >> Math.min(8, Math.max(0, bits - index * 8))))
}

const hex = (value: number): string => `0x${value.toString(16)}`
const octal = (value: number): string => `0${value.toString(8)}`
const group = (high: number, low: number): string => ((high << 8) | low).toString(16)

/** One IPv4 address in every spelling that some program somewhere reads as it. */
function spellingsOf(bytes: readonly number[]): Record<string, string> {
  const [a = 0, b = 0, c = 0, d = 0] = bytes
  const whole = ((a * 256 + b) * 256 + c) * 256 + d
  const dotted = bytes.join('.')
  const high = group(a, b)
  const low = group(c, d)
  return {
    dotted,
    decimal: String(whole),
    hexadecimal: hex(whole),
    'hexadecimal, upper case': `0X${whole.toString(16).toUpperCase()}`,
    octal: octal(whole),
    'each part hexadecimal': bytes.map(hex).join('.'),
    'each part octal': bytes.map(octal).join('.'),
    'parts of each kind': [a, hex(b), octal(c), d].join('.'),
    'octal with zeros before': bytes.map((byte) => `000${octal(byte)}`).join('.'),
    'three parts': `${a}.${b}.${c * 256 + d}`,
    'two parts': `${a}.${(b * 256 + c) * 256 + d}`,
    'two parts, hexadecimal': `${hex(a)}.${hex((b * 256 + c) * 256 + d)}`,
    'a trailing dot': `${dotted}.`,
    'decimal, a trailing dot': `${whole}.`,
    mapped: `::ffff:${dotted}`,
    'mapped, in groups': `::ffff:${high}:${low}`,
    'mapped, in full': `0000:0000:0000:0000:0000:FFFF:${high}:${low}`,
    compatible: `::${dotted}`,
    translated: `::ffff:0:${dotted}`,
    nat64: `64:ff9b::${dotted}`,
    'nat64, for local use': `64:ff9b:1::${dotted}`,
    '6to4': `2002:${high}:${low}::1`,
    'teredo, as the server': `2001:0:${high}:${low}::1`,
    'teredo, as the client': `2001:0:808:808::${group(a ^ 0xff, b ^ 0xff)}:${group(c ^ 0xff, d ^ 0xff)}`,
    isatap: `2001:4860::5efe:${high}:${low}`,
  }
}

/** What each name of the table answers: at the first look-up, at the next, and so on, then from the start again. */
const ANSWERS: Readonly<Record<string, ReadonlyArray<readonly string[]>>> = {
  localhost: [['::1', '127.0.0.1']],
  'private.ssrf.test': [['10.0.0.1']],
  'loopback.ssrf.test': [['127.0.0.1']],
  'metadata.ssrf.test': [['169.254.169.254']],
  'six.ssrf.test': [['fd00::1', '::1']],
  'mapped.ssrf.test': [['::ffff:127.0.0.1', '::ffff:a00:1']],
  'nat64.ssrf.test': [['64:ff9b::7f00:1']],
  'zoned.ssrf.test': [['fe80::1%lo']],
  'not-an-address.ssrf.test': [['loopback.ssrf.test']],
  'all-private.ssrf.test': [['10.0.0.1', '::1', '192.168.0.1', 'fd00::1']],
  'public-first.ssrf.test': [[PUBLIC_ADDRESS, '127.0.0.1', '::1']],
  'private-first.ssrf.test': [['127.0.0.1', '::1', PUBLIC_ADDRESS]],
  'between.ssrf.test': [['10.0.0.1', PUBLIC_ADDRESS, '127.0.0.1']],
  'changes.ssrf.test': [[PUBLIC_ADDRESS], ['127.0.0.1']],
  'changes-back.ssrf.test': [['127.0.0.1'], [PUBLIC_ADDRESS]],
  'allowed.ssrf.test': [['127.0.0.1']],
  'a.below.ssrf.test': [['192.168.0.1', '127.0.0.1']],
}

/** A resolver for the names of the table. */
export function ssrfResolve(): Resolve {
  const asked = new Map<string, number>()
  return async (name) => {
    const answers = ANSWERS[name]
    if (answers === undefined) throw new GatewayError('name-not-found', { side: 'upstream' })
    const count = asked.get(name) ?? 0
    asked.set(name, count + 1)
    return answers[count % answers.length] ?? []
  }
}

const BY_ADDRESS: readonly SsrfRow[] = [
  ...DENIED_FOUR.flatMap(({ cidr, name }) =>
    Object.entries(spellingsOf(lastOf(cidr))).map(([how, host]) => ({
      what: `${name} ${cidr}, ${how}`,
      host,
    })),
  ),
  ...Object.entries(spellingsOf([127, 0, 0, 1])).map(([how, host]) => ({ what: `127.0.0.1, ${how}`, host })),
  ...Object.entries(spellingsOf([169, 254, 169, 254])).map(([how, host]) => ({
    what: `metadata service, ${how}`,
    host,
  })),
  ...['0', '0.0.0.0', '127.1', '127.0.1', '0x7f.1', '017700000001', '2130706433', '10.1', '192.168.257'].map(
    (host) => ({
      what: 'short and old forms',
      host,
    }),
  ),
  ...DENIED_SIX.map(({ cidr, name }) => ({ what: `${name} ${cidr}`, host: formatAddress(lastOf(cidr)) })),
  ...['::', '::1', '0:0:0:0:0:0:0:1', '0000::0001', 'fd00:ec2::254', 'FE80::1', 'fF02::1'].map((host) => ({
    what: 'IPv6',
    host,
  })),
].map((row) => ({ ...row, code: 'destination-denied' }))

const BY_NAME: readonly SsrfRow[] = Object.keys(ANSWERS).flatMap((name) => {
  // An answer of public addresses alone is dialled, and refused by the test: the name changes its answer. A name that
  // leads to both at once is refused whole.
  const isPublicInTurn = (ANSWERS[name] ?? []).some((answer) =>
    answer.every((address) => address === PUBLIC_ADDRESS),
  )
  const row = isPublicInTurn
    ? ({ code: 'connection-refused', dials: [PUBLIC_ADDRESS] } as const)
    : ({ code: 'destination-denied' } as const)
  const spellings = {
    'as it is': name,
    'in capitals': name.toUpperCase(),
    'with a dot': `${name}.`,
    'with both': `${capitals(name)}.`,
  }
  return Object.entries(spellings).map(([how, host]) => ({ what: `${name}, ${how}`, host, ...row }))
})

/** No destination at all, rather than a guess: some program reads each of these as an address. */
const MALFORMED: readonly SsrfRow[] = [
  ...[
    '127.0.0.08',
    '127.0.0.256',
    '256.1',
    '1.2.3.4.5',
    '127.0.0.1.0x',
    '4294967296',
    '0x100000000',
    '040000000000',
    '127..1',
  ],
  ...[
    '127.0.0.1..',
    '.127.0.0.1',
    '127.0.0.1%lo',
    '::ffff:127.1',
    '::ffff:0x7f000001',
    ':::1',
    '1::1::1',
    '::ffff:127.0.0.1.',
  ],
].map((host) => ({ what: 'malformed', host, code: 'bad-request' }))

export const SSRF_ROWS: readonly SsrfRow[] = [...BY_ADDRESS, ...BY_NAME, ...MALFORMED]

/** The bytes of a row that is an address as it stands, for protocols that send addresses as bytes. */
export function ssrfBytes(row: SsrfRow): readonly number[] | undefined {
  return parseAddress(row.host)
}

function capitals(name: string): string {
  return [...name].map((letter, index) => (index % 2 === 0 ? letter.toUpperCase() : letter)).join('')
}
