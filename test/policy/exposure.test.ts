// The truth table of the design (§5), typed out again as it stands there: C where an observer could read it.
// S, I and – are all "not clear" here; the resolver has a test of its own.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { exposedBy, INFORMATION, OBSERVERS, type StreamFacts } from '../../src/policy/exposure.ts'
import { MODES } from '../../src/protocol/request.ts'

const named = { namedByClient: true, credential: true }
const byAddress = { namedByClient: false, credential: true }
const clearLink = { linkEncrypted: false }
const sealedLink = { linkEncrypted: true }

// Address, identity, name, address, URL, content, shape, fingerprint.
type Rows = readonly [access: string, operator: string, exit: string, destination: string]
const httpBeyond = ['– – C C C C C –', '– – C C C C C –'] as const
const tlsBeyond = ['– – C C – – C C', '– – C C C C C C'] as const
const dnsBeyond = ['– – C C – C C –', '– – C C – C C –'] as const
const otherBeyond = ['– – – C – – C –', '– – – C – – C –'] as const

const TABLE: readonly (readonly [string, StreamFacts, Rows])[] = [
  [
    'http-proxy, http',
    { mode: 'http-proxy', ...clearLink, ...named, firstBytes: 'http' },
    ['C C C – C C C –', 'C C C C C C C –', ...httpBeyond],
  ],
  [
    'http-proxy, https',
    { mode: 'http-proxy', ...clearLink, ...named, firstBytes: 'tls' },
    ['C C C – – – C C', 'C C C C – – C C', ...tlsBeyond],
  ],
  [
    'socks5, http',
    { mode: 'socks-proxy', ...clearLink, ...byAddress, firstBytes: 'http' },
    ['C C C C C C C –', 'C C C C C C C –', ...httpBeyond],
  ],
  [
    'socks5, https',
    { mode: 'socks-proxy', ...clearLink, ...byAddress, firstBytes: 'tls' },
    ['C C C C – – C C', 'C C C C – – C C', ...tlsBeyond],
  ],
  [
    'socks5h, http',
    { mode: 'socks-proxy', ...clearLink, ...named, firstBytes: 'http' },
    ['C C C – C C C –', 'C C C C C C C –', ...httpBeyond],
  ],
  [
    'socks5h, https',
    { mode: 'socks-proxy', ...clearLink, ...named, firstBytes: 'tls' },
    ['C C C – – – C C', 'C C C C – – C C', ...tlsBeyond],
  ],
  [
    'https-proxy, http',
    { mode: 'https-proxy', ...sealedLink, ...named, firstBytes: 'http' },
    ['C – – – – – C C', 'C C C C C C C C', ...httpBeyond],
  ],
  [
    'https-proxy, https',
    { mode: 'https-proxy', ...sealedLink, ...named, firstBytes: 'tls' },
    ['C – – – – – C C', 'C C C C – – C C', ...tlsBeyond],
  ],
  [
    'tunnel, http',
    { mode: 'tunnel', ...sealedLink, ...named, firstBytes: 'http' },
    ['C – – – – – C –', 'C C C C C C C –', ...httpBeyond],
  ],
  [
    'tunnel, https',
    { mode: 'tunnel', ...sealedLink, ...named, firstBytes: 'tls' },
    ['C – – – – – C –', 'C C C C – – C C', ...tlsBeyond],
  ],
  [
    'clear link, named, ssh',
    { mode: 'http-proxy', ...clearLink, ...named, firstBytes: 'ssh' },
    ['C C C – – – C –', 'C C C C – – C –', ...otherBeyond],
  ],
  [
    'clear link, by address, unknown',
    { mode: 'socks-proxy', ...clearLink, ...byAddress, firstBytes: 'other' },
    ['C C – C – – C –', 'C C – C – – C –', ...otherBeyond],
  ],
  [
    'sealed link, by address, silent',
    { mode: 'tunnel', ...sealedLink, ...byAddress, firstBytes: 'none' },
    ['C – – – – – C –', 'C C – C – – C –', ...otherBeyond],
  ],
  [
    'tunnel, QUIC: its first packets carry their own keys',
    { mode: 'tunnel', ...sealedLink, ...named, firstBytes: 'quic' },
    ['C – – – – – C –', 'C C C C – – C C', ...tlsBeyond],
  ],
  [
    'socks5, QUIC',
    { mode: 'socks-proxy', ...clearLink, ...byAddress, firstBytes: 'quic' },
    ['C C C C – – C C', 'C C C C – – C C', ...tlsBeyond],
  ],
  [
    'tunnel, a DNS query',
    { mode: 'tunnel', ...sealedLink, ...byAddress, firstBytes: 'dns' },
    ['C – – – – – C –', 'C C C C – C C –', ...dnsBeyond],
  ],
  [
    'socks5, a DNS query',
    { mode: 'socks-proxy', ...clearLink, ...byAddress, firstBytes: 'dns' },
    ['C C C C – C C –', 'C C C C – C C –', ...dnsBeyond],
  ],
  [
    'no credential',
    { mode: 'http-proxy', ...clearLink, namedByClient: true, credential: false, firstBytes: 'http' },
    ['C – C – C C C –', 'C – C C C C C –', ...httpBeyond],
  ],
]

