// What a mode costs, measured in seconds through the gateway that runs here: the time of a small request on a new
// connection, and the speed of a large answer. Rule: one at a time, so that the ways do not slow each other down; a
// figure is a median, and the machine's own load is in it (bench/ is for figures that count).
import type { Duplex } from 'node:stream'
import { GatewayError } from '../../errors.ts'
import { INFORMATION, type Information } from '../../policy/exposure.ts'
import { expectedValue } from '../truth-table.ts'
import type { Choice, Cost } from './wire.ts'

/** One way to the same site: opens a connection on which an HTTP/1.1 request can be sent. */
export interface Way extends Choice {
  readonly connect: () => Promise<Duplex>
  /** The request's target for a path: absolute where a proxy is asked. */
  readonly target: (path: string) => string
}

export interface CostSite {
  /** For the Host header. */
  readonly host: string
  readonly small: string
  readonly large: string
  readonly largeBytes: number
}

const SMALL_REQUESTS = 15
const LARGE_REQUESTS = 3
const TIMEOUT_MS = 20_000

/** Every way, one after the other. Errors: `dial-failed`, `dial-timeout`, with the way in the detail. */
export async function measureCost(ways: readonly Way[], site: CostSite): Promise<Cost[]> {
  const costs: Cost[] = []
  for (const way of ways) {
    const small: number[] = []
    const large: number[] = []
    // The first one warms what is kept: the tunnel's session, the resolver's cache.
    await exchange(way, site, site.small)
    for (let count = 0; count < SMALL_REQUESTS; count += 1)
      small.push((await exchange(way, site, site.small)).tookMs)
    for (let count = 0; count < LARGE_REQUESTS; count += 1) {
      const { tookMs, bytes } = await exchange(way, site, site.large)
      if (bytes < site.largeBytes) throw failed(way, `only ${bytes} bytes came`)
      large.push(bytes / 1e6 / (tookMs / 1000))
    }
    const { mode, variant } = way
    costs.push({
      mode,
      variant,
      latencyMs: median(small),
      megabytesPerSecond: median(large),
      hides: hidesOf(way),
    })
  }
  return costs
}

/** What stands in clear without a proxy and not with this way, and what is encrypted; as every measurement has to show it. */
export function hidesOf({ mode, variant }: Choice): Information[] {
  const direct = { mode: 'direct', variant: null, scheme: 'http' } as const
  return INFORMATION.filter((information) => {
    const value = expectedValue({ mode, variant, scheme: 'http' }, 'access-network', information)?.value
    if (value === 'sealed') return true
    return value === 'absent' && expectedValue(direct, 'access-network', information)?.value === 'clear'
  })
}

async function exchange(
  way: Way,
  { host }: CostSite,
  path: string,
): Promise<{ readonly tookMs: number; readonly bytes: number }> {
  const began = performance.now()
  const stream = await way.connect()
  const timer = setTimeout(
    () => stream.destroy(new GatewayError('dial-timeout', { detail: 'no answer in time' })),
    TIMEOUT_MS,
  )
  try {
    stream.write(`GET ${way.target(path)} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`)
    let bytes = 0
    let head = ''
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      if (bytes === 0) head = chunk.toString('latin1', 0, 15)
      bytes += chunk.length
    }
    if (!head.startsWith('HTTP/1.1 200 ')) throw failed(way, `the answer began with ${JSON.stringify(head)}`)
    return { tookMs: performance.now() - began, bytes }
  } finally {
    clearTimeout(timer)
    stream.destroy()
  }
}

function failed({ mode }: Way, what: string): GatewayError {
  return new GatewayError('dial-failed', { detail: `${mode}: ${what}` })
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
