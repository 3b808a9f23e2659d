// Who stood where in a run: each observer with the captures of the links that it is on, the keys that it holds, and the
// addresses that kernels reported to it. Pure.
import type { CapturedConnection } from './capture.ts'
import type { Vantage } from './cells.ts'
import type { Capture } from './clues.ts'
import { joinCapture } from './pcapng/frames.ts'
import type { OtherTraffic, Recording } from './recording.ts'
import type { Recorded } from './wires.ts'

/** The capture of the client's link while pages were loaded. */
export const PAGE_LOADS = 'access-network-page-loads.pcapng'

/** What left the client's machine, as one capture: to the gateway, and to anybody else. */
export function leftClient(
  { parties }: Pick<Recording, 'parties'>,
  { access, exit, resolver }: Recorded,
): CapturedConnection[] {
  const fromClient = ({ from }: CapturedConnection): boolean => from.address === parties.client
  return joinCapture([...access, ...exit.filter(fromClient), ...resolver.filter(fromClient)])
}

/** What else left the client while the mode was on, each as a capture of its own. */
export function otherCaptures(
  recording: Recording,
): Array<{ readonly traffic: OtherTraffic['traffic']; readonly word: string; readonly capture: Capture }> {
  return recording.other.map(({ traffic, word, recorded }) => ({
    traffic,
    word,
    capture: { name: `access-network-${traffic}.pcapng`, connections: leftClient(recording, recorded) },
  }))
}

/** Every observer of the scenario. */
export function vantagesOf(recording: Recording): Vantage[] {
  const { scenario, parties, access, exit, resolver, siteClients, keylogs } = recording
  const fromOthers = ({ from }: CapturedConnection): boolean => from.address !== parties.client
  const client = leftClient(recording, recording)
  const leftGateway = joinCapture(exit.filter(fromOthers))
  // In direct use the client stands where else the gateway does.
  const asked = scenario.mode === 'direct' ? resolver : resolver.filter(fromOthers)
  const exits = joinCapture([...exit, ...asked])
  const gateway: Vantage = {
    observer: 'gateway-operator',
    captures: [
      { name: 'gateway-operator-access.pcapng', connections: joinCapture(access) },
      { name: 'gateway-operator-exit.pcapng', connections: leftGateway },
      { name: 'gateway-operator-resolver.pcapng', connections: joinCapture(resolver.filter(fromOthers)) },
    ],
    ownKeylogs: [keylogs.gateway],
    clientEnds: access.flatMap(({ seenAs }) => seenAs?.address ?? []),
    siteEnds: leftGateway.map(({ to }) => to.address),
  }
  return [
    {
      observer: 'access-network',
      captures: [{ name: 'access-network.pcapng', connections: client }],
      ownKeylogs: [],
      clientEnds: client.map(({ from }) => from.address),
      siteEnds: client.map(({ to }) => to.address),
    },
    ...(scenario.mode === 'direct' ? [] : [gateway]),
    {
      observer: 'resolver',
      captures: [{ name: 'resolver.pcapng', connections: joinCapture(resolver) }],
      ownKeylogs: [],
      clientEnds: resolver.flatMap(({ seenAs }) => seenAs?.address ?? []),
      siteEnds: [],
    },
    {
      observer: 'exit-network',
      captures: [{ name: 'exit-network.pcapng', connections: exits }],
      ownKeylogs: [],
      clientEnds: exits.map(({ from }) => from.address),
      siteEnds: exits.map(({ to }) => to.address),
    },
    {
      observer: 'destination',
      captures: [{ name: 'destination.pcapng', connections: joinCapture(exit) }],
      ownKeylogs: [keylogs.site],
      clientEnds: siteClients.map(({ address }) => address),
      siteEnds: exit.map(({ to }) => to.address),
    },
  ]
}