const COUNTED = OBSERVERS.filter((observer) => observer !== 'resolver')

describe('exposedBy', () => {
  it.each(TABLE)('%s', (_, stream, rows) => {
    const exposed = exposedBy(stream)
    const found = COUNTED.map((observer) =>
      INFORMATION.map((information) =>
        exposed.some((cell) => cell.observer === observer && cell.information === information) ? 'C' : '–',
      ).join(' '),
    )
    expect(found).toEqual(rows)
  })

  const facts = fc.record<StreamFacts>({
    mode: fc.constantFrom(...MODES),
    linkEncrypted: fc.boolean(),
    namedByClient: fc.boolean(),
    credential: fc.boolean(),
    firstBytes: fc.constantFrom('tls', 'http', 'ssh', 'quic', 'dns', 'other', 'none'),
  })
  const has = (stream: StreamFacts, observer: string, information: string) =>
    exposedBy(stream).some((cell) => cell.observer === observer && cell.information === information)

  it('counts nothing at the local end of a tunnel', () => {
    fc.assert(
      fc.property(facts, (stream) => {
        expect(exposedBy({ ...stream, mode: 'tunnel-client' })).toEqual([])
      }),
    )
  })

  it('names each cell once, in order, and never the resolver', () => {
    fc.assert(
      fc.property(facts, (stream) => {
        const places = exposedBy(stream).map(
          (cell) => OBSERVERS.indexOf(cell.observer) * 10 + INFORMATION.indexOf(cell.information),
        )
        expect(places).toEqual([...new Set(places)].toSorted((one, other) => one - other))
        expect(exposedBy(stream).some((cell) => cell.observer === 'resolver')).toBe(false)
      }),
    )
  })

  it('shows the operator the same for a site whether its link is sealed or not, but for the outer hello', () => {
    fc.assert(
      fc.property(facts, (stream) => {
        for (const information of INFORMATION.filter((name) => name !== 'client-fingerprint')) {
          const [open, sealed] = [false, true].map((linkEncrypted) =>
            has({ ...stream, linkEncrypted }, 'gateway-operator', information),
          )
          expect(open).toBe(sealed)
        }
      }),
    )
  })

  it('shows neither the client nor its credential beyond the gateway', () => {
    fc.assert(
      fc.property(facts, (stream) => {
        for (const observer of ['exit-network', 'destination']) {
          expect(has(stream, observer, 'client-address')).toBe(false)
          expect(has(stream, observer, 'client-identity')).toBe(false)
        }
      }),
    )
  })
})

describe('the resolver', () => {
  const facts: StreamFacts = { mode: 'tunnel', ...sealedLink, ...named, firstBytes: 'tls' }
  const seen = (stream: StreamFacts): string[] =>
    exposedBy(stream)
      .filter(({ observer }) => observer === 'resolver')
      .map(({ information }) => information)

  it('learns name and address of a stream for which it was asked, and nothing of any other', () => {
    expect(seen({ ...facts, lookedUp: true })).toEqual(['destination-name', 'destination-address'])
    expect(seen({ ...facts, lookedUp: false })).toEqual([])
    expect(seen(facts)).toEqual([])
    expect(seen({ ...facts, mode: 'tunnel-client', lookedUp: true })).toEqual([])
  })
})
