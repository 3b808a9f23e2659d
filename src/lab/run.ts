// One measurement: the same request through each mode, each vantage's bytes recorded, and each recording assessed.
// Rule: what goes wrong within a run makes that run red, and never stops the others.
import { GatewayError } from '../errors.ts'
import type { Observer } from '../gateway/observer.ts'
import { visit, type Via } from './application.ts'
import { assess, type Recording } from './assess.ts'
import { makeCanaries, type Canaries } from './canary.ts'
import type { Endpoint } from './capture.ts'
import {
  runName,
  type LabMode,
  type LabResult,
  type LabRun,
  type Scenario,
  type Scheme,
  type Variant,
} from './model.ts'
import { checkParties, partiesOf, type Parties } from './parties.ts'
import { Stage, type Faults } from './stage.ts'
import { TRUTH_TABLE } from './truth-table.ts'

export interface LabOptions {
  readonly seed: string
  readonly modes: readonly LabMode[]
  readonly schemes: readonly Scheme[]
  /** Of a mode that has variants, these alone; default all. */
  readonly variants?: readonly Variant[]
  /** Words that a person chose, in the place of the seed's: at least 8 characters each, or they are found by chance. */
  readonly words?: Partial<Canaries>
  readonly observer: Observer
  /** Called before each run, for progress. */
  readonly progress?: (name: string) => void
  /** Called with each frame that passes a tap, while the run goes on; `soFar` gives what is recorded until then. */
  readonly passed?: (soFar: () => Recording) => void
  /** Called with what each run recorded, before it is assessed. */
  readonly recorded?: (recording: Recording) => void
  /** For tests: what the lab must find. */
  readonly faults?: Faults
}

interface Cast {
  readonly stage: Stage
  readonly canaries: Canaries
  readonly parties: Parties
}

/** Measures. Errors: those of starting the stage; what goes wrong within a run makes that run red instead. */
export async function runLab(options: LabOptions): Promise<LabResult> {
  const { seed, modes, schemes, variants, words, observer, faults = {}, progress, passed, recorded } = options
  const canaries = { ...makeCanaries(seed), ...words }
  const parties = partiesOf(seed)
  await checkParties(parties)
  const stage = await Stage.start({ parties, canaries, observer, faults })
  try {
    const runs: LabRun[] = []
    const rows = modes.flatMap((mode) => TRUTH_TABLE.filter((row) => row.mode === mode))
    for (const { mode, variant, scheme } of rows) {
      if (!schemes.includes(scheme)) continue
      if (variant !== null && variants?.includes(variant) === false) continue
      const scenario: Scenario = { mode, variant, scheme }
      progress?.(runName(scenario))
      const recording = await record(scenario, { stage, canaries, parties }, passed)
      recorded?.(recording)
      runs.push(assess(recording))
    }
    return {
      version: 1,
      seed,
      runs,
      standIns: [],
      agreesWithTruthTable: runs.every((run) => run.findings.length === 0),
    }
  } finally {
    await stage.close()
  }
}

async function record(
  scenario: Scenario,
  { stage, canaries, parties }: Cast,
  passed: LabOptions['passed'],
): Promise<Recording> {
  const { mode, scheme } = scenario
  const problems: string[] = []
  let tunnelKeylog = ''
  let applicationKeylog = ''
  stage.access.take()
  stage.exit.take()
  stage.site.takeClients()
  const recording = (access: Recording['access'], exit: Recording['exit']): Recording => ({
    scenario,
    canaries,
    parties,
    siteName: stage.name,
    access,
    exit,
    siteClients: stage.site.clients(),
    keylogs: {
      application: applicationKeylog,
      tunnelClient: tunnelKeylog,
      gateway: stage.serverKeylog(),
      site: stage.site.keylog(),
    },
    problems,
  })
  const watched = passed && ((): void => passed(() => recording(stage.access.peek(), stage.exit.peek())))
  stage.access.passed = watched
  stage.exit.passed = watched
  let tunnel: Awaited<ReturnType<Stage['startTunnelClient']>> | undefined
  try {
    if (mode === 'tunnel')
      tunnel = await stage.startTunnelClient((line) => (tunnelKeylog += line.toString('latin1')))
    const { body } = await visit({
      via: viaOf(scenario, stage, tunnel?.listens),
      scheme,
      name: stage.name,
      site: stage.siteAddress(scheme),
      from: tunnel === undefined ? parties.client : '127.0.0.1',
      authority: stage.authority,
      canaries,
      onKeylog: (line) => (applicationKeylog += line.toString('latin1')),
    })
    if (!body.includes(canaries.responseBody)) problems.push("the answer is not the site's page")
  } catch (thrown) {
    problems.push(`the request failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
  } finally {
    tunnel?.client.destroy()
  }
  if (!(await stage.settled())) problems.push('connections were still open long after the answer')
  return recording(stage.access.take(), stage.exit.take())
}

function viaOf({ mode, variant }: Scenario, stage: Stage, tunnelClient: Endpoint | undefined): Via {
  switch (mode) {
    case 'direct':
      return { kind: 'direct' }
    case 'http-proxy':
      return { kind: 'http', proxy: stage.gatewayAddress(mode), credentials: true }
    case 'https-proxy':
      return { kind: 'https', proxy: stage.gatewayAddress(mode), credentials: true }
    case 'socks-proxy':
      return {
        kind: variant === 'socks5' ? 'socks5' : 'socks5h',
        proxy: stage.gatewayAddress(mode),
        credentials: true,
      }
    case 'tunnel':
      if (tunnelClient === undefined) throw new GatewayError('internal-error')
      return { kind: 'socks5h', proxy: tunnelClient, credentials: false }
  }
}
