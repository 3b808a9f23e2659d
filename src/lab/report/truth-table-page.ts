// The truth table as a page of the documentation, each cell with its reason. Pure. Rule: docs/who-sees-what.md is this text,
// and a test compares the two.
import { INFORMATION, OBSERVERS } from '../../policy/exposure.ts'
import type { CellValue } from '../model.ts'
import { COVERAGE_TRAFFIC } from '../model.ts'
import type { TruthRow } from '../truth-table.ts'
import {
  INFORMATION_WORDS,
  modeName,
  OBSERVER_WORDS,
  TRAFFIC_WORDS,
  VALUE_WORDS,
  VISIT_WORDS,
  visitOf,
  type Visit,
} from './words.ts'

const LETTERS: Readonly<Record<CellValue, string>> = {
  clear: 'C',
  sealed: 'S',
  inferable: 'I',
  absent: '\u2013',
  'not-measured': '\u00b7',
}
const VISITS: readonly Visit[] = ['http', 'https', 'tls12', 'udp']

/** Markdown, with a final newline. */
export function truthTablePage(rows: readonly TruthRow[]): string {
  const values = (Object.keys(LETTERS) as CellValue[]).map(
    (value) => `| ${LETTERS[value]} | ${value} | ${VALUE_WORDS[value]} |`,
  )
  const information = INFORMATION.map((one) => `| ${one} | ${INFORMATION_WORDS[one]} |`)
  const observers = OBSERVERS.map((one) => `| ${OBSERVER_WORDS[one].title} | ${OBSERVER_WORDS[one].says} |`)
  return `# Who sees what, and why

What each observer can read in each mode, as the lab must find it: \`sightline lab run\` measures it, and fails where a cell
shows more, or less. This page is written from the table that it is held against (\`src/lab/truth-table.ts\`), and a test
compares the two.

| | value | |
| --- | --- | --- |
${values.join('\n')}

| information | |
| --- | --- |
${information.join('\n')}

| observer | |
| --- | --- |
${observers.join('\n')}

Proxies ask for a user and password, the tunnel for a client certificate. The application is like curl, but for one thing:
curl and browsers say their user agent in CONNECT too, where the access network reads it.

## At a glance

Letters in the order of the information above.

${VISITS.map((visit) => glance(visit, rows))
  .filter(Boolean)
  .join('\n\n')}

## What leaves the client outside the mode

${coverage(rows)}

## Each cell, and why

${rows.map(reasons).join('\n\n')}
`
}

function glance(visit: Visit, rows: readonly TruthRow[]): string {
  const some = rows.filter((row) => visitOf(row) === visit)
  if (some.length === 0) return ''
  const lines = some.map((row) => {
    const letters = OBSERVERS.map((observer) =>
      INFORMATION.map((information) => LETTERS[row.cells[observer][information].value]).join(' '),
    )
    return `| ${modeName(row)} | ${letters.join(' | ')} |`
  })
  return [
    `### ${VISIT_WORDS[visit]}`,
    '',
    `| | ${OBSERVERS.map((observer) => OBSERVER_WORDS[observer].title).join(' | ')} |`,
    `| --- |${' --- |'.repeat(OBSERVERS.length)}`,
    ...lines,
  ].join('\n')
}

function coverage(rows: readonly TruthRow[]): string {
  const lines = rows.map((row) => {
    const cells = COVERAGE_TRAFFIC.map((traffic) => {
      const { outside, reason } = row.coverage[traffic]
      return `${outside ? '**outside**' : 'inside'}: ${reason}`
    })
    return `| ${modeName(row)} | ${cells.join(' | ')} |`
  })
  return [
    `| | ${COVERAGE_TRAFFIC.map((traffic) => TRAFFIC_WORDS[traffic]).join(' | ')} |`,
    `| --- |${' --- |'.repeat(COVERAGE_TRAFFIC.length)}`,
    ...new Set(lines),
  ].join('\n')
}

function reasons(row: TruthRow): string {
  const tables = OBSERVERS.map((observer) => {
    const cells = INFORMATION.map((information) => {
      const { value, reason } = row.cells[observer][information]
      return `| ${information} | ${value} | ${reason} |`
    })
    return [
      `**${OBSERVER_WORDS[observer].title}**`,
      '',
      '| information | value | why |',
      '| --- | --- | --- |',
      ...cells,
    ].join('\n')
  })
  return [`### ${modeName(row)}, ${VISIT_WORDS[visitOf(row)]}`, ...tables].join('\n\n')
}
