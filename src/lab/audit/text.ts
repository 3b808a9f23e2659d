// An audit as text, for a terminal: the answer, the questions, who could read what, what goes around. Pure.
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
    ...says.map((text) => `    ${text}`),
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
    [...controlLines(result), ...result.notes.map((note) => `note: ${note}`)].join('\n'),
  ].join('\n\n')
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
