// The matrix of an audit: who could read what, of one request. The access network's and the operator's rows come from the
// bytes of the link, the destination's from what the probe received. Pure. Rule: what the two ends cannot show is
// `inferable`, with what it follows from, or `not-measured`, with the reason.
import type { Information, Observer } from '../../policy/exposure.ts'
import type { CanaryField } from '../canary.ts'
import type { CellValue, Evidence } from '../model.ts'
import { headerChanges, knownAddresses, namesTheClient } from './compare.ts'
import type { Measured, Visited } from './measure.ts'
import type { Arrived } from './probe-report.ts'
import { resolverRow } from './resolver.ts'
import {
  cellsOfRows,
  endpoint,
  everywhere,
  HANDED_ON,
  isAddress,
  isHandedOn,
  strongest,
  type AuditRun,
  type Judged,
  type Row,
} from './row.ts'
import { LinkView } from './view.ts'

const URL_FIELDS: readonly CanaryField[] = ['path', 'query', 'header', 'cookie', 'userAgent']
const CONTENT_FIELDS: readonly CanaryField[] = ['requestBody', 'responseBody', 'sitePassword']
/** Zeek's name for the client's random of a ClientHello. */
const HELLO_FIELD = 'ssl.client_random'

/** The cells of what was asked over `scheme`; undefined where nothing came through. */
export function cellsOf(measured: Measured, scheme: 'http' | 'https'): AuditRun | undefined {
  const visited = measured[scheme]
  if (visited.exchange === undefined) return undefined
  const keys = [visited.link.keylog, visited.siteKeylog]
  const network = new LinkView(visited, [])
  const operator = new LinkView(
    visited,
    isIntercepted(measured) && scheme === 'https' ? keys : keys.slice(0, 1),
  )
  const application = new LinkView(visited, keys)
  const arrived = arrivedOver(measured, scheme)
  const rows: Record<Observer, Row> = {
    'access-network': isHandedOn(measured)
      ? everywhere(HANDED_ON)
      : withProgram(measured, visited, network, linkRow(measured, visited, network, application, false)),
    'gateway-operator': linkRow(measured, visited, operator, application, true),
    resolver: resolverRow(measured),
    'exit-network': exitRow(measured, scheme, arrived),
    destination: destinationRow(measured, arrived),
  }
  const { canaries } = measured
  const sent: readonly CanaryField[] = [...URL_FIELDS, 'requestBody']
  const lost = sent.some((field) => application.find(canaries[field], field) === undefined)
  const ghost = application.find(canaries.neverSent, 'neverSent')
  return {
    scheme,
    cells: cellsOfRows(rows),
    controls: {
      negative: ghost === undefined ? 'passed' : 'failed',
      positive: lost || application.failures.length > 0 ? 'failed' : 'passed',
    },
  }
}

/** Somebody between the application and the probe ends the application's TLS. */
export function isIntercepted({ https, probe }: Measured): boolean {
  const shown = https.exchange?.certificate
  return shown !== undefined && shown !== probe.certificate
}

export function arrivedOver({ report }: Measured, scheme: 'http' | 'https'): Arrived | undefined {
  return report?.arrived.find((one) => one.scheme === scheme)
}

