// How the truth table is written: eight cells an observer, in the order of INFORMATION, each a letter and its reason.
// C clear, S sealed, I inferable, - absent, . not measured.
import { INFORMATION, type Information } from '../../policy/exposure.ts'
import type { CellValue } from '../model.ts'

type Letter = 'C' | 'S' | 'I' | '-' | '.'
type Written = `${Letter} ${string}`

/** What a cell must be, and why. */
export interface Expectation {
  readonly value: CellValue
  readonly reason: string
}

export type Cells = Readonly<Record<Information, Expectation>>

const VALUES: Readonly<Record<Letter, CellValue>> = {
  C: 'clear',
  S: 'sealed',
  I: 'inferable',
  '-': 'absent',
  '.': 'not-measured',
}

/** Client address, client identity, destination name, destination address, URL and headers, content, shape, fingerprint. */
export function cells(
  ...written: readonly [Written, Written, Written, Written, Written, Written, Written, Written]
): Cells {
  const entries = INFORMATION.map((information, index) => {
    const text = written[index] ?? '. '
    return [information, { value: VALUES[text.charAt(0) as Letter], reason: text.slice(2) }] as const
  })
  return Object.fromEntries(entries) as unknown as Cells
}
