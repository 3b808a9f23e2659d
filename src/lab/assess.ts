// Judges one recorded run: cells from each vantage's bytes, the controls, and where they differ from the truth table.
// Pure, so that a test can change a recording and see what becomes of it. Rule: what cannot be proved is a finding.
import { INFORMATION, OBSERVERS, type Observer as Party } from '../policy/exposure.ts'
import type { CanaryField } from './canary.ts'
import { DATAGRAM_BYTES } from './datagrams.ts'
import { fromProcedure } from './clues.ts'
import { View, type Subject, type Vantage } from './cells.ts'
import { coverageOf } from './coverage.ts'
import type { Cell, Coverage, Evidence, LabRun, Procedure, RecordSource, Scenario } from './model.ts'
import { isMoreThanChance, tellPages } from './page-shapes.ts'
import { auditRecords } from './record-audit.ts'
import type { Recording } from './recording.ts'
import { expectedValue, truthOf } from './truth-table.ts'
import { otherCaptures, PAGE_LOADS, vantagesOf } from './vantages.ts'

const SENT_ALWAYS: readonly CanaryField[] = [
  'path',
  'query',
  'header',
  'cookie',
  'userAgent',
  'requestBody',
  'responseBody',
  'siteUser',
  'sitePassword',
  'hostLabel',
]

/** A datagram that a site sends back holds a word; the question before it holds the site's name. */
const SENT_AS_DATAGRAMS: readonly CanaryField[] = ['requestBody', 'hostLabel']

/** What a gateway that was used, and that refused something, always leaves; in warnings and errors there may be nothing. */
const NEVER_EMPTY: ReadonlySet<RecordSource> = new Set([
  'log-debug',
  'log-info',
  'metrics',
  'admin',
  'error-answers',
])
const NOBODY = { observer: 'access-network', ownKeylogs: [], clientEnds: [], siteEnds: [] } as const

/** Makes the run's cells, checks the controls, and holds all of it against the truth table. */
export function assess(recording: Recording): LabRun {
  const { scenario, canaries } = recording
  const findings = [...recording.problems]
  const subject = subjectOf(recording)
  const views = vantagesOf(recording).map((vantage) => new View(vantage, subject))
  const onClientLink = views.filter(({ observer }) => observer === 'access-network')

  const refusals = answersOf(recording)
  const others = otherCaptures(recording).map(
    ({ capture }) => new View({ ...NOBODY, captures: [capture] }, subject),
  )
  const negative =
    [...views, refusals, ...others].every((view) => !view.holds(canaries.neverSent)) &&
    Object.values(recording.written).every((text: string) => !text.includes(canaries.neverSent))
  if (!negative) findings.push('negative control: a canary that was never sent was found')
  const lost = [
    ...onClientLink.flatMap((view) => view.missing(sentIn(scenario))),
    ...new Set([...views, refusals].flatMap((view) => view.failures)),
  ]
  const positive = lost.length === 0
  if (!positive)
    findings.push(`positive control: not found on the client's link after decrypting it: ${lost.join(', ')}`)

  const procedures = recording.pageLoads === undefined ? [] : [tellPages(recording.pageLoads)]
  const measured = views.flatMap((view) => view.cells())
  const cells = OBSERVERS.flatMap((party) => cellsOf(party, measured)).map((cell) =>
    cell.observer === 'access-network' && cell.information === 'traffic-shape'
      ? { ...cell, evidence: [...cell.evidence, ...procedures.map(procedureEvidence)] }
      : cell,
  )
  const coverage = coverageOf(recording)
  const recorded = auditRecords(recording, refusals)
  findings.push(
    ...disagreements(scenario, cells),
    ...coverageDisagreements(scenario, coverage),
    ...procedures
      .filter((procedure) => !isMoreThanChance(procedure))
      .map((procedure) => `procedure ${procedure.name}: ${toldOf(procedure)}, which is no more than chance`),
    ...recorded.searched
      .filter(({ source, bytes }) => bytes === 0 && NEVER_EMPTY.has(source))
      .map(({ source }) => `record audit: the gateway's ${source} holds nothing that could be searched`),
    ...recorded.found.map(
      ({ source, information, field, excerpt }) =>
        `the gateway's ${source} holds ${information} (${field}): ${excerpt}`,
    ),
  )
  return {
    ...scenario,
    cells,
    coverage,
    recorded,
    procedures,
    controls: { negative: negative ? 'passed' : 'failed', positive: positive ? 'passed' : 'failed' },
    findings,
  }
}

