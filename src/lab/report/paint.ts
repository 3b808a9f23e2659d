// Colours of a terminal, for values of cells. Pure. Rule: without colour a text is as it was.
import type { CellValue } from '../model.ts'

export type Paint = (text: string, value: CellValue | 'bold') => string

const CODES: Readonly<Record<CellValue | 'bold', string>> = {
  clear: '\u001b[31m',
  sealed: '\u001b[32m',
  inferable: '\u001b[33m',
  absent: '\u001b[2m',
  'not-measured': '\u001b[2m',
  bold: '\u001b[1m',
}
const END = '\u001b[0m'

export function painter(colour: boolean): Paint {
  return (text, value) => (colour ? `${CODES[value]}${text}${END}` : text)
}
