// What the cells of two runs say side by side, and what observers know who put theirs together. Pure. Rule: every word
// comes from a measured cell; `not-measured` on either side is no difference.
import { INFORMATION, OBSERVERS, type Information, type Observer } from '../../../policy/exposure.ts'
import type { Cell, CellValue, LabRun } from '../../model.ts'

/** From what tells an observer most to what tells it least. */
const RANK: readonly CellValue[] = ['clear', 'inferable', 'sealed', 'absent', 'not-measured']

export function cellOf(
  run: LabRun | undefined,
  observer: Observer,
  information: Information,
): Cell | undefined {
  return run?.cells.find((cell) => cell.observer === observer && cell.information === information)
}

/** Observers that were measured in at least one of the runs, in the order of the way. */
export function observersOf(...runs: ReadonlyArray<LabRun | undefined>): Observer[] {
  return OBSERVERS.filter((observer) =>
    runs.some((run) =>
      run?.cells.some((cell) => cell.observer === observer && cell.value !== 'not-measured'),
    ),
  )
}

export function differs(left: Cell | undefined, right: Cell | undefined): boolean {
  if (left === undefined || right === undefined) return false
  if (left.value === 'not-measured' || right.value === 'not-measured') return false
  return left.value !== right.value
}

/** Information that changes for an observer from the first run to the second; undefined where one was not measured. */
export function changesOf(observer: Observer, left: LabRun, right: LabRun): Information[] | undefined {
  const measured = [left, right].every((run) => observersOf(run).includes(observer))
  if (!measured) return undefined
  return INFORMATION.filter((information) =>
    differs(cellOf(left, observer, information), cellOf(right, observer, information)),
  )
}

/** The cell that tells most among those of several observers who put theirs together. */
export function together(
  run: LabRun,
  members: readonly Observer[],
  information: Information,
): Cell | undefined {
  return members
    .flatMap((observer) => cellOf(run, observer, information) ?? [])
    .toSorted((a, b) => RANK.indexOf(a.value) - RANK.indexOf(b.value))[0]
}

/** Who the client is and what it did, in clear: does one observer alone know both, and do all of them together? */
export function whoDidWhat(
  run: LabRun,
  members: readonly Observer[],
): { readonly alone: readonly Observer[]; readonly together: boolean } {
  const knows = (cells: ReadonlyArray<Cell | undefined>): boolean =>
    cells.some((cell) => cell?.value === 'clear')
  const both = (cell: (information: Information) => Cell | undefined): boolean =>
    knows([cell('client-address'), cell('client-identity')]) &&
    knows([cell('destination-name'), cell('content')])
  return {
    alone: members.filter((observer) => both((information) => cellOf(run, observer, information))),
    together: both((information) => together(run, members, information)),
  }
}
