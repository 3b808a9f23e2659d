// What left the client outside the mode while it was on: every kind of traffic carried a word of its own, and the word is
// looked for in what went to anybody but the gateway. Pure. Rule: outside is what was found there, and nothing else.
import { findWord, type Capture } from './clues.ts'
import { peelConnection } from './layers.ts'
import { COVERAGE_TRAFFIC, type Coverage, type CoverageTraffic, type Evidence } from './model.ts'
import type { Recording } from './recording.ts'
import { leftClient, otherCaptures } from './vantages.ts'

const EVIDENCE_MAX = 8

export function coverageOf(recording: Recording): Coverage[] {
  const { canaries, parties } = recording
  const request = { name: 'access-network.pcapng', connections: leftClient(recording, recording) }
  const isLookUp = ({ to }: Capture['connections'][number]): boolean => to.address === parties.resolver
  const lookUps = { ...request, connections: request.connections.filter(isLookUp) }
  const found: Record<CoverageTraffic, Evidence[]> = {
    application: findOutside(recording, request, canaries.requestBody),
    'client-dns': findOutside(recording, lookUps, canaries.hostLabel),
    udp: [],
    'untold-application': [],
  }
  for (const { traffic, word, capture } of otherCaptures(recording))
    found[traffic] = findOutside(recording, capture, word)
  return COVERAGE_TRAFFIC.map((traffic) => ({
    traffic,
    outside: found[traffic].length > 0,
    evidence: found[traffic],
  }))
}

/** Where `word` stands in what did not go to the gateway, in clear or inside the application's own TLS. */
function findOutside(
  { parties, keylogs }: Recording,
  { name, connections }: Capture,
  word: string,
): Evidence[] {
  const sources = connections
    .filter(({ to }) => to.address !== parties.gateway)
    .flatMap((connection) =>
      peelConnection(connection, [keylogs.application]).layers.map((layer) => ({
        capture: name,
        connection,
        layer,
      })),
    )
  return findWord(sources, word).slice(0, EVIDENCE_MAX)
}
