// The ways that traffic of the user's machine goes in a scenario: through the mode or beside it, as requests or as
// datagrams. Rule: what is not told of the mode is sent just as it would be without it.
import { GatewayError } from '../errors.ts'
import type { Gateway } from '../gateway/gateway.ts'
import { visit, type Via, type Visit } from './application.ts'
import type { Canaries } from './canary.ts'
import type { Endpoint } from './capture.ts'
import { datagramOf, encodeQuestion, openAssociation, openDirectWay, type DatagramWay } from './datagrams.ts'
import { dissectDns } from './dissect/dns.ts'
import type { Scenario } from './model.ts'
import { loadPages, type PageLoad } from './page-loads.ts'
import { siteName, type Parties } from './parties.ts'
import type { Stage } from './stage.ts'
import { TRUTH_TABLE, truthOf } from './truth-table.ts'

/** Who takes part in one run. */
export interface Cast {
  readonly seed: string
  /** Whether pages are loaded and told apart by their sizes: it takes a second for each link that seals. */
  readonly tellsPages: boolean
  readonly scenario: Scenario
  readonly stage: Stage
  readonly canaries: Canaries
  readonly parties: Parties
}

export interface Tunnel {
  readonly client: Gateway
  readonly listens: Endpoint
}

/** Content codings in turn, so that each is met: bodies are searched as they were before. */
const ACCEPTED = ['gzip', 'br', 'deflate', 'identity'] as const
const QUESTION_ID = 0x51
/** RFC 863: nothing listens there. */
const CLOSED_PORT = 9

/** Makes the scenario's request. Errors: `dial-failed` and those of Node, where there is no right answer. */
export async function makeRequest(
  cast: Cast,
  tunnel: Tunnel | undefined,
  onKeylog: (line: Buffer) => void,
): Promise<void> {
  if (cast.scenario.variant === 'udp') return exchangeDatagrams(cast, tunnel)
  const clientCertificate = await cast.stage.clientCertificate()
  await visitSite({ ...applicationOf(cast, tunnel), clientCertificate, onKeylog })
}

/** An application that was not told of the mode visits the site under a name of its own. Errors: as above. */
export async function visitUntold(cast: Cast): Promise<void> {
  await visitSite({
    ...applicationOf(cast, undefined),
    via: { kind: 'direct' },
    scheme: 'http',
    name: siteName(cast.canaries.untoldLabel),
    port: cast.stage.siteAddress('http').port,
    onKeylog: () => {},
  })
}

/** A datagram of an application that was told of the mode: through it where it takes datagrams, else as without it. */
export async function sendDatagram(cast: Cast, tunnel: Tunnel | undefined): Promise<void> {
  const { canaries, stage } = cast
  let way: DatagramWay
  try {
    way = await openWay(cast, tunnel)
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown
    way = await openStraight(stage)
  }
  try {
    const echo = { address: stage.places.destination, port: stage.siteAddress('echo').port }
    await way.ask(echo, datagramOf(canaries.datagram))
  } finally {
    way.close()
  }
}

/** Content is sealed on the client's link, so that sizes and times are all there is; TLS 1.2 hides them no better. */
export function isLinkSealed(scenario: Scenario): boolean {
  const content = truthOf(scenario)?.cells['access-network'].content.value
  return content === 'sealed' && scenario.variant !== 'tls12' && scenario.variant !== 'udp'
}

/** Reads every page the way that the scenario goes. Errors: as above. */
export async function readPages(cast: Cast, tunnel: Tunnel | undefined): Promise<PageLoad[]> {
  return loadPages(cast.seed, { ...applicationOf(cast, tunnel), onKeylog: () => {} })
}

/**
 * Asks for what cannot be had: a name that there is not, an address that may not be reached, a port that is closed. Gives
 * how many were answered with a refusal, as all should be.
 */
export async function askForRefusals(cast: Cast, tunnel: Tunnel | undefined): Promise<number> {
  const { canaries, stage } = cast
  const { via, ...application } = applicationOf(cast, tunnel)
  const options: Visit = {
    ...application,
    via: via.kind === 'socks5' ? { ...via, kind: 'socks5h' } : via,
    scheme: 'http',
    onKeylog: () => {},
  }
  const refused = await Promise.allSettled([
    visit({ ...options, name: siteName(`no-${canaries.hostLabel}`), port: stage.siteAddress('http').port }),
    visit({ ...options, name: '127.0.0.1', port: CLOSED_PORT }),
    visit({ ...options, name: stage.places.destination, port: CLOSED_PORT }),
  ])
  return refused.filter(({ status }) => status === 'rejected').length
}

async function visitSite(options: Visit): Promise<void> {
  const { body } = await visit(options)
  if (!body.includes(options.canaries.responseBody))
    throw new GatewayError('dial-failed', { detail: "the answer is not the site's page" })
}

/** Looks the site's name up, and has a datagram sent back by it, both the way that the scenario goes. */
async function exchangeDatagrams(cast: Cast, tunnel: Tunnel | undefined): Promise<void> {
  const { scenario, stage, canaries } = cast
  const way = await openWay(cast, tunnel)
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

async function openStraight(stage: Stage): Promise<DatagramWay> {
  return openDirectWay(stage.places.client, (port) => stage.clientSendsFrom(port))
}

/** Errors: `dial-failed` where the mode takes no datagrams. */
async function openWay(
  { scenario: { mode }, stage, canaries }: Cast,
  tunnel: Tunnel | undefined,
): Promise<DatagramWay> {
  if (mode === 'http-proxy' || mode === 'https-proxy')
    throw new GatewayError('dial-failed', { detail: 'an HTTP proxy takes no datagrams' })
  if (mode === 'socks-proxy') {
    return openAssociation({
      proxy: stage.gatewayAddress(mode),
      from: stage.places.client,
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
  return openStraight(stage)
}

function applicationOf(
  { scenario, stage, canaries }: Cast,
  tunnel: Tunnel | undefined,
): Omit<Visit, 'onKeylog'> {
  const { scheme, variant } = scenario
  const index = TRUTH_TABLE.findIndex((row) => row === truthOf(scenario))
  return {
    via:
      scenario.mode === 'tunnel' && tunnel === undefined
        ? { kind: 'direct' }
        : viaOf(scenario, stage, tunnel?.listens),
    scheme,
    name: siteName(canaries.hostLabel),
    port: stage.siteAddress(scheme).port,
    resolver: stage.resolverAddress('client'),
    from: tunnel === undefined ? stage.places.client : tunnel.listens.address,
    authority: stage.authority,
    onPort: (port) => stage.clientSendsFrom(port),
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
