// The matrix of an audit's datagrams: the link's rows from the bytes of the association, the destination's from what the
// probe's echo received. Pure.
import { streamBytes } from '../capture.ts'
import type { Evidence } from '../model.ts'
import { knownAddresses } from './compare.ts'
import type { Measured } from './measure.ts'
import { hashOf } from './probe-report.ts'
import {
  cellsOfRows,
  endpoint,
  everywhere,
  HANDED_ON,
  isHandedOn,
  type AuditRun,
  type Judged,
  type Row,
} from './row.ts'
import { LinkView } from './view.ts'

const NONE: Judged = { value: 'not-measured', reason: 'a datagram of the audit has none' }
const UNSEEN: Judged = {
  value: 'not-measured',
  reason: 'what lies between proxy and probe is not seen from the two ends',
}

/** Undefined where none was carried. */
export function datagramCells(measured: Measured): AuditRun | undefined {
  const { udp, canaries } = measured
  if (!udp.carried) return undefined
  const view = new LinkView(udp, [])
  const question = view.find(canaries.datagram, 'datagram')
  const link = linkRow(measured, view, question)
  return {
    scheme: 'udp',
    cells: cellsOfRows({
      'access-network': isHandedOn(measured) ? everywhere(HANDED_ON) : link,
      'gateway-operator': link,
      resolver: everywhere({ value: 'not-measured', reason: 'the datagram was sent to an address' }),
      'exit-network': exitRow(measured),
      destination: destinationRow(measured),
    }),
    controls: {
      negative: view.find(canaries.neverSent, 'neverSent') === undefined ? 'passed' : 'failed',
      positive: question === undefined ? 'failed' : 'passed',
    },
  }
}

/** Whether the echo's question was readable on the link. */
export function readOnLink({ udp, canaries }: Measured): Evidence | undefined {
  return new LinkView(udp, []).find(canaries.datagram, 'datagram')
}

function linkRow({ local, site, udp }: Measured, view: LinkView, question: Evidence | undefined): Row {
  const found = (evidence: Evidence | undefined): Judged =>
    evidence === undefined ? { value: 'absent' } : { value: 'clear', evidence: [evidence] }
  const address = Buffer.from(udp.to.address.split('.').map(Number))
  const datagrams = udp.link.connections
    .filter(({ transport }) => transport === 'udp')
    .reduce((sum, connection) => sum + streamBytes(connection, 'up').length, 0)
  return {
    ...everywhere(NONE),
    'client-address': { value: 'clear', evidence: [endpoint(local, 'the address that reaches the proxy')] },
    'client-identity': {
      value: 'not-measured',
      reason: 'a user is named on the stream that asked for the association',
    },
    'destination-name': found(view.find(site, 'name')),
    'destination-address': found(view.find(address, 'address') ?? view.find(udp.to.address, 'address')),
    content: found(question),
    'traffic-shape': {
      value: 'clear',
      evidence: [{ ...endpoint(`${datagrams} bytes`, 'sizes and times of what passed'), kind: 'procedure' }],
    },
  }
}

function exitRow({ report }: Measured): Row {
  if (report === undefined)
    return everywhere({ value: 'not-measured', reason: "the probe's report did not come" })
  const reason = 'what arrives at the probe passes its last stretch'
  return {
    ...everywhere(UNSEEN),
    'destination-address': { value: 'inferable', reason },
    content: { value: 'inferable', reason },
    'traffic-shape': { value: 'inferable', reason },
  }
}

function destinationRow(measured: Measured): Row {
  const { report, udp } = measured
  const [arrived] = report?.datagrams ?? []
  if (arrived === undefined)
    return everywhere({ value: 'not-measured', reason: "the probe's report did not come" })
  const who = [endpoint(arrived.from.address, 'who sent it')]
  const isKnown = knownAddresses(measured).includes(arrived.from.address)
  return {
    ...everywhere(NONE),
    'client-address':
      measured.remote === measured.local
        ? { value: 'not-measured', reason: 'client and proxy have one address here' }
        : { value: isKnown ? 'clear' : 'absent', evidence: who },
    'destination-address': { value: 'clear', reason: 'it is its own' },
    content:
      arrived.hash === hashOf(udp.question)
        ? { value: 'clear', evidence: [endpoint(arrived.hash, 'SHA-256 of the datagram')] }
        : { value: 'absent', reason: 'another datagram arrived' },
    'traffic-shape': { value: 'clear', reason: 'it receives it' },
  }
}
