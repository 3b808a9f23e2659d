// The truth table: what each observer must be able to read, and no more, in each mode. Data, one line a row, in the
// order of INFORMATION: C clear, S sealed, I inferable, - absent. A measurement that shows more, or less, is red.
import { INFORMATION, type Information, type Observer } from '../policy/exposure.ts'
import type { CellValue, LabMode, Scheme, Variant } from './model.ts'

const LETTERS: Readonly<Record<string, CellValue>> = {
  C: 'clear',
  S: 'sealed',
  I: 'inferable',
  '-': 'absent',
}

interface Row {
  readonly mode: LabMode
  readonly variant: Variant
  readonly scheme: Scheme
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
  { mode: 'tunnel', variant: null, scheme: 'http',
    cells: { 'access-network': 'CSS-SSC-', 'gateway-operator': 'CCCCCCC-', destination: '--CCCCC-' },
    reason: 'the tunnel seals all but addresses and shape for the access network; for the operator nothing changes' },
  { mode: 'tunnel', variant: null, scheme: 'https',
    cells: { 'access-network': 'CSS-SSCS', 'gateway-operator': 'CCCCSSCC', destination: '--CCCCCC' },
    reason: 'the site\'s TLS runs inside the tunnel\'s; the operator reads what the site\'s TLS leaves open' },
]

/** What the table says, or undefined where the observer is not part of that row (there is no gateway in `direct`). */
export function expectedValue(
  run: { readonly mode: LabMode; readonly variant: Variant; readonly scheme: Scheme },
  observer: Observer,
  information: Information,
): { readonly value: CellValue; readonly reason: string } | undefined {
  const row = ROWS.find(
    ({ mode, variant, scheme }) => mode === run.mode && variant === run.variant && scheme === run.scheme,
  )
  const letter = row?.cells[observer]?.[INFORMATION.indexOf(information)]
  const value = letter === undefined ? undefined : LETTERS[letter]
  return row === undefined || value === undefined ? undefined : { value, reason: row.reason }
}
