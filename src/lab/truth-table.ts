// The truth table: what each observer must be able to read, and no more, in each mode. Data, one line a row, in the
// order of INFORMATION: C clear, S sealed, I inferable, - absent. A measurement that shows more, or less, is red.
import { INFORMATION, type Information, type Observer } from '../policy/exposure.ts'
import type { CellValue, Scenario } from './model.ts'

const LETTERS: Readonly<Record<string, CellValue>> = {
  C: 'clear',
  S: 'sealed',
  I: 'inferable',
  '-': 'absent',
}

/** What a cell must be, and why. */
export interface Expectation {
  readonly value: CellValue
  readonly reason: string
}

/** One scenario: what each observer must be able to read in it, and no more. */
export interface TruthRow extends Scenario {
  readonly cells: Partial<Record<Observer, Readonly<Record<Information, Expectation>>>>
}

interface Row extends Scenario {
  readonly cells: Partial<Record<Observer, string>>
  /** Why the cells are as they are; for the reader of a red run. */
  readonly reason: string
}

// Order: address, identity, name, destination address, URL, content, shape, fingerprint.
// prettier-ignore
const ROWS: readonly Row[] = [
  { mode: 'direct', variant: null, scheme: 'http', cells: { 'access-network': 'C-CCCCC-', destination: 'C-CCCCC-' },
    reason: 'nothing is between client and site, and nothing is encrypted' },
  { mode: 'direct', variant: null, scheme: 'https', cells: { 'access-network': 'C-CCSSCC', destination: 'C-CCCCCC' },
    reason: 'TLS seals what is sent; the name (SNI), addresses, sizes and the ClientHello stay readable' },
  { mode: 'http-proxy', variant: null, scheme: 'http',
    cells: { 'access-network': 'CCCICCC-', 'gateway-operator': 'CCCCCCC-', destination: '--CCCCC-' },
    reason: 'the proxy encrypts nothing; it puts its own address in the place of the client\'s' },
  { mode: 'http-proxy', variant: null, scheme: 'https',
    cells: { 'access-network': 'CCCISSCC', 'gateway-operator': 'CCCCSSCC', destination: '--CCCCCC' },
    reason: 'CONNECT carries the site\'s TLS, but its authority and Proxy-Authorization are in clear' },
  { mode: 'socks-proxy', variant: 'socks5', scheme: 'http',
    cells: { 'access-network': 'CCCCCCC-', 'gateway-operator': 'CCCCCCC-', destination: '--CCCCC-' },
    reason: 'the client resolves the name and sends the address; SOCKS passwords are in clear' },
  { mode: 'socks-proxy', variant: 'socks5', scheme: 'https',
    cells: { 'access-network': 'CCCCSSCC', 'gateway-operator': 'CCCCSSCC', destination: '--CCCCCC' },
    reason: 'the client sends the address, and the site\'s ClientHello the name' },
  { mode: 'socks-proxy', variant: 'socks5h', scheme: 'http',
    cells: { 'access-network': 'CCCICCC-', 'gateway-operator': 'CCCCCCC-', destination: '--CCCCC-' },
    reason: 'the client sends the name, in clear; whoever reads it can resolve it' },
  { mode: 'socks-proxy', variant: 'socks5h', scheme: 'https',
    cells: { 'access-network': 'CCCISSCC', 'gateway-operator': 'CCCCSSCC', destination: '--CCCCCC' },
    reason: 'the client sends the name, in clear, and the site\'s ClientHello says it again' },
  { mode: 'https-proxy', variant: null, scheme: 'http',
    cells: { 'access-network': 'CSS-SSCC', 'gateway-operator': 'CCCCCCCC', destination: '--CCCCC-' },
    reason: 'the link to the proxy is TLS, and its ClientHello is the application\'s own' },
  { mode: 'https-proxy', variant: null, scheme: 'https',
    cells: { 'access-network': 'CSS-SSCC', 'gateway-operator': 'CCCCSSCC', destination: '--CCCCCC' },
    reason: 'the site\'s TLS runs inside that of the proxy' },
  { mode: 'tunnel', variant: null, scheme: 'http',
    cells: { 'access-network': 'CSS-SSC-', 'gateway-operator': 'CCCCCCC-', destination: '--CCCCC-' },
    reason: 'the tunnel seals all but addresses and shape for the access network; for the operator nothing changes' },
  { mode: 'tunnel', variant: null, scheme: 'https',
    cells: { 'access-network': 'CSS-SSCS', 'gateway-operator': 'CCCCSSCC', destination: '--CCCCCC' },
    reason: 'the site\'s TLS runs inside the tunnel\'s; the operator reads what the site\'s TLS leaves open' },
]

/** Every scenario that the lab measures, in the order in which it does. */
export const TRUTH_TABLE: readonly TruthRow[] = ROWS.map((row) => ({
  mode: row.mode,
  variant: row.variant,
  scheme: row.scheme,
  cells: Object.fromEntries(
    Object.entries(row.cells).map(([observer, letters]) => [observer, expand(letters, row.reason)]),
  ),
}))

/** What the table says, or undefined where the observer is not part of that row. */
export function expectedValue(
  run: Scenario,
  observer: Observer,
  information: Information,
): Expectation | undefined {
  const row = TRUTH_TABLE.find(
    ({ mode, variant, scheme }) => mode === run.mode && variant === run.variant && scheme === run.scheme,
  )
  return row?.cells[observer]?.[information]
}

function expand(letters: string, reason: string): Record<Information, Expectation> {
  const cells = INFORMATION.map((information, index) => {
    const value = LETTERS[letters.charAt(index)] ?? 'not-measured'
    return [information, { value, reason }] as const
  })
  return Object.fromEntries(cells) as Record<Information, Expectation>
}