function linkRow(
  measured: Measured,
  visited: Visited,
  view: LinkView,
  all: LinkView,
  isOperator: boolean,
): Row {
  const { canaries, proxy, local, site, beside } = measured
  const both = (find: (in_: LinkView) => Evidence | undefined): Judged => {
    const own = find(view)
    if (own !== undefined) return { value: 'clear', evidence: [own] }
    const sealed = find(all)
    return sealed === undefined ? { value: 'absent' } : { value: 'sealed', evidence: [sealed] }
  }
  const words = (fields: readonly CanaryField[]): Judged =>
    strongest(fields.map((field) => both((one) => one.find(canaries[field], field))))
  // The name of the proxy itself stands in the link's own ClientHello.
  const isShared = proxy.scheme === 'https' && proxy.host === site
  const named = isShared ? `${site}:${measured.probe.http}` : site
  const name = strongest(
    [canaries.hostLabel, ...(isAddress(site) ? [] : [named])].map((word) =>
      both((one) => one.find(word, 'name')),
    ),
  )
  // Behind a router it is the router's, beyond it.
  const source = (isOperator ? beside?.arrived[0]?.from.address : undefined) ?? local
  const identity = [proxy.username, proxy.password].flatMap((word) => word ?? [])
  const basic = Buffer.from(`${proxy.username}:${proxy.password ?? ''}`).toString('base64')
  const bytes = visited.link.connections.reduce((sum, { frames }) => sum + frames.length, 0)
  return {
    'client-address': { value: 'clear', evidence: [endpoint(source, 'the address that reaches the proxy')] },
    'client-identity':
      identity.length === 0
        ? { value: 'not-measured', reason: 'no user of the proxy was given' }
        : strongest([...identity, basic].map((word) => both((one) => one.find(word, 'proxy user', true)))),
    'destination-name':
      isAddress(site) && visited.siteKeylog === ''
        ? { value: 'not-measured', reason: 'the probe was given by its address' }
        : name,
    'destination-address': addressCell(visited.told, view, all, isOperator, name.value),
    'url-and-headers': words(URL_FIELDS),
    content: words(CONTENT_FIELDS),
    'traffic-shape': {
      value: 'clear',
      evidence: [{ ...endpoint(`${bytes} chunks`, 'sizes and times of what passed'), kind: 'procedure' }],
    },
    'client-fingerprint': both((one) => one.field(HELLO_FIELD)),
  }
}

/** What the program calls itself in CONNECT stands beside the site's TLS, not in it. */
function withProgram({ program }: Measured, { siteKeylog }: Visited, view: LinkView, row: Row): Row {
  const cell = row['url-and-headers']
  if (siteKeylog === '' || cell.value !== 'sealed') return row
  const found = view.find(program, 'User-Agent of CONNECT')
  if (found === undefined) return row
  const reason = 'of the request; what the program calls itself in CONNECT (its User-Agent) is readable'
  return { ...row, 'url-and-headers': { ...cell, reason } }
}

function addressCell(
  told: string,
  view: LinkView,
  all: LinkView,
  isOperator: boolean,
  name: CellValue,
): Judged {
  if (isOperator) return { value: 'inferable', reason: 'it has to connect to it' }
  if (isAddress(told)) {
    const needles = [told, ...(told.includes('.') ? [Buffer.from(told.split('.').map(Number))] : [])]
    const found = needles.map((needle) => view.find(needle, 'address')).find((one) => one !== undefined)
    if (found !== undefined) return { value: 'clear', evidence: [found] }
    const sealed = needles.map((needle) => all.find(needle, 'address')).find((one) => one !== undefined)
    if (sealed !== undefined) return { value: 'sealed', evidence: [sealed] }
  }
  if (name === 'clear') return { value: 'inferable', reason: 'whoever reads the name can look it up' }
  return { value: 'absent' }
}

/** The last stretch before the probe carries what the probe receives; more of that network is not seen. */
function exitRow(measured: Measured, scheme: 'http' | 'https', arrived: Arrived | undefined): Row {
  const why =
    'what arrives at the probe passes its last stretch; what lies between is not seen from the two ends'
  const unseen: Judged = {
    value: 'not-measured',
    reason: 'not in what arrives in clear; what lies between is not seen',
  }
  if (arrived === undefined) return everywhere(noReport(measured))
  const known = destinationRow(measured, arrived)
  const inClear = (information: Information): Judged =>
    known[information].value === 'clear' ? { value: 'inferable', reason: why } : unseen
  const isSealed = scheme === 'https'
  return {
    ...everywhere(unseen),
    'destination-name': inClear('destination-name'),
    'destination-address': { value: 'inferable', reason: why },
    'url-and-headers': isSealed ? unseen : inClear('url-and-headers'),
    content: isSealed ? unseen : inClear('content'),
    'traffic-shape': { value: 'inferable', reason: why },
    'client-fingerprint': inClear('client-fingerprint'),
    'client-address': isSealed ? unseen : inClear('client-address'),
  }
}

