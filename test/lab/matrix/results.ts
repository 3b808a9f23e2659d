// Results of a measurement by hand, for what prints them: a letter a cell, as in the truth table.
import type { CellValue, LabMode, LabResult, LabRun, Scheme, Variant } from '../../../src/lab/model.ts'
import { INFORMATION, OBSERVERS, type Observer } from '../../../src/policy/exposure.ts'

const LETTERS: Readonly<Record<string, CellValue>> = {
  C: 'clear',
  S: 'sealed',
  I: 'inferable',
  '-': 'absent',
  '.': 'not-measured',
}

/** Eight letters each, in the order of INFORMATION. */
export interface Row {
  readonly access: string
  readonly gateway: string
  readonly destination: string
}

export function runOf(
  mode: LabMode,
  variant: Variant,
  scheme: Scheme,
  { access, gateway, destination }: Row,
): LabRun {
  const rows: Record<Observer, string> = {
    'access-network': access,
    'gateway-operator': gateway,
    resolver: '........',
    'exit-network': '........',
    destination,
  }
  const cells = OBSERVERS.flatMap((observer) =>
    INFORMATION.map((information, index) => {
      const value = LETTERS[rows[observer].charAt(index)]
      if (value === undefined) throw new Error(`eight of C S I - . make a row, not ${rows[observer]}`)
      return { observer, information, value, evidence: [] }
    }),
  )
  return {
    mode,
    variant,
    scheme,
    cells,
    coverage: [],
    recorded: { searched: [], found: [] },
    procedures: [],
    controls: { negative: 'passed', positive: 'passed' },
    findings: [],
  }
}

export function resultOf(seed: string, ...runs: LabRun[]): LabResult {
  return { version: 1, seed, runs, standIns: [], agreesWithTruthTable: true }
}
