// What the gateway's own page shows, from the same registry that /metrics is written from. Rule: numbers under closed
// labels alone; of a certificate its role in this process and its last day, never a name in it.
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Registry } from 'prom-client'
import type { GatewayFacts, Sample } from './wire.ts'

export interface GatewaySource {
  readonly version: string
  readonly registry: Registry
  readonly ready: () => boolean
  /** Files of the certificates in use, by what they are for. */
  readonly certificates: Readonly<Record<string, string>>
}

const DAY_MS = 86_400_000
/** Labels of which a page may know; whatever else a metric has one day does not come through by itself. */
const LABELS = new Set([
  'mode',
  'code',
  'outcome',
  'direction',
  'readable',
  'observer',
  'information',
  'state',
])

export async function gatewayFacts(source: GatewaySource, nowMs: number): Promise<GatewayFacts> {
  const metrics = new Map(
    (await source.registry.getMetricsAsJSON()).map(({ name, values }) => [name, values]),
  )
  const samples = (name: string): Sample[] =>
    (metrics.get(`sightline_${name}`) ?? []).flatMap(({ labels, value }) =>
      Object.keys(labels).every((label) => LABELS.has(label))
        ? [{ labels: labels as Record<string, string>, value }]
        : [],
    )
  const number = (name: string): number => metrics.get(name)?.[0]?.value ?? 0
  return {
    ready: source.ready(),
    version: source.version,
    uptimeSeconds: Math.max(0, Math.round(nowMs / 1000 - number('process_start_time_seconds'))),
    memoryBytes: number('process_resident_memory_bytes'),
    connections: samples('connections'),
    sessions: number('sightline_tunnel_sessions'),
    tunnelUp: number('sightline_tunnel_up') === 1,
    streams: samples('streams'),
    streamsEnded: samples('streams_total'),
    refusals: samples('refusals_total'),
    bytes: samples('relayed_bytes_total'),
    exposed: samples('exposed_streams_total'),
    certificates: Object.entries(source.certificates).map(([role, file]) => ({
      role,
      daysLeft: daysLeft(file, nowMs),
    })),
  }
}

/** Whole days until the certificate ends; negative once it has, null where it cannot be read. */
function daysLeft(file: string, nowMs: number): number | null {
  try {
    return Math.floor((Date.parse(new X509Certificate(readFileSync(file)).validTo) - nowMs) / DAY_MS)
  } catch {
    return null
  }
}
