// A measurement as text, for a terminal: one table for each observer, modes side by side, then what else was found. Pure.
// Rules: every word in it is a measured cell; it fits 80 columns where the modes allow; plain text is ASCII alone.
import { INFORMATION, OBSERVERS, type Observer } from '../../policy/exposure.ts'
import type { Cell, CellValue, LabResult, LabRun } from '../model.ts'
import { painter, type Paint } from './paint.ts'
import { byVisit, modeName, OBSERVER_WORDS, VALUE_WORDS, valueOf, visitOf, VISIT_WORDS } from './words.ts'
import {
  changesText,
  coverageText,
  factsText,
  recordedText,
  shapeText,
  verdictText,
} from './terminal-parts.ts'

export interface TextStyle {
  readonly colour: boolean
  /** False: ASCII alone. */
  readonly unicode: boolean
}

const COLUMNS = 80
const INDENT = '  '
const FIRST_COLUMN = Math.max(...INFORMATION.map(({ length }) => length)) + 1

/** Whether a locale can show more than ASCII (POSIX: LC_ALL before LC_CTYPE before LANG). */
export function isUnicodeLocale(env: Readonly<Record<string, string | undefined>>): boolean {
  const set = [env['LC_ALL'], env['LC_CTYPE'], env['LANG']].find(
    (value) => value !== undefined && value !== '',
  )
  return /utf-?8/i.test(set ?? '')
}

/** The whole result. Ends without a newline. */
export function formatMatrix(result: LabResult, style: TextStyle): string {
  const paint = painter(style.colour)
  const tables = byVisit(result.runs).flatMap(([visit, runs]) => [
    ...(visit === 'tls12' && runs.every((run) => isAsWithTls13(run, result.runs))
      ? [`${paint(shouted(VISIT_WORDS[visit]), 'bold')}: every cell as with TLS 1.3`]
      : [paint(shouted(VISIT_WORDS[visit]), 'bold'), ...tablesOf(runs, style)]),
  ])
  const parts = [
    ...tables,
    legendText(style),
    coverageText(result.runs),
    shapeText(result.runs),
    changesText(result.runs),
    factsText(result.runs),
    recordedText(result.runs),
    verdictText(result, paint),
  ]
  return parts.filter((part) => part !== '').join('\n\n')
}

/** One column of a matrix. */
export interface Column {
  readonly head: string
  readonly cells: readonly Cell[]
}

/** A table for each observer, with these columns side by side. */
export function matrixTables(columns: readonly Column[], style: TextStyle): string[] {
  const paint = painter(style.colour)
  return OBSERVERS.map((observer) => observerTable(columns, observer, style, paint))
}

/** What each word of a table means: of a measurement of the lab, or of another that says so itself. */
export function legendText(style: TextStyle, words = VALUE_WORDS): string {
  const paint = painter(style.colour)
  const lines = (Object.keys(words) as CellValue[]).map((value) => {
    const word = wordOf(value, style)
    const name = word === value ? '' : `${value}: `
    return `${paint(word.padEnd(11), value)}${name}${words[value]}`
  })
  return lines.join('\n')
}

function tablesOf(runs: readonly LabRun[], style: TextStyle): string[] {
  return matrixTables(
    runs.map((run) => ({ head: modeName(run), cells: run.cells })),
    style,
  )
}

function isAsWithTls13(run: LabRun, runs: readonly LabRun[]): boolean {
  const other = runs.find(
    (one) =>
      one.mode === run.mode &&
      one.scheme === run.scheme &&
      visitOf(one) === 'https' &&
      one.variant !== 'socks5',
  )
  return (
    other !== undefined &&
    run.cells.every(({ observer, information, value }) => valueOf(other, observer, information) === value)
  )
}

/** `A SITE WITHOUT TLS (http)` */
function shouted(title: string): string {
  return title.replace(/^[^(]*/, (words) => words.toUpperCase())
}

function wordOf(value: CellValue, { unicode }: TextStyle): string {
  if (value === 'absent') return unicode ? '\u2013' : '-'
  if (value === 'not-measured') return unicode ? '\u00b7' : '.'
  return value
}

function observerTable(
  columns: readonly Column[],
  observer: Observer,
  style: TextStyle,
  paint: Paint,
): string {
  const { title, says } = OBSERVER_WORDS[observer]
  const widths = columnWidths(columns, style)
  const line = (first: string, words: readonly string[]): string =>
    `${INDENT}${first.padEnd(FIRST_COLUMN)}${words.join('')}`.trimEnd()
  const heads = columns.map(({ head }, index) => head.padEnd(widths[index] ?? 0))
  const rows = INFORMATION.map((information) => {
    const words = columns.map((column, index) => {
      const value = valueOf(column, observer, information)
      return paint(wordOf(value, style).padEnd(widths[index] ?? 0), value)
    })
    return line(information, words)
  })
  return [`${paint(title, 'bold')}: ${says}`, line('', heads), ...rows].join('\n')
}

/** One width a mode in all its tables; two blanks between columns where there is room, else one. */
function columnWidths(columns: readonly Column[], style: TextStyle): number[] {
  const least = columns.map(({ head, cells }) =>
    Math.max(head.length, ...cells.map(({ value }) => wordOf(value, style).length)),
  )
  const total = INDENT.length + FIRST_COLUMN + least.reduce((sum, width) => sum + width + 2, 0)
  return least.map((width) => width + (total <= COLUMNS ? 2 : 1))
}
