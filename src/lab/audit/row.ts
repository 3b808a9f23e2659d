// What the rows of an audit are made of. Pure.
import { INFORMATION, type Information, type Observer } from '../../policy/exposure.ts'
import { isLoopbackAddress } from '../../policy/egress-upstream.ts'
import type { Cell, CellValue, Evidence } from '../model.ts'
import type { Measured } from './measure.ts'

export interface AuditRun {
  readonly scheme: 'http' | 'https' | 'udp'
  readonly cells: readonly Cell[]
  readonly controls: { readonly negative: 'passed' | 'failed'; readonly positive: 'passed' | 'failed' }
}

export type Judged = Pick<Cell, 'value'> & Partial<Pick<Cell, 'reason' | 'evidence'>>
export type Row = Readonly<Record<Information, Judged>>

/** The cell of a place that several words can stand in. */
export function strongest(cells: readonly Judged[]): Judged {
  const order: readonly CellValue[] = ['clear', 'sealed', 'absent']
  for (const value of order) {
    const found = cells.filter((cell) => cell.value === value)
    if (found.length > 0) return { value, evidence: found.flatMap(({ evidence = [] }) => evidence) }
  }
  return { value: 'absent' }
}

export function everywhere(cell: Judged): Row {
  return Object.fromEntries(INFORMATION.map((information) => [information, cell])) as Row
}

export function cellsOfRows(rows: Readonly<Record<Observer, Row>>): Cell[] {
  return (Object.keys(rows) as Observer[]).flatMap((observer) =>
    INFORMATION.map((information) => ({
      observer,
      information,
      evidence: [],
      ...rows[observer][information],
    })),
  )
}

/** The proxy's URL leads to a program on this machine, and the site is on another: what the program sends on was not seen. */
export function isHandedOn({ remote, isOneMachine }: Pick<Measured, 'remote' | 'isOneMachine'>): boolean {
  return !isOneMachine && isLoopbackAddress(remote)
}

export const HANDED_ON: Judged = {
  value: 'not-measured',
  reason: 'the link that was measured ends on this machine; what leaves the machine is another',
}

/** What a kernel or the probe reports; not bytes of the link. */
export function endpoint(value: string, field: string): Evidence {
  return {
    kind: 'endpoint',
    capture: 'probe',
    frame: null,
    offset: null,
    length: value.length,
    encoding: 'plain',
    field,
    excerpt: value,
    layer: '',
  }
}

export function isAddress(host: string): boolean {
  return host.includes(':') || /^[0-9.]+$/.test(host)
}
