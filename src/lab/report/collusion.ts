// What observers learn who put together what each has seen. Pure. Rules: the union is of measured cells; that two of them
// saw the same visit is not asserted but found: by what both could read, and by matching times alone, against chance.
import { INFORMATION, type Information, type Observer } from '../../policy/exposure.ts'
import type { Recording } from '../recording.ts'
import { vantagesOf } from '../vantages.ts'
import type { CellValue, LabRun } from '../model.ts'
import { listed, OBSERVER_WORDS, valueOf } from './words.ts'

export interface JoinedCell {
  readonly information: Information
  readonly value: CellValue
  /** Who of them has it so. */
  readonly by: readonly Observer[]
}

export interface Joined {
  readonly run: LabRun
  readonly cells: readonly JoinedCell[]
  /** What more than one of them read: the same words in both records make them one. */
  readonly shared: readonly Information[]
  /** What together they know of who asked for what and none of them knew alone; empty where one knew it, or none does. */
  readonly reveals: string
}

/** Of `visits` seen at both, how many were matched by the times of their first bytes alone. */
export interface TimeMatch {
  readonly visits: number
  readonly matched: number
}

const MOST_FIRST: readonly CellValue[] = ['clear', 'inferable', 'sealed', 'absent', 'not-measured']
const KNOWN: ReadonlySet<CellValue> = new Set(['clear', 'inferable'])
const WHO: readonly Information[] = ['client-identity', 'client-address']
const WHAT: readonly Information[] = ['content', 'url-and-headers', 'destination-name', 'destination-address']
/** One visit's alone; addresses and shapes are shared by many. */
const TELLING: readonly Information[] = [
  'destination-name',
  'url-and-headers',
  'content',
  'client-fingerprint',
]

export function joinObservers(run: LabRun, observers: readonly Observer[]): Joined {
  const cells = INFORMATION.map((information) => {
    const value =
      MOST_FIRST.find((one) => observers.some((by) => valueOf(run, by, information) === one)) ??
      'not-measured'
    return { information, value, by: observers.filter((by) => valueOf(run, by, information) === value) }
  })
  const reads = (by: Observer, information: Information): boolean => valueOf(run, by, information) === 'clear'
  const shared = TELLING.filter((one) => observers.filter((by) => reads(by, one)).length > 1)
  return { run, cells, shared, reveals: revealed(run, cells) }
}

/** Who and what are both clear in the union, and nobody who reads the one reads or infers the other. */
function revealed(run: LabRun, cells: readonly JoinedCell[]): string {
  const clear = (list: readonly Information[]): JoinedCell[] =>
    cells.filter(({ information, value }) => list.includes(information) && value === 'clear')
  const pairs = clear(WHO).flatMap((who) =>
    clear(WHAT)
      .filter(({ information }) => !who.by.some((by) => KNOWN.has(valueOf(run, by, information))))
      .map((what) => [who, what] as const),
  )
  if (pairs.length === 0) return ''
  const of = (list: readonly JoinedCell[]): string =>
    listed([...new Set(list.map(({ information }) => information))])
  const names = (list: readonly JoinedCell[]): string =>
    listed([...new Set(list.flatMap(({ by }) => by))].map((by) => `the ${OBSERVER_WORDS[by].title}`))
  const whos = pairs.map(([who]) => who)
  const whats = pairs.map(([, what]) => what)
  return `${of(whos)} (from ${names(whos)}) with ${of(whats)} (from ${names(whats)})`
}

/**
 * Each visit at one vantage is matched with the visit at the other whose first bytes passed nearest in time; a match is
 * right where both are of the same recording. By chance one would be right. Visits without a gateway are left out: there
 * both see the very same packets. Undefined with fewer than two visits.
 */
export function matchByTime(
  recordings: readonly Recording[],
  one: Observer,
  two: Observer,
): TimeMatch | undefined {
  const through = recordings.filter(({ scenario }) => scenario.mode !== 'direct')
  const seen = through.map((recording) => [firstAt(recording, one), firstAt(recording, two)] as const)
  const both = seen.flatMap(([at, other]) => (at === undefined || other === undefined ? [] : [{ at, other }]))
  if (both.length < 2) return undefined
  const matched = both.filter(({ at, other }) =>
    both.every((rival) => rival.other === other || Math.abs(rival.other - at) > Math.abs(other - at)),
  )
  return { visits: both.length, matched: matched.length }
}

/** When the first bytes of a run passed a vantage. */
function firstAt(recording: Recording, observer: Observer): number | undefined {
  const times = vantagesOf(recording)
    .filter((vantage) => vantage.observer === observer)
    .flatMap(({ captures }) => captures)
    .flatMap(({ connections }) => connections.flatMap(({ frames }) => frames.map(({ atMs }) => atMs)))
  return times.length === 0 ? undefined : Math.min(...times)
}
