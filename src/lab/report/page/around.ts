// The part of the report on what goes around a mode, and behind each answer what shows it: the bytes that left outside, or
// all that left the client meanwhile and where it went. Pure.
import { streamBytes, type CapturedConnection } from '../../capture.ts'
import { captureFolder, capturesOf } from '../../captures.ts'
import { COVERAGE_TRAFFIC, runName, type Coverage, type CoverageTraffic, type LabRun } from '../../model.ts'
import type { Recording } from '../../recording.ts'
import { TRAFFIC_WORDS } from '../words.ts'
import { evidencePieces, openedPart, opener, type Packets } from './evidence.ts'
import { markup, type Html } from './html.ts'
import { table } from './table.ts'

/** What passed on the client's link while that traffic was made. */
const CAPTURES: Readonly<Record<CoverageTraffic, string>> = {
  application: 'access-network.pcapng',
  'client-dns': 'access-network.pcapng',
  udp: 'access-network-udp.pcapng',
  'untold-application': 'access-network-untold-application.pcapng',
}

export function aroundPart(runs: readonly LabRun[]): Html {
  const measured = runs.filter(isMeasured)
  if (measured.length === 0) return markup`<p>Not measured in this run.</p>`
  const rows = measured.map((run) => {
    const cells = COVERAGE_TRAFFIC.map((traffic) => {
      const found = run.coverage.find((one) => one.traffic === traffic)
      return markup`<td data-mode="${TRAFFIC_WORDS[traffic]}">${found === undefined ? '' : answer(run, found)}</td>`
    })
    return markup`<tr>
      <th scope="row">${runName(run)}</th>
      ${cells}
    </tr>`
  })
  return markup`<p>
      With the mode on, what still left the client outside it? This is the real difference between a proxy and
      a VPN.
    </p>
    ${table({
      kind: 'matrix covered',
      title: 'What left the client outside the mode',
      heads: COVERAGE_TRAFFIC.map((traffic) => TRAFFIC_WORDS[traffic]),
      rows,
    })}`
}

/** Everything behind one run's answers. */
export function aroundEvidence(run: LabRun, recording: Recording, packets: Packets): Html[] {
  if (!isMeasured(run)) return []
  const captures = new Map(capturesOf(recording).map(({ name, connections }) => [name, connections]))
  return run.coverage.map((found) => {
    const { traffic, outside, evidence } = found
    const capture = CAPTURES[traffic]
    const says = outside
      ? 'A word of it was found in what left the client for somebody who is not the gateway.'
      : 'A word of it was looked for in all that left the client for anybody but the gateway, and is not there.'
    return openedPart(idOf(run, traffic), `${TRAFFIC_WORDS[traffic]}: ${runName(run)}`, [
      markup`<p><span class="value ${outside ? 'clear' : 'sealed'}">${wordOf(found)}</span> ${says}</p>`,
      ...evidencePieces(run, evidence, packets, Object.values(recording.canaries)),
      markup`<div class="piece">
        <p>All that left the client meanwhile, in <code>${captureFolder(run)}/${capture}</code>:</p>
        <ul>
          ${destinations(captures.get(capture) ?? [], recording).map((text) => markup`<li>${text}</li>`)}
        </ul>
      </div>`,
    ])
  })
}

function isMeasured({ coverage, mode }: LabRun): boolean {
  return coverage.length > 0 && mode !== 'direct'
}

function answer(run: LabRun, found: Coverage): Html {
  const { traffic, outside } = found
  const label = `${wordOf(found)}: ${TRAFFIC_WORDS[traffic]}, ${runName(run)}`
  return opener(idOf(run, traffic), wordOf(found), `cell ${outside ? 'clear' : 'sealed'}`, label)
}

function wordOf({ outside }: Coverage): string {
  return outside ? 'outside' : 'through the mode'
}

function idOf(run: LabRun, traffic: CoverageTraffic): string {
  return `${captureFolder(run)}.around.${traffic}`
}

/** `to the gateway, 127.1.2.3 port 4: 500 bytes, and 600 back (tcp)` */
function destinations(connections: readonly CapturedConnection[], { parties }: Recording): string[] {
  const parts = new Map(Object.entries(parties).map(([party, address]: [string, string]) => [address, party]))
  return connections.map((connection) => {
    const { to, transport } = connection
    const [up, down] = (['up', 'down'] as const).map((way) => streamBytes(connection, way).length)
    const party = parts.get(to.address) ?? 'somebody'
    return `to the ${party}, ${to.address} port ${to.port}: ${up ?? 0} bytes, and ${down ?? 0} back (${transport})`
  })
}
