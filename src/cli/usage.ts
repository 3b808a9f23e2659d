// sightline usage: who moved how much, from the store that a gateway writes; the gateway may run meanwhile, or not.
import { parseArgs } from 'node:util'
import { loadConfig } from '../config/load.ts'
import { GatewayError } from '../errors.ts'
import { readSharedUsage } from '../state/shared-usage-reader.ts'
import { readUsage, type UsageQuestion } from '../state/usage-reader.ts'
import type { UseOfDay } from '../state/usage-store.ts'
import { fail, usage } from './failure.ts'
import type { CliIo } from './io.ts'
import { dayOf, isoOf, usageJson, usageTable, type Quotas } from './usage-table.ts'

const HELP = `usage: sightline usage [--config FILE | --store FILE] [--day D | --since D --until D]
                       [--identity NAME] [--shared] [--json]

  who moved how many bytes, by user and certificate, as a gateway with usage: { store: … } counts it

  --config FILE     the configuration of the gateway: its store, and its quotas; default $SIGHTLINE_CONFIG
  --store FILE      the store alone
  --day D           of this day (2026-01-31, today or yesterday, by UTC); default today
  --since, --until  of these days, both included; default until today
  --identity NAME   of this user or certificate only
  --shared          of all gateways that share state with that of --config, together
  --json            an array of one object for each identity and day

  a running gateway writes every five seconds; what it carries is counted, not what TLS and the tunnel add

examples:
  sightline usage --config gateway.yaml
  sightline usage --since 2026-01-01 --until 2026-01-31 --json | jq 'map(.bytesDown) | add'`

const OPTIONS = {
  config: { type: 'string' },
  store: { type: 'string' },
  day: { type: 'string' },
  since: { type: 'string' },
  until: { type: 'string' },
  identity: { type: 'string' },
  shared: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h' },
} as const

export async function usageCommand(args: string[], io: CliIo): Promise<number> {
  let values
  try {
    values = parseArgs({ args, options: OPTIONS }).values
  } catch (thrown) {
    return usage(io, (thrown as Error).message, 'usage')
  }
  if (values.help === true) {
    io.out(HELP)
    return 0
  }
  const { store, day, identity, shared, json } = values
  if (shared && store !== undefined) return usage(io, '--shared goes with --config', 'usage')
  const config = store === undefined ? (values.config ?? io.env['SIGHTLINE_CONFIG']) : values.config
  if (store === undefined ? config === undefined : config !== undefined)
    return usage(io, 'say which store: --config FILE or --store FILE', 'usage')
  if (day !== undefined && (values.since ?? values.until) !== undefined)
    return usage(io, '--day is one day, --since and --until are several: give one of them', 'usage')
  if (values.since === undefined && values.until !== undefined)
    return usage(io, '--until goes with --since', 'usage')
  const since = readDay(values.since ?? day ?? 'today')
  const until = readDay(values.until ?? (values.since === undefined ? (day ?? 'today') : 'today'))
  if (since === undefined || until === undefined || since > until)
    return usage(io, 'days are written 2026-01-31, today or yesterday, the earlier one first', 'usage')
  try {
    const question = { since, until, name: identity }
    const { uses, quotas } =
      store !== undefined
        ? { uses: readUsage(store, question), quotas: undefined }
        : await fromConfig(config ?? '', shared, question, io)
    if (json) {
      io.out(usageJson(uses, quotas))
      return 0
    }
    const days = since === until ? `on ${isoOf(since)}` : `from ${isoOf(since)} to ${isoOf(until)}`
    io.out(uses.length === 0 ? `nothing was moved ${days} (UTC)` : `moved ${days} (UTC)`)
    if (uses.length > 0) for (const line of usageTable(uses, quotas)) io.out(line)
    return 0
  } catch (thrown) {
    return fail(io, thrown)
  }
}

interface Found {
  readonly uses: readonly UseOfDay[]
  readonly quotas: Quotas
}

async function fromConfig(file: string, shared: boolean, question: UsageQuestion, io: CliIo): Promise<Found> {
  const { usage: kept, state, limits: quotas } = loadConfig(file, io.env)
  if (!shared) {
    if (kept !== undefined) return { uses: readUsage(kept.store, question), quotas }
    throw new GatewayError('config-invalid', {
      detail: `${file} keeps no usage`,
      hint: 'add usage: { store: usage.db } to it; it counts from then on',
    })
  }
  if (state === undefined)
    throw new GatewayError('config-invalid', {
      detail: `${file} shares nothing with other gateways`,
      hint: 'leave --shared out, or add state to it',
    })
  const { uses, unreadable } = await readSharedUsage(state, question)
  if (unreadable > 0)
    io.err(
      `warning: ${unreadable} rows were sealed with another secret, and are not counted; hint: state.secretFile must be the same on all gateways`,
    )
  return { uses, quotas }
}

/** A day since 1970 (UTC); undefined where it is none. */
function readDay(text: string): number | undefined {
  const today = Math.floor(Date.now() / 86_400_000)
  if (text === 'today') return today
  if (text === 'yesterday') return today - 1
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return undefined
  const day = dayOf(text)
  return Number.isNaN(day) || isoOf(day) !== text ? undefined : day
}
