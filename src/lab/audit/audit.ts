// An audit from end to end: measure, judge, and say it. Rule: the result holds no credential of the proxy and not the
// probe's token.
import type { ProxyUrl } from '../../config/proxy-url.ts'
import { isLoopbackAddress } from '../../policy/egress-upstream.ts'
import { formatAddress } from '../../transport/listener.ts'
import type { Coverage } from '../model.ts'
import { cellsOf } from './cells.ts'
import { checksOf, coverageOf, sentenceOf, type Check } from './checks.ts'
import { measure, type Measured } from './measure.ts'
import { datagramCells } from './datagram-cells.ts'
import { startProbe, type Probe } from './probe.ts'
import { isHandedOn, type AuditRun } from './row.ts'
import type { ProbeAddress } from './probe-url.ts'

/** As `audit --json` writes it. */
export interface AuditResult {
  readonly version: 1
  /** Scheme, host and port. */
  readonly proxy: string
  readonly answer: string
  /** Both controls passed in every run; else nothing of the rest can be relied on. */
  readonly stands: boolean
  readonly checks: readonly Check[]
  readonly runs: readonly AuditRun[]
  readonly coverage: readonly Coverage[]
  /** What the reader has to know of how it was measured. */
  readonly notes: readonly string[]
}

export interface AuditOptions {
  readonly proxy: ProxyUrl
  /** Undefined: the audit starts a probe on this machine. */
  readonly origin: ProbeAddress | undefined
  readonly seed: string
  readonly authority?: string | undefined
  /** Ports that its own probe takes where they are free; default any. */
  readonly ports?: { readonly http: number; readonly https: number; readonly echo: number }
  readonly progress?: ((what: string) => void) | undefined
}

const LOOPBACK = '127.0.0.1'
const ANY_PORTS = { http: 0, https: 0, echo: 0 } as const

/**
 * Errors: those of dialling the proxy (`connection-refused`, `name-not-found` …); `dial-failed` where nothing came through;
 * `upstream-untrusted` where a user would go to a proxy whose certificate does not stand.
 */
export async function runAudit(options: AuditOptions): Promise<AuditResult> {
  const { origin, ports = ANY_PORTS } = options
  const own = origin === undefined ? await ownProbe(ports) : undefined
  try {
    const probe = origin ?? (own as Probe).address
    return judge(await measure({ ...options, probe, ownDns: own?.dns }))
  } finally {
    own?.close()
  }
}

async function ownProbe(ports: NonNullable<AuditOptions['ports']>): Promise<Probe> {
  const names = { zone: undefined, port: 0, address: LOOPBACK }
  const where = { listen: LOOPBACK, host: 'localhost', names }
  try {
    return await startProbe({ ...where, ports })
  } catch {
    return startProbe({ ...where, ports: ANY_PORTS })
  }
}

/** Pure. */
export function judge(measured: Measured): AuditResult {
  const checks = checksOf(measured)
  const { scheme, host, port } = measured.proxy
  const runs = [cellsOf(measured, 'http'), cellsOf(measured, 'https'), datagramCells(measured)].filter(
    (run) => run !== undefined,
  )
  const failed = runs.flatMap(({ scheme: over, controls }) =>
    controls.negative === 'failed' || controls.positive === 'failed' ? [over] : [],
  )
  return {
    version: 1,
    proxy: `${scheme}://${formatAddress({ address: host, port })}`,
    answer: failed.length === 0 ? sentenceOf(measured, checks) : failedText(failed),
    stands: failed.length === 0,
    checks,
    runs,
    coverage: coverageOf(measured),
    notes: notesOf(measured),
  }
}

function failedText(over: readonly string[]): string {
  return `this measurement does not stand: a control failed (${over.join(', ')}), so what it says of the proxy below may be wrong`
}

function notesOf(measured: Measured): string[] {
  const { remote, isOneMachine, probe, site, http, https } = measured
  return [
    ...(isLoopbackAddress(remote)
      ? [
          `the link that was measured does not leave this machine; if the proxy hands on to another (a tunnel client, ssh -D, ss-local), that link was not measured${isHandedOn(measured) ? ': audit the far end by its own URL, or record what leaves this machine' : ''}`,
        ]
      : []),
    ...(probe.zone !== undefined && !site.endsWith(`.${probe.zone}`)
      ? [
          `no name of ${probe.zone} could be reached through the proxy, and ${site} was: is the zone delegated to the probe?`,
        ]
      : []),
    ...(isOneMachine
      ? ['the far end ran on this machine: what a network in between adds was not measured']
      : []),
    ...(['http', 'https'] as const).flatMap((scheme) => {
      const { exchange, problem } = scheme === 'http' ? http : https
      return exchange === undefined ? [`${scheme} did not come through: ${problem ?? ''}`] : []
    }),
    'what the operator writes down, and for how long, cannot be measured from the two ends',
  ]
}
