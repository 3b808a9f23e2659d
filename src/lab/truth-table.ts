// The truth table: what each observer must be able to read, and no more, in each mode. An executable specification: a
// measurement that shows more, or less, is red. The cells and their reasons stand in truth/; this file says which make
// a row, in the order in which the lab measures.
import type { Information, Observer } from '../policy/exposure.ts'
import type { CoverageTraffic, LabMode, Scenario, Scheme, Variant } from './model.ts'
import { ACCESS_NETWORK } from './truth/access-network.ts'
import type { Cells, Expectation } from './truth/cell.ts'
import { COVERAGE, type CoverageExpectation } from './truth/coverage.ts'
import { DESTINATION, EXIT_NETWORK, RESOLVER } from './truth/far-side.ts'
import { GATEWAY_OPERATOR, NO_GATEWAY } from './truth/gateway-operator.ts'

/** One scenario: what each observer must be able to read in it, and what leaves the client outside the mode. */
export interface TruthRow extends Scenario {
  readonly cells: Readonly<Record<Observer, Cells>>
  readonly coverage: Readonly<Record<CoverageTraffic, CoverageExpectation>>
}

/** How the site is visited: http, https, https in TLS 1.2, or by datagrams. */
type Visit = 'http' | 'https' | 'tls12' | 'udp'

function row(
  mode: LabMode,
  variant: Variant,
  visit: Visit,
  cells: { access: Cells; operator: Cells },
): TruthRow {
  const isDirect = mode === 'direct'
  const asks = isDirect || variant === 'socks5' ? 'client' : 'gateway'
  const scheme: Scheme = visit === 'https' || visit === 'tls12' ? 'https' : 'http'
  return {
    mode,
    variant,
    scheme,
    cells: {
      'access-network': cells.access,
      'gateway-operator': cells.operator,
      resolver: RESOLVER[asks],
      'exit-network': EXIT_NETWORK[isDirect ? 'direct' : 'relayed'][visit],
      destination: DESTINATION[isDirect ? 'direct' : 'relayed'][visit],
    },
    coverage: COVERAGE[variant === 'socks5' ? 'socks5' : mode],
  }
}

/** Every scenario that the lab measures, in the order in which it does. */
export const TRUTH_TABLE: readonly TruthRow[] = [
  row('direct', null, 'http', { access: ACCESS_NETWORK.direct.http, operator: NO_GATEWAY }),
  row('direct', null, 'https', { access: ACCESS_NETWORK.direct.https, operator: NO_GATEWAY }),
  row('direct', 'tls12', 'tls12', { access: ACCESS_NETWORK.direct.tls12, operator: NO_GATEWAY }),
  row('direct', 'udp', 'udp', { access: ACCESS_NETWORK.direct.udp, operator: NO_GATEWAY }),
  row('http-proxy', null, 'http', {
    access: ACCESS_NETWORK['http-proxy'].http,
    operator: GATEWAY_OPERATOR.plain.http,
  }),
  row('http-proxy', null, 'https', {
    access: ACCESS_NETWORK['http-proxy'].https,
    operator: GATEWAY_OPERATOR.plain.https,
  }),
  row('http-proxy', 'tls12', 'tls12', {
    access: ACCESS_NETWORK['http-proxy'].tls12,
    operator: GATEWAY_OPERATOR.plain.tls12,
  }),
  row('socks-proxy', 'socks5', 'http', {
    access: ACCESS_NETWORK.socks5.http,
    operator: GATEWAY_OPERATOR.socks5.http,
  }),
  row('socks-proxy', 'socks5', 'https', {
    access: ACCESS_NETWORK.socks5.https,
    operator: GATEWAY_OPERATOR.socks5.https,
  }),
  row('socks-proxy', 'socks5h', 'http', {
    access: ACCESS_NETWORK.socks5h.http,
    operator: GATEWAY_OPERATOR.plain.http,
  }),
  row('socks-proxy', 'socks5h', 'https', {
    access: ACCESS_NETWORK.socks5h.https,
    operator: GATEWAY_OPERATOR.plain.https,
  }),
  row('socks-proxy', 'tls12', 'tls12', {
    access: ACCESS_NETWORK.socks5h.tls12,
    operator: GATEWAY_OPERATOR.plain.tls12,
  }),
  row('socks-proxy', 'udp', 'udp', {
    access: ACCESS_NETWORK.socks5h.udp,
    operator: GATEWAY_OPERATOR.plain.udp,
  }),
  row('https-proxy', null, 'http', {
    access: ACCESS_NETWORK['https-proxy'].http,
    operator: GATEWAY_OPERATOR['https-proxy'].http,
  }),
  row('https-proxy', null, 'https', {
    access: ACCESS_NETWORK['https-proxy'].https,
    operator: GATEWAY_OPERATOR.plain.https,
  }),
  row('https-proxy', 'tls12', 'tls12', {
    access: ACCESS_NETWORK['https-proxy'].tls12,
    operator: GATEWAY_OPERATOR.plain.tls12,
  }),
  row('tunnel', null, 'http', {
    access: ACCESS_NETWORK.tunnel.http,
    operator: GATEWAY_OPERATOR.tunnel.http,
  }),
  row('tunnel', null, 'https', {
    access: ACCESS_NETWORK.tunnel.https,
    operator: GATEWAY_OPERATOR.tunnel.https,
  }),
  row('tunnel', 'tls12', 'tls12', {
    access: ACCESS_NETWORK.tunnel.tls12,
    operator: GATEWAY_OPERATOR.tunnel.tls12,
  }),
  row('tunnel', 'udp', 'udp', {
    access: ACCESS_NETWORK.tunnel.udp,
    operator: GATEWAY_OPERATOR.tunnel.udp,
  }),
]

/** What the table says of a scenario; undefined where the lab has no such. */
export function truthOf(scenario: Scenario): TruthRow | undefined {
  return TRUTH_TABLE.find(
    ({ mode, variant, scheme }) =>
      mode === scenario.mode && variant === scenario.variant && scheme === scenario.scheme,
  )
}

/** What the table says of a cell; undefined where it has no such scenario. */
export function expectedValue(
  scenario: Scenario,
  observer: Observer,
  information: Information,
): Expectation | undefined {
  return truthOf(scenario)?.cells[observer][information]
}
