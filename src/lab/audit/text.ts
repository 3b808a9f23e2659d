// An audit as text, for a terminal: the answer, the questions, who could read what, what goes around. Pure.
// Rule: what a proxy wrote reaches the terminal without its control characters, and cut short.
import { TRAFFIC_WORDS } from '../report/words.ts'
import { legendText, matrixTables, type TextStyle } from '../report/terminal.ts'
import { painter } from '../report/paint.ts'
import type { AuditResult } from './audit.ts'
import { QUESTIONS } from './checks.ts'

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
    legendText(style),
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