function subjectOf({ scenario, canaries, parties, siteName, standsFor, keylogs }: Recording): Subject {
  const length = (fields: readonly CanaryField[]): number =>
    fields.reduce((sum, field) => sum + Buffer.byteLength(canaries[field]), 0)
  const least = {
    up: length(SENT_ALWAYS.filter((field) => field !== 'responseBody')),
    down: length(['responseBody']),
  }
  return {
    canaries,
    clientAddress: parties.client,
    siteAddress: parties.destination,
    siteName: siteName.toLowerCase(),
    ports: standsFor,
    allKeylogs: [keylogs.tunnelClient, keylogs.application].filter((lines) => lines !== ''),
    applicationKeylog: keylogs.application,
    leastBytes: scenario.variant === 'udp' ? { up: DATAGRAM_BYTES, down: DATAGRAM_BYTES } : least,
    resolve: (name) => (name === siteName.toLowerCase() ? parties.destination : undefined),
  }
}

/** The canaries that left the client in a scenario: all of them must be found again. */
function sentIn({ mode, variant }: Scenario): readonly CanaryField[] {
  const sent = variant === 'udp' ? SENT_AS_DATAGRAMS : SENT_ALWAYS
  if (mode === 'direct') return sent
  if (mode === 'tunnel') return [...sent, 'certificateSubject']
  return [...sent, 'proxyUser', 'proxyPassword']
}

function cellsOf(party: Party, measured: readonly Cell[]): Cell[] {
  const cells = measured.filter(({ observer }) => observer === party)
  if (cells.length > 0) return cells
  return INFORMATION.map((information) => ({
    observer: party,
    information,
    value: 'not-measured',
    reason: 'there is no gateway in this mode',
    evidence: [],
  }))
}

function disagreements(scenario: Scenario, cells: readonly Cell[]): string[] {
  return cells.flatMap(({ observer, information, value }) => {
    const expected = expectedValue(scenario, observer, information)
    if (expected === undefined || expected.value === value) return []
    return [
      `${observer}, ${information}: measured ${value}, the truth table says ${expected.value} (${expected.reason})`,
    ]
  })
}

function procedureEvidence(told: Procedure): Evidence {
  return fromProcedure({
    capture: PAGE_LOADS,
    field: told.name,
    layer: 'tls records',
    excerpt: toldOf(told),
  })
}

function toldOf({ right, of, chance }: Procedure): string {
  return `${right} of ${of} pages told by their sizes; chance: ${Math.round(of * chance)} of ${of}`
}

function coverageDisagreements(scenario: Scenario, coverage: readonly Coverage[]): string[] {
  return coverage.flatMap(({ traffic, outside }) => {
    const expected = truthOf(scenario)?.coverage[traffic]
    if (expected === undefined || expected.outside === outside) return []
    const said = (is: boolean): string => (is ? 'outside' : 'inside')
    return [
      `coverage, ${traffic}: measured ${said(outside)}, the truth table says ${said(expected.outside)} (${expected.reason})`,
    ]
  })
}

/** The gateway's end of the requests that it had to refuse. */
export function answersOf(recording: Recording): View {
  const vantage: Vantage = {
    observer: 'gateway-operator',
    captures: [{ name: 'refusals.pcapng', connections: recording.refusals.access }],
    ownKeylogs: [recording.keylogs.gateway],
    clientEnds: [],
    siteEnds: [],
  }
  return new View(vantage, subjectOf(recording))
}
