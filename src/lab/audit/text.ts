// An audit as text, for a terminal: the answer, the questions, who could read what, what goes around. Pure.
// Rule: what a proxy wrote reaches the terminal without its control characters, and cut short.
import { TRAFFIC_WORDS } from '../report/words.ts'
import { legendText, matrixTables, type TextStyle } from '../report/terminal.ts'
import { painter } from '../report/paint.ts'
import type { CellValue } from '../model.ts'
import type { AuditResult } from './audit.ts'
import { QUESTIONS } from './checks.ts'

/** An audit has two ends and no vantage between: what it works out, it works out from them. */
const VALUE_WORDS: Readonly<Record<CellValue, string>> = {
  clear: 'readable there: found in the bytes of the link, or reported by the probe',
  sealed: 'there, encrypted: found in the bytes of the link after decrypting',
  inferable: 'not seen there; it follows from what was, for the reason below',
  absent: 'looked for there, and not found',
  'not-measured': 'not to be seen from the two ends, for the reason below',
}

const QUESTION_COLUMN = Math.max(...Object.values(QUESTIONS).map(({ length }) => length)) + 2

/** The whole result. Ends without a newline. */
export function formatAudit(result: AuditResult, style: TextStyle): string {
  const paint = painter(style.colour)
  const questions = result.checks.flatMap(({ question, answer, says }) => [
    `${QUESTIONS[question].padEnd(QUESTION_COLUMN)}${paint(answer, 'bold')}`,
    ...says.map((text) => `    ${harmless(text)}`),
  ])
  const around = result.coverage.map(
    ({ traffic, outside }) => `  ${TRAFFIC_WORDS[traffic]}: ${outside ? 'around it' : 'through it'}`,
  )
  const columns = result.runs.map(({ scheme, cells }) => ({ head: scheme, cells }))
  return [
    paint(result.answer, 'bold'),
    questions.join('\n'),
    ...matrixTables(columns, style),
    legendText(style, VALUE_WORDS),
    ['reasons:', ...reasonLines(result)].join('\n'),
    ['what goes around it:', ...around].join('\n'),
    [...controlLines(result), ...result.notes.map((note) => `note: ${harmless(note)}`)].join('\n'),
  ].join('\n\n')
}

const MAX_CHARACTERS = 300

function harmless(text: string): string {
  // oxlint-disable-next-line no-control-regex -- a terminal obeys them
  const shown = text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '.')
  return shown.length > MAX_CHARACTERS ? `${shown.slice(0, MAX_CHARACTERS)}...` : shown
}

/** Each reason once, with the cells that it stands for. */
function reasonLines({ runs }: AuditResult): string[] {
  const byReason = new Map<string, Set<string>>()
  for (const { observer, value, reason } of runs.flatMap(({ cells }) => cells)) {
    if (reason === undefined || value === 'clear') continue
    const key = `${value}: ${reason}`
    byReason.set(key, (byReason.get(key) ?? new Set()).add(observer))
  }
  return [...byReason].map(([reason, observers]) => `  ${[...observers].join(', ')}: ${reason}`)
}

function controlLines({ runs }: AuditResult): string[] {
  return runs.map(
    ({ scheme, controls }) =>
      `controls (${scheme}): what was sent was found again after decrypting: ${controls.positive}; what was never sent was not found: ${controls.negative}`,
  )
}
