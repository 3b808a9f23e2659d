// Who stood where in a run: each observer with the captures of the links that it is on, the keys that it holds, and the
// addresses that kernels reported to it. Pure.
import type { CapturedConnection } from './capture.ts'
import type { Vantage } from './cells.ts'
import { joinCapture } from './pcapng/frames.ts'
import type { Recording } from './recording.ts'

export function vantagesOf({
  scenario,
  parties,
  access,
  exit,
  resolver,
  siteClients,
  keylogs,
}: Recording): Vantage[] {
  const fromClient = ({ from }: CapturedConnection): boolean => from.address === parties.client
  const fromOthers = (connection: CapturedConnection): boolean => !fromClient(connection)
  const leftClient = joinCapture([...access, ...exit.filter(fromClient), ...resolver.filter(fromClient)])
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
      captures: [{ name: 'access-network.pcapng', connections: leftClient }],
      ownKeylogs: [],
      clientEnds: leftClient.map(({ from }) => from.address),
      siteEnds: leftClient.map(({ to }) => to.address),
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
