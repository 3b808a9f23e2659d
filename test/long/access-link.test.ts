// The access network's cells, by other means than ours: tcpdump records the client's link while curl visits a site in each
// mode, with TLS 1.3 and 1.2, or datagrams do, through real processes in network namespaces; a plain search of its files for the planted words has to find what
// the lab's matrix calls clear, and nothing else, cell by cell.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeCanaries, type Canaries } from '../../src/lab/canary.ts'
import { INFORMATION, type Information } from '../../src/policy/exposure.ts'
import type { LabRun, Scenario } from '../../src/lab/model.ts'
import { visitOf } from '../../src/lab/report/words.ts'
import { TRUTH_TABLE } from '../../src/lab/truth-table.ts'
import { measure, valueOf } from '../lab/measure.ts'
import { isMissing } from '../support/programs.ts'
import { AccessStage, type Recorded, type Way } from './access-link/stage.ts'
import { CLIENT, ORIGIN } from './link-cuts/network.ts'

const IMPOSSIBLE = isMissing('ip', 'tcpdump', 'curl') || process.getuid?.() !== 0
/** The first is of TLS 1.3, the second of TLS 1.2. */
const CLIENT_RANDOM = /^CLIENT_(?:HANDSHAKE_TRAFFIC_SECRET|RANDOM) ([0-9a-f]{64}) /gm

/** `socks5h` for whatever of the SOCKS proxy does not say otherwise. */
function wayOf({ mode, variant }: Scenario): Way {
  if (mode === 'socks-proxy') return variant === 'socks5' ? variant : 'socks5h'
  return mode
}

/** What a person would look for: the words, the addresses as bytes and as text, the random of curl's own hellos. */
function needlesOf(
  information: Information,
  canaries: Canaries,
  { keylog, file }: Recorded,
): (string | Buffer)[] {
  const basic = (user: string, password: string): string =>
    Buffer.from(`${user}:${password}`).toString('base64')
  const address = (text: string): (string | Buffer)[] => [text, Buffer.from(text.split('.').map(Number))]
  switch (information) {
    case 'client-address':
      return address(CLIENT)
    case 'client-identity':
      return [
        ...[canaries.proxyUser, canaries.proxyPassword, canaries.certificateSubject],
        basic(canaries.proxyUser, canaries.proxyPassword),
      ]
    case 'destination-name':
      return [canaries.hostLabel]
    case 'destination-address':
      return address(ORIGIN)
    case 'url-and-headers':
      return [canaries.path, canaries.query, canaries.header, canaries.cookie, canaries.userAgent]
    case 'content':
      return [canaries.requestBody, canaries.responseBody, basic(canaries.siteUser, canaries.sitePassword)]
    case 'client-fingerprint':
      return [...keylog.matchAll(CLIENT_RANDOM)].map(([, random = '']) => Buffer.from(random, 'hex'))
    case 'traffic-shape':
      // Any of its packets has a size and a time.
      return [file.subarray(0, 4)]
  }
}

describe.skipIf(IMPOSSIBLE)('tcpdump on the client’s link (needs root, ip, tcpdump, curl)', () => {
  const canaries = makeCanaries(`access link ${process.pid}`)
  let stage: AccessStage
  let runs: readonly LabRun[]
  beforeAll(async () => {
    stage = await AccessStage.make(canaries)
    runs = (await measure({ seed: 'access-link' })).result.runs
  }, 60_000)
  afterAll(() => stage[Symbol.asyncDispose]())

  it.each(TRUTH_TABLE.map((row) => [wayOf(row), visitOf(row), row] as const))(
    '%s, %s: eight cells agree with the matrix',
    async (way, kind, { mode, variant, scheme }) => {
      const recorded = await stage.visit(way, kind)
      expect(recorded.body).toBe(`${kind === 'udp' ? canaries.requestBody : canaries.responseBody}\n`)
      if (kind === 'tls12') expect(recorded.keylog).toMatch(/^CLIENT_RANDOM /m)
      expect(recorded.file.includes(canaries.neverSent)).toBe(false)
      const run = runs.find((one) => one.mode === mode && one.variant === variant && one.scheme === scheme)
      if (run === undefined) throw new Error(`the lab has no run of ${way}, ${kind}`)
      const cells = INFORMATION.map((information) => {
        const found = needlesOf(information, canaries, recorded).some((needle) =>
          recorded.file.includes(needle),
        )
        return `${information}: ${found ? 'found' : 'not found'}`
      })
      const matrix = INFORMATION.map((information) => {
        const isClear = valueOf(run, 'access-network', information) === 'clear'
        return `${information}: ${isClear ? 'found' : 'not found'}`
      })
      expect(cells).toEqual(matrix)
      const clear = cells.filter((cell) => cell.endsWith(': found')).length
      console.log(`${way}, ${kind}: ${recorded.file.length} bytes, ${clear} of 8 cells found, 8 agree`)
    },
  )
})
