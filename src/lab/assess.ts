// Judges one recorded run: cells from each vantage's bytes, the controls, and where they differ from the truth table.
// Pure, so that a test can change a recording and see what becomes of it. Rule: what cannot be proved is a finding.
import { INFORMATION, OBSERVERS, type Observer as Party } from '../policy/exposure.ts'
import type { Canaries, CanaryField } from './canary.ts'
import type { CapturedConnection, Endpoint } from './capture.ts'
import { View, type Subject, type Vantage } from './cells.ts'
import type { Cell, LabMode, LabRun, Scenario } from './model.ts'
import type { Parties } from './parties.ts'
import { joinCapture } from './pcapng/frames.ts'
import { expectedValue } from './truth-table.ts'

/** All that one run left behind. */
export interface Recording {
  readonly scenario: Scenario
  readonly canaries: Canaries
  readonly parties: Parties
  /** The name that leads to `parties.destination`. */
  readonly siteName: string
  /** Links to the gateway, and to the destination, each as its tap recorded it. */
  readonly access: readonly CapturedConnection[]
  readonly exit: readonly CapturedConnection[]
  /** Who connected to the site, as the site's kernel reports it. */
  readonly siteClients: readonly Endpoint[]
  /** NSS key log lines of each party, '' where it had no TLS. */
  readonly keylogs: {
    readonly application: string
    readonly tunnelClient: string
    readonly gateway: string
    readonly site: string
  }
  /** What went wrong while it was recorded. */
  readonly problems: readonly string[]
}

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

/** Makes the run's cells, checks the controls, and holds all of it against the truth table. */
export function assess(recording: Recording): LabRun {
  const { scenario, canaries } = recording
  const findings = [...recording.problems]
  const subject = subjectOf(recording)
  const views = vantagesOf(recording).map((vantage) => new View(vantage, subject))
  const onClientLink = views.filter(({ observer }) => observer === 'access-network')

  const negative = views.every(
    (view) => view.find([...view.readable, ...view.sealed], canaries.neverSent).length === 0,
  )
  if (!negative) findings.push('negative control: a canary that was never sent was found')
  const lost = [
    ...onClientLink.flatMap((view) => view.missing(sentIn(scenario.mode))),
    ...new Set(views.flatMap((view) => view.failures)),
  ]
  const positive = lost.length === 0
  if (!positive)
    findings.push(`positive control: not found on the client's link after decrypting it: ${lost.join(', ')}`)

  const measured = views.flatMap((view) => view.cells())
  const cells = OBSERVERS.flatMap((party) => cellsOf(party, measured, scenario.mode))
  findings.push(...disagreements(scenario, cells))
  return {
    ...scenario,
    cells,
    coverage: [],
    recorded: { searched: [], found: [] },
    controls: { negative: negative ? 'passed' : 'failed', positive: positive ? 'passed' : 'failed' },
    findings,
  }
}

/** Who stood where, with which captures and keys. */
export function vantagesOf({ scenario, parties, access, exit, siteClients, keylogs }: Recording): Vantage[] {
  const fromClient = (connection: CapturedConnection): boolean => connection.from.address === parties.client
  const leftClient = joinCapture([...access, ...exit.filter(fromClient)])
  const leftGateway = joinCapture(exit.filter((connection) => !fromClient(connection)))
  const vantages: Vantage[] = [
    {
      observer: 'access-network',
      captures: [{ name: 'access-network.pcapng', connections: leftClient }],
      ownKeylogs: [],
      clientEnds: leftClient.map(({ from }) => from.address),
      siteEnds: leftClient.map(({ to }) => to.address),
    },
    {
      observer: 'destination',
      captures: [{ name: 'destination.pcapng', connections: joinCapture(exit) }],
      ownKeylogs: [keylogs.site],
      clientEnds: siteClients.map(({ address }) => address),
      siteEnds: exit.map(({ to }) => to.address),
    },
  ]
  if (scenario.mode === 'direct') return vantages
  return [
    ...vantages,
    {
      observer: 'gateway-operator',
      captures: [
        { name: 'gateway-operator-access.pcapng', connections: joinCapture(access) },
        { name: 'gateway-operator-exit.pcapng', connections: leftGateway },
      ],
      ownKeylogs: [keylogs.gateway],
      clientEnds: access.flatMap(({ seenAs }) => seenAs?.address ?? []),
      siteEnds: leftGateway.map(({ to }) => to.address),
    },
  ]
}

function subjectOf({ canaries, parties, siteName, keylogs }: Recording): Subject {
  return {
    canaries,
    clientAddress: parties.client,
    siteAddress: parties.destination,
    allKeylogs: [keylogs.tunnelClient, keylogs.application].filter((lines) => lines !== ''),
    applicationKeylog: keylogs.application,
    resolve: (name) => (name === siteName ? parties.destination : undefined),
  }
}

/** The canaries that left the client in a mode: all of them must be found again. */
function sentIn(mode: LabMode): readonly CanaryField[] {
  if (mode === 'direct') return SENT_ALWAYS
  if (mode === 'tunnel') return [...SENT_ALWAYS, 'certificateSubject']
  return [...SENT_ALWAYS, 'proxyUser', 'proxyPassword']
}

function cellsOf(party: Party, measured: readonly Cell[], mode: LabMode): Cell[] {
  const cells = measured.filter(({ observer }) => observer === party)
  if (cells.length > 0) return cells
  const reason =
    party === 'gateway-operator' && mode === 'direct'
      ? 'there is no gateway in this mode'
      : 'this version of the lab has no vantage there'
  return INFORMATION.map((information) => ({
    observer: party,
    information,
    value: 'not-measured',
    reason,
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
