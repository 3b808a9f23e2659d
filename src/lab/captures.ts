// The capture files of one recorded run: what stood at each vantage, and beside it, where TLS sealed some of it, a copy
// that holds the keys. Pure. Rule: the vantage's own file never holds a key.
import type { Recording } from './recording.ts'
import { otherCaptures, PAGE_LOADS, vantagesOf } from './vantages.ts'
import { streamBytes, type CapturedConnection } from './capture.ts'
import { runName, type Scenario } from './model.ts'
import { encodeCapture } from './pcapng/file.ts'

interface Capture {
  readonly name: string
  readonly connections: readonly CapturedConnection[]
}

const RANDOM = /^[A-Z0-9_]+ ([0-9a-f]{64}) /gim
const EXTENSION = '.pcapng'

/** `socks-proxy-socks5h-http`: the folder of a run's files. */
export function captureFolder({ mode, variant, scheme }: Scenario): string {
  return [mode, ...(variant === null ? [] : [variant]), scheme].join('-')
}

/** Everything that a run recorded, by the names of its files. */
export function capturesOf(recording: Recording): Capture[] {
  const { pageLoads } = recording
  return [
    ...vantagesOf(recording).flatMap((vantage) => vantage.captures),
    ...otherCaptures(recording).map(({ capture }) => capture),
    ...(pageLoads === undefined ? [] : [{ name: PAGE_LOADS, connections: pageLoads.connections }]),
  ]
}

/** Files by name; evidence names them and counts their packets. `originMs` as in `CaptureFile`. */
export function captureFiles(recording: Recording, originMs: number): Map<string, Buffer> {
  const { scenario, parties, keylogs } = recording
  const names = new Map(Object.entries(parties).map(([party, address]: [string, string]) => [address, party]))
  const subject = runName(scenario)
  const keylog = [keylogs.tunnelClient, keylogs.application].join('')
  const files = new Map<string, Buffer>()
  for (const { name, connections } of capturesOf(recording)) {
    const vantage = name.slice(0, -EXTENSION.length)
    const file = { vantage, subject, connections, names, originMs }
    files.set(name, encodeCapture(file))
    if (holdsTlsOf(connections, keylog))
      files.set(`${vantage}-with-keys${EXTENSION}`, encodeCapture({ ...file, keylog }))
  }
  return files
}

/** Whether one of these connections began with a ClientHello that the key log knows. */
function holdsTlsOf(connections: readonly CapturedConnection[], keylog: string): boolean {
  const randoms = new Set([...keylog.matchAll(RANDOM)].map(([, random = '']) => random))
  const streams = connections.map((connection) => streamBytes(connection, 'up'))
  return [...randoms].some((random) => streams.some((bytes) => bytes.includes(Buffer.from(random, 'hex'))))
}
