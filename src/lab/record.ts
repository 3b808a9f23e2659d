// Records one scenario: the user's application sends its request through the mode, and every wire keeps what passed.
// Rule: what goes wrong is kept beside what was recorded, and makes that run red; it never stops the others.
import { GatewayError } from '../errors.ts'
import type { Gateway } from '../gateway/gateway.ts'
import { visit, type Via, type Visit } from './application.ts'
import type { Canaries } from './canary.ts'
import type { Endpoint } from './capture.ts'
import { datagramOf, encodeQuestion, openAssociation, openDirectWay, type DatagramWay } from './datagrams.ts'
import { dissectDns } from './dissect/dns.ts'
import type { Scenario } from './model.ts'
import { siteName, type Parties } from './parties.ts'
import type { Recording } from './recording.ts'
import type { Stage } from './stage.ts'
import { TRUTH_TABLE, truthOf } from './truth-table.ts'
import type { Recorded } from './wires.ts'

export interface Cast {
  readonly stage: Stage
  readonly canaries: Canaries
  readonly parties: Parties
  /** Called with each frame that passes while the run goes on. */
  readonly passed?: ((soFar: () => Recording) => void) | undefined
}

/** Content codings in turn, so that each is met: bodies are searched as they were before. */
const ACCEPTED = ['gzip', 'br', 'deflate', 'identity'] as const

const QUESTION_ID = 0x51

interface Tunnel {
  readonly client: Gateway
  readonly listens: Endpoint
}

/** Never rejects: see `problems` of what it gives. */
export async function record(scenario: Scenario, cast: Cast): Promise<Recording> {
  const { stage, canaries, parties, passed } = cast
  const problems: string[] = []
  const keylogs = { application: '', tunnelClient: '' }
  stage.wires.take()
  stage.site.takeClients()
  const recording = (recorded: Recorded): Recording => ({
    scenario,
    canaries,
    parties,
    siteName: siteName(canaries.hostLabel),
    ...recorded,
    siteClients: stage.site.clients(),
    keylogs: { ...keylogs, gateway: stage.serverKeylog(), site: stage.site.keylog() },
    problems,
  })
  stage.wires.watch(passed && ((): void => passed(() => recording(stage.wires.peek()))))
  let tunnel: Tunnel | undefined
  try {
    await stage.introduce(canaries)
    if (scenario.mode === 'tunnel')
      tunnel = await stage.startTunnelClient((line) => (keylogs.tunnelClient += line.toString('latin1')))
    const onKeylog = (line: Buffer): void => void (keylogs.application += line.toString('latin1'))
    if (scenario.variant === 'udp') await exchangeDatagrams(scenario, cast, tunnel)
    else await visitSite({ ...applicationOf(scenario, cast, tunnel), onKeylog })
  } catch (thrown) {
    problems.push(`the request failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
  } finally {
    tunnel?.client.destroy()
  }
  if (!(await stage.wires.settled())) problems.push('connections were still open long after the answer')
  stage.wires.watch(undefined)
  return recording(stage.wires.take())
}

async function visitSite(options: Visit): Promise<void> {
  const { body } = await visit(options)
  if (!body.includes(options.canaries.responseBody))
    throw new GatewayError('dial-failed', { detail: "the answer is not the site's page" })
}

/** Looks the site's name up, and has a datagram sent back by it, both the way that the scenario goes. */
async function exchangeDatagrams(scenario: Scenario, cast: Cast, tunnel: Tunnel | undefined): Promise<void> {
  const { stage, canaries } = cast
  const way = await openWay(scenario, cast, tunnel)
  try {
    const name = siteName(canaries.hostLabel)
    const resolver = stage.resolverAddress(scenario.mode === 'direct' ? 'client' : 'gateway')
    const answer = dissectDns(await way.ask(resolver, encodeQuestion(name, QUESTION_ID)))
    const address = answer.records[0]?.data ?? ''
    const payload = datagramOf(canaries.requestBody)
    const echo = await way.ask({ address, port: stage.siteAddress('echo').port }, payload)
    if (!echo.equals(payload))
      throw new GatewayError('dial-failed', { detail: 'the echo is not what was sent' })
  } finally {
    way.close()
  }
}

async function openWay(
  { mode }: Scenario,
  { stage, canaries, parties }: Cast,
  tunnel: Tunnel | undefined,
): Promise<DatagramWay> {
  if (mode === 'socks-proxy') {
    return openAssociation({
      proxy: stage.gatewayAddress(mode),
      from: parties.client,
      credentials: canaries,
      wireTo: (relay) => stage.wires.udp('access', relay, { carries: relay }),
    })
  }
  if (tunnel !== undefined) {
    return openAssociation({
      proxy: tunnel.listens,
      from: tunnel.listens.address,
      credentials: undefined,
      // The relay is the tunnel client's own: nothing leaves the machine on the way to it.
      wireTo: async (relay) => relay,
    })
  }
  return openDirectWay(parties.client)
}

function applicationOf(
  scenario: Scenario,
  { stage, canaries, parties }: Cast,
  tunnel: Tunnel | undefined,
): Omit<Visit, 'onKeylog'> {
  const { scheme, variant } = scenario
  const index = TRUTH_TABLE.findIndex((row) => row === truthOf(scenario))
  return {
    via: viaOf(scenario, stage, tunnel?.listens),
    scheme,
    name: siteName(canaries.hostLabel),
    port: stage.siteAddress(scheme).port,
    resolver: stage.resolverAddress('client'),
    from: tunnel === undefined ? parties.client : tunnel.listens.address,
    authority: stage.authority,
    canaries,
    siteTls: variant === 'tls12' ? 'TLSv1.2' : undefined,
    accepts: ACCEPTED[index % ACCEPTED.length] ?? 'identity',
  }
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
