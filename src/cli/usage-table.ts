// How `sightline usage` looks: who moved how much, and how much of a quota that is. Pure. Rule: a name is shown in the
// characters that a terminal prints, whatever stands in the certificate.
import type { Limits } from '../config/schema.ts'
import { keyOf, type Identity } from '../protocol/request.ts'
import type { UseOfDay } from '../state/usage-store.ts'

const DAY_MS = 86_400_000
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
/** Controls, and marks that turn or hide what stands beside them; a backslash, which shows them here. */
const UNSHOWN = /[\p{C}\p{Zl}\p{Zp}\\]/gu

export type Quotas = Pick<Limits, 'bytesPerDayPerIdentity' | 'quotas'>

export function dayOf(isoDay: string): number {
  return Date.parse(`${isoDay}T00:00:00Z`) / DAY_MS
}

export function isoOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10)
}

/** Bytes a day; 0 is none, undefined that it is not known. */
function quotaOf({ kind, name }: Identity, quotas: Quotas | undefined): number | undefined {
  const own = quotas?.quotas.find((quota) => quota.kind === kind && quota.identity === name)
  return own?.bytesPerDay ?? quotas?.bytesPerDayPerIdentity
}

/** One JSON array: an object for each identity and day, for programs. */
export function usageJson(uses: readonly UseOfDay[], quotas: Quotas | undefined): string {
  const rows = uses.map(({ identity, day, up, down, streams }) => {
    const quota = quotaOf(identity, quotas)
    return {
      day: isoOf(day),
      ...identity,
      streams,
      bytesUp: up,
      bytesDown: down,
      ...(quota !== undefined && { bytesPerDay: quota }),
    }
  })
  return JSON.stringify(rows, null, 2).replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (sign) =>
    sign === '\n' ? sign : [...Array(sign.length).keys()].map((at) => escaped(sign.charCodeAt(at))).join(''),
  )
}

/** A row for each identity, the largest first; with a share of the quota where one is known. */
export function usageTable(uses: readonly UseOfDay[], quotas: Quotas | undefined): string[] {
  const sums = sumsOf(uses)
  const head = ['kind', 'name', 'streams', 'up', 'down', 'together']
  const rows = sums.map((sum) => {
    const { identity, up, down, streams, fullestDay } = sum
    const cells = [
      identity.kind,
      shownName(identity.name),
      String(streams),
      size(up),
      size(down),
      size(up + down),
    ]
    const quota = quotaOf(identity, quotas)
    if (quota === undefined) return cells
    return [
      ...cells,
      ...(quota === 0 ? ['none', ''] : [size(quota), `${Math.floor((fullestDay * 100) / quota)} %`]),
    ]
  })
  const days = new Set(uses.map(({ day }) => day)).size
  const used = days > 1 ? 'most used on a day' : 'used'
  return aligned([quotas === undefined ? head : [...head, 'quota a day', used], ...rows])
}

interface Sum {
  readonly identity: Identity
  up: number
  down: number
  streams: number
  /** Bytes of the day on which it was most. */
  fullestDay: number
}

function sumsOf(uses: readonly UseOfDay[]): Sum[] {
  const sums = new Map<string, Sum>()
  for (const { identity, up, down, streams } of uses) {
    const key = keyOf(identity)
    const sum = sums.get(key) ?? { identity, up: 0, down: 0, streams: 0, fullestDay: 0 }
    sum.up += up
    sum.down += down
    sum.streams += streams
    sum.fullestDay = Math.max(sum.fullestDay, up + down)
    sums.set(key, sum)
  }
  return [...sums.values()].toSorted((one, other) => other.up + other.down - one.up - one.down)
}

function aligned(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  )
}

function shownName(name: string): string {
  return name.replaceAll(UNSHOWN, (sign) =>
    sign === '\\' ? '\\\\' : `\\u{${(sign.codePointAt(0) ?? 0).toString(16)}}`,
  )
}

function escaped(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`
}

/** Three digits or more, so that 1,010 MiB does not read as 0.99 GiB. */
function size(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1)
  const number = bytes / 1024 ** power
  return `${power === 0 || number >= 100 ? Math.floor(number) : number.toFixed(1)} ${UNITS[power]}`
}