function destinationRow(measured: Measured, arrived: Arrived | undefined): Row {
  const { canaries, site, proxy } = measured
  if (arrived === undefined) return everywhere(noReport(measured))
  const text = [arrived.target, ...arrived.headers.map(([name, value]) => `${name}: ${value}`)].join('\n')
  const holds = (word: string, field: string): Judged =>
    text.toLowerCase().includes(word.toLowerCase())
      ? { value: 'clear', evidence: [endpoint(word, field)] }
      : { value: 'absent' }
  const sent = measured[arrived.scheme].exchange?.sent
  return {
    'client-address': clientAddress(measured, arrived, sent?.headers ?? []),
    'client-identity':
      proxy.username === undefined
        ? { value: 'not-measured', reason: 'no user of the proxy was given' }
        : arrived.headers.some((header) =>
              namesTheClient([header[0].toLowerCase(), header[1]], [proxy.username ?? '']),
            )
          ? { value: 'clear' }
          : { value: 'absent' },
    'destination-name':
      arrived.hello?.serverName?.startsWith(canaries.hostLabel) === true
        ? { value: 'clear', evidence: [endpoint(arrived.hello.serverName, 'SNI')] }
        : isAddress(site)
          ? { value: 'not-measured', reason: 'the probe was given by its address' }
          : holds(site, 'Host'),
    'destination-address': { value: 'clear', reason: 'it is its own' },
    'url-and-headers': strongest(URL_FIELDS.map((field) => holds(canaries[field], field))),
    content:
      arrived.bodyHash === sent?.bodyHash
        ? { value: 'clear', evidence: [endpoint(arrived.bodyHash, 'SHA-256 of the body')] }
        : holds(canaries.responseBody, 'responseBody'),
    'traffic-shape': { value: 'clear', reason: 'it receives it' },
    'client-fingerprint':
      arrived.hello === null
        ? { value: 'absent' }
        : sameHello(measured, arrived)
          ? { value: 'clear', evidence: [endpoint(arrived.hello.ja4, 'JA4')] }
          : { value: 'absent', reason: "the ClientHello that arrived is not the application's" },
  }
}

/** The ClientHello that arrived is the one that was sent. */
export function sameHello(measured: Measured, arrived: Arrived): boolean {
  const { https } = measured
  const view = new LinkView(https, [https.link.keylog])
  return arrived.hello !== null && view.field(HELLO_FIELD, arrived.hello.random) !== undefined
}

/** In a header or, where it could be told apart, as the source of the connection. */
function clientAddress(
  measured: Measured,
  arrived: Arrived,
  sent: ReadonlyArray<readonly [string, string]>,
): Judged {
  const known = knownAddresses(measured)
  const naming = headerChanges(sent, arrived.headers).added.find((header) => namesTheClient(header, known))
  if (naming !== undefined)
    return { value: 'clear', evidence: [endpoint(`${naming[0]}: ${naming[1]}`, 'header')] }
  if (measured.remote === measured.local)
    return { value: 'not-measured', reason: 'client and proxy have one address here; no header names it' }
  return known.includes(arrived.from.address)
    ? { value: 'clear', evidence: [endpoint(arrived.from.address, 'who connected')] }
    : { value: 'absent', evidence: [endpoint(arrived.from.address, 'who connected')] }
}

function noReport({ isReportForged }: Measured): Judged {
  return {
    value: 'not-measured',
    reason: isReportForged ? "the probe's report was forged on its way" : "the probe's report did not come",
  }
}
