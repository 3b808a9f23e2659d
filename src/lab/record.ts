// Records one scenario: the user's application sends its request through the mode, and every wire keeps what passed; then,
// each by itself, what else leaves the client while the mode is on, and what the gateway writes and answers. Rule: what
// goes wrong is kept beside what was recorded, and makes that run red; it never stops the others.
import type { PageLoad, PageLoads } from './page-loads.ts'
import { siteName } from './parties.ts'
import type { OtherTraffic, Recording } from './recording.ts'
import type { Stage } from './stage.ts'
import { leftClient } from './vantages.ts'
import {
  askForRefusals,
  isLinkSealed,
  makeRequest,
  readPages,
  sendDatagram,
  visitUntold,
  type Cast,
  type Tunnel,
} from './ways.ts'
import { NOTHING_RECORDED, type Recorded } from './wires.ts'

const REFUSALS = 3

type Taken = ReturnType<Stage['take']>

/** Never rejects: see `problems` of what it gives. `passed` is called with each frame while the request goes on. */
export async function record(
  cast: Cast,
  passed: ((soFar: () => Recording) => void) | undefined,
): Promise<Recording> {
  const { scenario, stage, canaries, parties } = cast
  const problems: string[] = []
  const keylogs = { application: '', tunnelClient: '' }
  const other: OtherTraffic[] = []
  let refusals: Recorded = NOTHING_RECORDED
  let pageLoads: PageLoads | undefined

  /** Does something with what passes meanwhile recorded, and a tunnel where the mode is one. */
  const phase = async (what: string, act: (tunnel: Tunnel | undefined) => Promise<void>): Promise<Taken> => {
    let tunnel: Tunnel | undefined
    try {
      if (scenario.mode === 'tunnel')
        tunnel = await stage.startTunnelClient((line) => (keylogs.tunnelClient += line.toString('latin1')))
      await act(tunnel)
    } catch (thrown) {
      problems.push(`${what} failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
    } finally {
      tunnel?.client.destroy()
    }
    if (!(await stage.wires.settled())) problems.push(`${what}: connections were still open long afterwards`)
    return stage.take()
  }
  const recording = (taken: Taken): Recording => ({
    scenario,
    canaries,
    parties,
    siteName: siteName(canaries.hostLabel),
    ...taken,
    other,
    refusals,
    pageLoads,
    written: stage.records.written(),
    keylogs: { ...keylogs, gateway: stage.serverKeylog(), site: stage.site.keylog() },
    problems,
  })

  stage.take()
  stage.records.begin()
  // Whoever looks late, when other phases have begun, still sees the request and nothing else.
  const over: { request?: Taken } = {}
  stage.wires.watch(passed && ((): void => passed(() => recording(over.request ?? stage.peek()))))
  const onKeylog = (line: Buffer): void => void (keylogs.application += line.toString('latin1'))
  const request = await phase('the request', async (tunnel) => {
    await stage.introduce(canaries)
    await makeRequest(cast, tunnel, onKeylog)
  })
  over.request = request
  stage.wires.watch(undefined)
  stage.records.tellNobodyElse()

  other.push({
    traffic: 'udp',
    word: canaries.datagram,
    recorded: await phase('the datagram', (tunnel) => sendDatagram(cast, tunnel)),
  })
  other.push({
    traffic: 'untold-application',
    word: canaries.untoldLabel,
    recorded: await phase('the untold application', () => visitUntold(cast)),
  })
  if (scenario.mode !== 'direct') {
    refusals = await phase('a request that cannot be granted', async (tunnel) => {
      const refused = await askForRefusals(cast, tunnel)
      if (refused !== REFUSALS) problems.push(`${REFUSALS - refused} requests that cannot be granted were`)
    })
    await stage.records.ask()
  }
  if (cast.tellsPages && isLinkSealed(scenario)) {
    let loads: readonly PageLoad[] = []
    const watched = await phase('loading the pages', async (tunnel) => {
      loads = await readPages(cast, tunnel)
    })
    pageLoads = { loads, connections: leftClient({ parties }, watched) }
  }
  return recording(request)
}
