// One scrape out of those of several processes. Rules: counters and histograms are summed, and never fall, not when a worker
// ends; a gauge is summed where it counts something, and is the worst of all where it says how something stands; what all
// have in common comes from the primary alone.
import { AggregatorRegistry, type Registry } from 'prom-client'
import { inSteps } from '../telemetry/open-counts.ts'

/** Samples as prom-client's registry gives them. */
export type MetricSamples = Awaited<ReturnType<Registry['getMetricsAsJSON']>>[number]

/** The same for all, or counted by the primary for all. */
const OF_PRIMARY = new Set([
  'sightline_usage_store_up',
  'sightline_usage_store_last_write_timestamp_seconds',
  'sightline_usage_store_errors_total',
  'sightline_usage_lost_bytes_total',
  'sightline_state',
  'sightline_reloads_total',
  'sightline_config_last_reload_successful',
  'sightline_config_last_reload_success_timestamp_seconds',
  'sightline_identities_seen_total',
  'sightline_build_info',
  'sightline_workers',
  'sightline_worker_restarts_total',
  'process_start_time_seconds',
  'nodejs_version_info',
])
/** Of each process, the primary too. */
const OF_EACH = /^(?:process_|nodejs_|sightline_log_lines_lost_total$)/
const LEAST = new Set([
  'sightline_certificate_expiry_timestamp_seconds',
  'sightline_tunnel_up',
  'sightline_shared_state_up',
  'sightline_shared_state_last_sync_timestamp_seconds',
  'nodejs_eventloop_lag_min_seconds',
  'process_max_fds',
])
// Each process has its own descriptors: their sum would hide one that has none left.
const MOST = /^(?:nodejs_eventloop_lag_|process_open_fds$)/
const IN_STEPS = new Set(['sightline_connections', 'sightline_streams', 'sightline_tunnel_sessions'])

function ruleOf(name: string): string {
  if (LEAST.has(name)) return 'min'
  if (MOST.test(name)) return 'max'
  return OF_PRIMARY.has(name) ? 'first' : 'sum'
}

function merge(samples: readonly MetricSamples[]): ReturnType<typeof AggregatorRegistry.aggregate> {
  const metrics = samples.map((metric) => ({ ...metric, aggregator: ruleOf(metric.name) }))
  return AggregatorRegistry.aggregate([metrics])
}

/** What stays of a worker that ended, and of those before it: all that only rises. */
export async function keepTotals(
  before: readonly MetricSamples[],
  last: readonly MetricSamples[],
): Promise<MetricSamples[]> {
  const rising = last.filter(({ name, type }) => String(type) !== 'gauge' && !OF_PRIMARY.has(name))
  return merge([...before, ...rising]).getMetricsAsJSON()
}

/** The text of one scrape. `countStep`: what is open is shown in multiples of this. */
export async function mergedMetrics(
  primary: readonly MetricSamples[],
  workers: ReadonlyArray<readonly MetricSamples[]>,
  countStep: number,
): Promise<string> {
  const own = primary.filter(({ name }) => OF_PRIMARY.has(name) || OF_EACH.test(name))
  const others = workers.flat().filter(({ name }) => !OF_PRIMARY.has(name))
  const shown = await merge([...own, ...others]).getMetricsAsJSON()
  for (const { name, values } of shown)
    if (IN_STEPS.has(name)) for (const sample of values) sample.value = inSteps(sample.value, countStep)
  return merge(shown).metrics()
}
