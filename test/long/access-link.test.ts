// The access network's cells, by other means than ours: tcpdump records the client's link while curl visits a site in each
// mode, through real processes in network namespaces; a plain search of its files for the planted words has to find what
// the lab's matrix calls clear, and nothing else, cell by cell.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeCanaries, type Canaries } from '../../src/lab/canary.ts'
import { INFORMATION, type Information } from '../../src/policy/exposure.ts'
import type { LabRun } from '../../src/lab/model.ts'
import { measure, valueOf } from '../lab/measure.ts'
import { isMissing } from '../support/programs.ts'
import { AccessStage, WAYS, type Recorded, type Way } from './access-link/stage.ts'
import { CLIENT, ORIGIN } from './link-cuts/network.ts'

const IMPOSSIBLE = isMissing('ip', 'tcpdump', 'curl') || process.getuid?.() !== 0
const SCHEMES = ['http', 'https'] as const
const CLIENT_RANDOM = /^CLIENT_HANDSHAKE_TRAFFIC_SECRET ([0-9a-f]{64}) /gm

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

  const runOf = (way: Way, scheme: 'http' | 'https'): LabRun => {
    const found = runs.find(
      (run) => run.scheme === scheme && (run.variant === way || (run.mode === way && run.variant === null)),
    )
    if (found === undefined) throw new Error(`the lab has no run of ${way}, ${scheme}`)
    return found
  }

  it.each(WAYS.flatMap((way) => SCHEMES.map((scheme) => [way, scheme] as const)))(
    '%s, %s: eight cells agree with the matrix',
    async (way, scheme) => {
      const recorded = await stage.visit(way, scheme)
      expect(recorded.body).toBe(`${canaries.responseBody}\n`)
      expect(recorded.file.includes(canaries.neverSent)).toBe(false)
      const run = runOf(way, scheme)
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
      console.log(`${way}, ${scheme}: ${recorded.file.length} bytes, ${clear} of 8 cells found, 8 agree`)
    },
  )
})
