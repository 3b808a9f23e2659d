// What changes from one mode to another, and for whom. Pure. Rule: every word is made of two measured cells; where one of
// them was not measured, that is what is said.
import { INFORMATION, OBSERVERS, type Information, type Observer } from '../../policy/exposure.ts'
import type { CellValue, LabRun } from '../model.ts'
import { byVisit, listed, modeName, OBSERVER_WORDS, valueOf, type Visit } from './words.ts'

export interface Change {
  readonly observer: Observer
  /** One clause or more, without a full stop: `hides from the access network: content`. */
  readonly says: string
  readonly isNone: boolean
}

export interface Comparison {
  readonly visit: Visit
  readonly before: LabRun
  readonly after: LabRun
  /** One for each observer that was measured in either. */
  readonly changes: readonly Change[]
}

/** Every mode against every other that comes before it, of the same kind of visit. */
export function comparisons(runs: readonly LabRun[]): Comparison[] {
  return byVisit(runs).flatMap(([visit, some]) =>
    some.flatMap((after, index) =>
      some.slice(0, index).map((before) => ({ visit, before, after, changes: changesOf(before, after) })),
    ),
  )
}

/** `tunnel, compared with http-proxy` */
export function comparisonTitle({ before, after }: Comparison): string {
  return `${modeName(after)}, compared with ${modeName(before)}`
}

export function changesOf(before: LabRun, after: LabRun): Change[] {
  return OBSERVERS.flatMap((observer) => {
    const was = measured(before, observer)
    const is = measured(after, observer)
    if (was.size === 0 && is.size === 0) return []
    const { title } = OBSERVER_WORDS[observer]
    if (was.size === 0)
      return [{ observer, isNone: false, says: `adds the ${title}, who reads ${readBy(is)}` }]
    if (is.size === 0) return [{ observer, isNone: false, says: `has no ${title}, who read ${readBy(was)}` }]
    const says = clauses(title, was, is)
    return [
      says.length === 0
        ? { observer, isNone: true, says: `for the ${title} nothing changes` }
        : { observer, isNone: false, says: says.join('; ') },
    ]
  })
}

type Values = ReadonlyMap<Information, CellValue>

function measured(run: LabRun, observer: Observer): Values {
  const values = INFORMATION.map((information) => [information, valueOf(run, observer, information)] as const)
  return new Map(values.filter(([, value]) => value !== 'not-measured'))
}

const isHidden = (value: CellValue): boolean => value === 'sealed' || value === 'absent'

function readBy(values: Values): string {
  const read = [...values].filter(([, value]) => value === 'clear').map(([information]) => information)
  return read.length === 0 ? 'nothing' : listed(read)
}

/** The changes that matter to a reader, the greatest first; what is hidden in another way comes last. */
function clauses(title: string, was: Values, is: Values): string[] {
  const kinds: Array<readonly [string, (from: CellValue, to: CellValue) => boolean]> = [
    [`hides from the ${title}`, (from, to) => !isHidden(from) && isHidden(to)],
    [`shows the ${title}`, (from, to) => isHidden(from) && !isHidden(to)],
    [`leaves the ${title} to infer`, (from, to) => from === 'clear' && to === 'inferable'],
    [`tells the ${title} outright`, (from, to) => from === 'inferable' && to === 'clear'],
    [`sends past the ${title}, sealed`, (from, to) => from === 'absent' && to === 'sealed'],
    [`no longer sends past the ${title}`, (from, to) => from === 'sealed' && to === 'absent'],
  ]
  return kinds.flatMap(([says, holds]) => {
    const list = INFORMATION.filter((information) => {
      const from = was.get(information)
      const to = is.get(information)
      return from !== undefined && to !== undefined && from !== to && holds(from, to)
    })
    return list.length === 0 ? [] : [`${says}: ${listed(list)}`]
  })
}
