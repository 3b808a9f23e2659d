// One measurement: the same request through each mode, each vantage's bytes recorded, cells made of them, controls
// checked, and the whole held against the truth table. Rule: what cannot be proved makes the run red.
import { INFORMATION, OBSERVERS, type Observer as Party } from '../policy/exposure.ts'
import type { Observer } from '../gateway/observer.ts'
import { visit, type Via } from './application.ts'
import { makeCanaries, type Canaries, type CanaryField } from './canary.ts'
import type { CapturedConnection } from './capture.ts'
import { View, type Subject, type Vantage } from './cells.ts'
import { runName, type Cell, type LabMode, type LabResult, type LabRun, type Scheme, type Variant } from './model.ts'
import { checkParties, partiesOf } from './parties.ts'
import { Stage, type Faults } from './stage.ts'
import { expectedValue } from './truth-table.ts'

export interface LabOptions {
  readonly seed: string
  readonly modes: readonly LabMode[]
  readonly schemes: readonly Scheme[]
  readonly observer: Observer
  /** Called before each run, for progress. */
  readonly progress?: (name: string) => void
  /** For tests: what the lab must find. */
  readonly faults?: Faults
}

interface Scenario {
  readonly mode: LabMode
  readonly variant: Variant
  readonly scheme: Scheme
}

const VARIANTS: Readonly<Record<LabMode, readonly Variant[]>> = {
  direct: [null],
  'http-proxy': [null],
  'socks-proxy': ['socks5', 'socks5h'],
  tunnel: [null],
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

/** Measures. Errors: those of starting the stage; what goes wrong within a run makes that run red instead. */
export async function runLab(options: LabOptions): Promise<LabResult> {
  const { seed, modes, schemes, observer, faults = {}, progress } = options
  const canaries = makeCanaries(seed)
  const parties = partiesOf(seed)
  await checkParties(parties)
  const stage = await Stage.start({ parties, canaries, observer, faults })
  try {
    const runs: LabRun[] = []
    for (const mode of modes) {
      for (const variant of VARIANTS[mode]) {
        for (const scheme of schemes) {
          const scenario: Scenario = { mode, variant, scheme }
          progress?.(runName(scenario))
          runs.push(await measure(scenario, stage, canaries, parties))
        }
      }
    }
    return { version: 1, seed, runs, agreesWithTruthTable: runs.every((run) => run.findings.length === 0) }
  } finally {
    await stage.close()
  }
}

async function measure(
  scenario: Scenario,
  stage: Stage,
  canaries: Canaries,
  parties: ReturnType<typeof partiesOf>,
): Promise<LabRun> {
  const { mode, variant, scheme } = scenario
  let clientKeylog = ''
  stage.access.take()
  stage.exit.take()
  stage.site.takeClients()
  const tunnel = mode === 'tunnel' ? await stage.startTunnelClient((line) => (clientKeylog += line.toString('latin1'))) : undefined
  const via = viaOf(mode, variant, stage, tunnel?.listens)
  const findings: string[] = []
  let applicationKeylog = ''
  try {
    const site = stage.siteAddress(scheme)
    const from = via.kind === 'direct' || tunnel === undefined ? parties.client : '127.0.0.1'
    const result = await visit({ via, scheme, name: stage.name, site, from, authority: stage.authority, canaries })
    applicationKeylog = result.keylog
    if (!result.body.includes(canaries.responseBody)) findings.push('the answer is not the site\'s page')
  } catch (thrown) {
    findings.push(`the request failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
  } finally {
    tunnel?.client.destroy()
  }
  await stage.settled()

  const fromClient = (connection: CapturedConnection): boolean => connection.from.address === parties.client
  const access = stage.access.take()
  const exit = stage.exit.take()
  const leftClient = [...access, ...exit.filter(fromClient)]
  const leftGateway = exit.filter((connection) => !fromClient(connection))
  const subject: Subject = {
    canaries,
    clientAddress: parties.client,
    siteAddress: parties.destination,
    allKeylogs: [clientKeylog, applicationKeylog].filter((lines) => lines !== ''),
    applicationKeylog,
    resolve: (name) => stage.resolve(name),
  }
  const accessView = new View(
    {
      observer: 'access-network',
      captures: [{ name: 'access-network.pcapng', connections: leftClient }],
      ownKeylogs: [],
      clientEnds: leftClient.map(({ from }) => from.address),
      siteEnds: leftClient.map(({ to }) => to.address),
    },
    subject,
  )
  const vantages: Vantage[] = [
    {
      observer: 'destination',
      captures: [{ name: 'destination.pcapng', connections: exit }],
      ownKeylogs: [stage.site.keylog()],
      clientEnds: stage.site.takeClients().map(({ address }) => address),
      siteEnds: exit.map(({ to }) => to.address),
    },
  ]
  if (mode !== 'direct') {
    vantages.push({
      observer: 'gateway-operator',
      captures: [
        { name: 'gateway-operator-access.pcapng', connections: access },
        { name: 'gateway-operator-exit.pcapng', connections: leftGateway },
      ],
      ownKeylogs: [stage.serverKeylog()],
      clientEnds: access.flatMap(({ seenAs }) => seenAs?.address ?? []),
      siteEnds: leftGateway.map(({ to }) => to.address),
    })
  }
  const views = [accessView, ...vantages.map((vantage) => new View(vantage, subject))]

  const negative = views.every((view) => view.find([...view.readable, ...view.sealed], canaries.neverSent).length === 0)
  if (!negative) findings.push('negative control: a canary that was never sent was found')
  const lost = [...accessView.missing(sentIn(mode)), ...new Set(views.flatMap((view) => view.failures))]
  const positive = lost.length === 0
  if (!positive) findings.push(`positive control: not found on the client's link after decrypting it: ${lost.join(', ')}`)

  const measured = views.flatMap((view) => view.cells())
  const cells = OBSERVERS.flatMap((party) => cellsOf(party, measured, mode))
  findings.push(...disagreements(scenario, cells))
  return {
    mode,
    variant,
    scheme,
    cells,
    coverage: [],
    controls: { negative: negative ? 'passed' : 'failed', positive: positive ? 'passed' : 'failed' },
    findings,
  }
}

function viaOf(mode: LabMode, variant: Variant, stage: Stage, tunnelClient: Stage['site']['http'] | undefined): Via {
  if (mode === 'direct') return { kind: 'direct' }
  if (mode === 'http-proxy') return { kind: 'http', proxy: stage.gatewayAddress('http-proxy'), credentials: true }
  if (mode === 'tunnel' && tunnelClient !== undefined) return { kind: 'socks5h', proxy: tunnelClient, credentials: false }
  return { kind: variant === 'socks5' ? 'socks5' : 'socks5h', proxy: stage.gatewayAddress('socks-proxy'), credentials: true }
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
  return INFORMATION.map((information) => ({ observer: party, information, value: 'not-measured', reason, evidence: [] }))
}

function disagreements(scenario: Scenario, cells: readonly Cell[]): string[] {
  return cells.flatMap(({ observer, information, value }) => {
    const expected = expectedValue(scenario, observer, information)
    if (expected === undefined || expected.value === value) return []
    return [`${observer}, ${information}: measured ${value}, the truth table says ${expected.value} (${expected.reason})`]
  })
}
