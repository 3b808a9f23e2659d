// The words of every report: what observers, information and values are called and what they mean, and how cells are found
// and listed. Pure. Rule: one wording for the terminal, the page and the documentation.
import type { Information, Observer } from '../../policy/exposure.ts'
import type { Cell, CellValue, CoverageTraffic, LabMode, LabRun, Scenario } from '../model.ts'

interface Titled {
  readonly title: string
  readonly says: string
}

export const OBSERVER_WORDS: Readonly<Record<Observer, Titled>> = {
  'access-network': { title: 'access network', says: 'whoever carries what leaves the client' },
  'gateway-operator': { title: 'gateway operator', says: 'whoever runs the proxy or the gateway' },
  resolver: { title: 'resolver', says: 'whoever answers the look-up of the name' },
  'exit-network': { title: 'exit network', says: 'whoever carries it between gateway and destination' },
  destination: { title: 'destination', says: 'the site that is visited' },
}

export const INFORMATION_WORDS: Readonly<Record<Information, string>> = {
  'client-address': "the client's IP address",
  'client-identity': 'proxy user and password, or the subject of the client certificate',
  'destination-name': 'the name of the site: in a look-up, SNI, Host, a SOCKS or CONNECT target',
  'destination-address': "the site's IP address",
  'url-and-headers': 'path, query, cookies, user agent',
  content: "bodies, and the site's own credentials",
  'traffic-shape': 'sizes, directions and times',
  'client-fingerprint': 'how the application speaks TLS: its JA4',
}

export const VALUE_WORDS: Readonly<Record<CellValue, string>> = {
  clear: 'readable there, in the bytes or from the kernel',
  sealed: 'it was there, encrypted: found by decrypting the capture',
  inferable: 'not there, but a procedure that was run recovers it',
  absent: 'looked for, and not there',
  'not-measured': 'there is no such party, or nothing to measure',
}

export const TRAFFIC_WORDS: Readonly<Record<CoverageTraffic, string>> = {
  application: 'the application that was told of it',
  'client-dns': "look-ups by the client's own resolver",
  udp: 'datagrams (UDP)',
  'untold-application': 'an application that was not told of it',
}

/** How a site is visited: what runs of one kind can be held against each other. */
export type Visit = 'http' | 'https' | 'tls12' | 'udp'

export const VISIT_WORDS: Readonly<Record<Visit, string>> = {
  http: 'a site without TLS (http)',
  https: 'a site with TLS (https)',
  tls12: 'a site with TLS 1.2 (https)',
  udp: 'datagrams (udp)',
}

export function visitOf({ variant, scheme }: Scenario): Visit {
  return variant === 'tls12' || variant === 'udp' ? variant : scheme
}

/** What a mode is called among runs of one kind of visit: `socks5h`, `tunnel`. */
export function modeName({ mode, variant }: Scenario): string {
  return variant === 'socks5' || variant === 'socks5h' ? variant : mode
}

/** Runs by how the site is visited; kinds that were not measured are left out. */
export function byVisit(runs: readonly LabRun[]): Array<readonly [Visit, readonly LabRun[]]> {
  const visits: readonly Visit[] = ['http', 'https', 'tls12', 'udp']
  return visits
    .map((visit) => [visit, runs.filter((run) => visitOf(run) === visit)] as const)
    .filter(([, some]) => some.length > 0)
}

export function findRun(
  runs: readonly LabRun[],
  mode: LabMode | 'socks5' | 'socks5h',
  visit: Visit,
): LabRun | undefined {
  return runs.find((run) => (modeName(run) === mode || run.mode === mode) && visitOf(run) === visit)
}

export function cellOf(
  run: Pick<LabRun, 'cells'>,
  observer: Observer,
  information: Information,
): Cell | undefined {
  return run.cells.find((cell) => cell.observer === observer && cell.information === information)
}

export function valueOf(run: Pick<LabRun, 'cells'>, observer: Observer, information: Information): CellValue {
  return cellOf(run, observer, information)?.value ?? 'not-measured'
}

/** `a`, `a and b`, `a, b and c`. */
export function listed(words: readonly string[]): string {
  const last = words.at(-1) ?? ''
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} and ${last}`
}
