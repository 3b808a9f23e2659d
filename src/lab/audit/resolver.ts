// Who asked for the name of the site: the resolver's row of an audit. Pure. Rule: it rests on the look-ups that arrived at
// the probe's own name server; where none could arrive there, nothing of it was measured.
import { knownAddresses } from './compare.ts'
import type { Measured } from './measure.ts'
import { endpoint, everywhere, isAddress, type Row } from './row.ts'

/** Who asked for the names of this audit, as the probe saw it, and which of them is told apart from what. */
export interface Askers {
  readonly name: string
  readonly addresses: readonly string[]
  /** One of them is this machine, or the resolver that this machine asks. */
  readonly isYours: boolean
  /** One of them is the address that the proxy connects from: it asks without a resolver in between. */
  readonly isProxy: boolean
}

/** Undefined where no look-up arrived. */
export function askersOf(measured: Measured): Askers | undefined {
  const { report, beside } = measured
  const [first] = report?.lookUps ?? []
  if (report === undefined || first === undefined) return undefined
  const addresses = [...new Set(report.lookUps.map(({ from }) => from.address))]
  const holds = (list: readonly string[]): boolean => addresses.some((address) => list.includes(address))
  return {
    name: first.name,
    addresses,
    isYours: holds([...knownAddresses(measured), ...(beside?.lookUps.map(({ from }) => from.address) ?? [])]),
    isProxy: holds(report.arrived.map(({ from }) => from.address)),
  }
}

/** Why nobody was seen to ask. */
function unasked({ proxy, probe, http, report, isReportForged, isOneMachine }: Measured): string {
  if (isAddress(http.told) && proxy.scheme !== 'socks5') return 'no name was looked up'
  if (report === undefined)
    return isReportForged ? "the probe's report was forged on its way" : "the probe's report did not come"
  if (isOneMachine && probe.zone === undefined)
    return 'the names of this machine are looked up in its hosts file'
  return probe.zone === undefined
    ? 'the probe answers for no zone: with sightline probe --zone NAME it sees who asks'
    : `no look-up of ${probe.zone} arrived at the probe: is the zone delegated to it?`
}

export function resolverRow(measured: Measured): Row {
  const asked = askersOf(measured)
  if (asked === undefined) return everywhere({ value: 'not-measured', reason: unasked(measured) })
  const { proxy, local } = measured
  const who = asked.addresses.join(', ')
  const isSelf = asked.addresses.some((address) => knownAddresses(measured).includes(address))
  return {
    ...everywhere({ value: 'absent' }),
    'client-address': isSelf
      ? { value: 'clear', evidence: [endpoint(who, 'who asked')] }
      : proxy.scheme === 'socks5'
        ? {
            value: 'inferable',
            reason: `${who} asked the probe's name server, because this machine (${local}) had asked it`,
            evidence: [endpoint(who, 'who asked')],
          }
        : {
            value: 'absent',
            reason: `${who} asked, and not this machine`,
            evidence: [endpoint(who, 'who asked')],
          },
    'destination-name': { value: 'clear', evidence: [endpoint(asked.name, 'the look-up that arrived')] },
    'destination-address': { value: 'clear', reason: 'it is in the answer' },
    'traffic-shape': { value: 'not-measured', reason: 'a look-up shows nothing of the visit' },
  }
}
