// What the terminal says below the tables: what goes around a mode, what changes from the plain proxy, the eight facts, who
// knows what together, what the gateway wrote, and the verdict. Pure. Rule: what was not measured is left out, or said.
import type { Observer } from '../../policy/exposure.ts'
import type { LabResult, LabRun } from '../model.ts'
import type { Recording } from '../recording.ts'
import { comparisons, comparisonTitle, type Change } from './changes.ts'
import { joinObservers, matchByTime } from './collusion.ts'
import { factsOf, procedureLines } from './facts.ts'
import type { Paint } from './paint.ts'
import { byVisit, listed, modeName, OBSERVER_WORDS, TRAFFIC_WORDS, VISIT_WORDS, visitOf } from './words.ts'

const MAX_PROOFS = 3
const MAX_COLUMNS = 100
const VERDICTS = {
  shown: 'shown',
  contradicted: 'CONTRADICTED',
  'not-shown': 'not shown by this run',
} as const

export function coverageText(runs: readonly LabRun[]): string {
  const measured = runs.filter(({ coverage, mode }) => coverage.length > 0 && mode !== 'direct')
  if (measured.length === 0) return ''
  const lines = measured.map((run) => {
    const outside = run.coverage.filter((one) => one.outside).map(({ traffic }) => TRAFFIC_WORDS[traffic])
    return `  ${modeName(run)}: ${outside.length === 0 ? 'nothing' : listed(outside)}`
  })
  return ['what left the client outside the mode:', ...new Set(lines)].join('\n')
}

export function shapeText(runs: readonly LabRun[]): string {
  const told = procedureLines(runs)
  return told.length === 0
    ? ''
    : ['what sizes alone told, without a key:', ...told.map((line) => `  ${line}`)].join('\n')
}

/** Each mode against the plain proxy, or against the first where that was not measured. All pairs stand in the page. */
export function changesText(runs: readonly LabRun[]): string {
  const all = comparisons(runs)
  const parts = byVisit(runs).flatMap(([visit, some]) => {
    // With TLS 1.2 the same changes; where its cells differ, the tables show it.
    if (visit === 'tls12') return []
    const base = some.find(({ mode }) => mode === 'http-proxy') ?? some[0]
    const chosen = all.filter((one) => one.visit === visit && one.before === base)
    if (chosen.length === 0) return []
    const lines = chosen.flatMap((one) => [`  ${comparisonTitle(one)}:`, ...changeLines(one.changes)])
    return [[`what changes, for ${VISIT_WORDS[visit]}:`, ...lines].join('\n')]
  })
  return parts.join('\n\n')
}

function changeLines(changes: readonly Change[]): string[] {
  if (changes.every(({ isNone }) => isNone)) return ['    nothing, for anybody']
  const same = changes
    .filter(({ isNone }) => isNone)
    .map(({ observer }) => `the ${OBSERVER_WORDS[observer].title}`)
  return [
    ...changes.filter(({ isNone }) => !isNone).flatMap(({ says }) => wrapped(`    ${says}`)),
    ...(same.length === 0 ? [] : wrapped(`    for ${listed(same)} nothing changes`)),
  ]
}

export function factsText(runs: readonly LabRun[]): string {
  const facts = factsOf(runs).flatMap(({ number, says, verdict, proofs }) => [
    ...wrapped(`  ${number}. ${VERDICTS[verdict]}: ${says}`),
    ...proofs.slice(0, MAX_PROOFS).flatMap((proof) => wrapped(`     - ${proof.says}`)),
    ...(proofs.length > MAX_PROOFS
      ? [`     - and ${proofs.length - MAX_PROOFS} more, all in the report (--html)`]
      : []),
  ])
  return ['eight facts, and the cells that show them:', ...facts].join('\n')
}

/** What these learn together; empty where nobody was asked for. */
export function togetherText(
  runs: readonly LabRun[],
  recordings: readonly Recording[],
  observers: readonly Observer[],
): string {
  const [one, two] = observers
  if (one === undefined || two === undefined) return ''
  const names = listed(observers.map((observer) => `the ${OBSERVER_WORDS[observer].title}`))
  const byFinding = new Map<string, string[]>()
  for (const run of runs) {
    const { reveals, shared } = joinObservers(run, observers)
    const tie = shared.length === 0 ? 'they share no words' : `both read ${listed(shared)}`
    const finding = `${reveals === '' ? 'nothing that one of them did not know' : reveals}; ${tie}`
    byFinding.set(finding, [...(byFinding.get(finding) ?? []), `${modeName(run)} (${visitOf(run)})`])
  }
  const lines = [...byFinding].flatMap(([finding, titles]) => wrapped(`  ${titles.join(', ')}: ${finding}`))
  const match = matchByTime(recordings, one, two)
  const times =
    match === undefined
      ? []
      : [
          `  by the times of their first bytes alone ${match.matched} of ${match.visits} visits through a gateway were matched; by chance it would be one`,
        ]
  return [`if ${names} put together what they saw, they link:`, ...lines, ...times].join('\n')
}

export function recordedText(runs: readonly LabRun[]): string {
  const bytes = runs.flatMap(({ recorded }) => recorded.searched).reduce((sum, one) => sum + one.bytes, 0)
  if (bytes === 0) return ''
  const found = runs.flatMap((run) =>
    run.recorded.found.map(
      ({ source, field, encoding }) => `  ${titleOf(run)}: ${source} holds ${field} (${encoding})`,
    ),
  )
  return [
    `what the gateway wrote down: ${found.length} of the planted words, in ${bytes} bytes of log, metrics and answers`,
    ...found,
  ].join('\n')
}

export function verdictText({ runs, seed, standIns, agreesWithTruthTable }: LabResult, paint: Paint): string {
  const passed = (control: 'negative' | 'positive'): number =>
    runs.filter(({ controls }) => controls[control] === 'passed').length
  return [
    ...standIns.map((text) => `stand-in: ${text}`),
    `controls: what was sent was found again after decrypting in ${passed('positive')} of ${runs.length} runs; what was never sent was found in ${runs.length - passed('negative')}`,
    agreesWithTruthTable
      ? `truth table: every cell agrees (seed ${seed})`
      : paint(`truth table: the measurement DISAGREES (seed ${seed})`, 'clear'),
    ...runs.flatMap((run) => run.findings.map((finding) => `  ${titleOf(run)}: ${finding}`)),
  ].join('\n')
}

/** Lines of at most 100 columns, where words allow; what goes on stands four deeper. */
function wrapped(text: string): string[] {
  const indent = text.length - text.trimStart().length
  const lines: string[] = []
  let line = ' '.repeat(indent)
  for (const word of text.trim().split(' ')) {
    const isStart = line.trim() === ''
    if (!isStart && line.length + 1 + word.length > MAX_COLUMNS) {
      lines.push(line)
      line = `${' '.repeat(indent + 4)}${word}`
    } else line += isStart ? word : ` ${word}`
  }
  return [...lines, line]
}

/** `tunnel, http`; `direct, tls12` */
function titleOf(run: LabRun): string {
  return `${modeName(run)}, ${visitOf(run)}`
}
