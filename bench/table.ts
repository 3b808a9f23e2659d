// A run as Markdown: node bench/table.ts [NAME] prints bench/results/NAME.json (compare where nothing is said).
import { load, type Figures, type GoalResult, type Measure, type Results } from './results.ts'

const VERDICTS = {
  goal: 'goal reached',
  least: 'at the least',
  missed: '**missed**',
  'not-measured': 'not measured',
}

export function markdown(results: Results): string {
  return [facts(results), comparison(results), missing(results), goals(results)]
    .filter((part) => part !== '')
    .join('\n\n')
}

function facts({ machine, settings, startedAt, tookSeconds, hashedBytes }: Results): string {
  const said = Object.entries(settings).map(([name, value]) => `${name} ${value}`)
  return `${startedAt.slice(0, 16).replace('T', ' ')} UTC, ${Math.round(tookSeconds / 60)} minutes; Sightline ${machine.sightline}, Node ${machine.node}, ${machine.kernel}, ${machine.cpus} × ${machine.model}, ${machine.memoryGiB} GiB; load average ${machine.loadBefore} before and ${machine.loadAfter} after; ${said.join(', ')}. Load, origin and what is measured share the processors. Medians, and in brackets the lowest and the highest round. Before anything was timed, ${hashedBytes} bytes went through each way three times (down, down to a slow reader, up), and their SHA-256 was that of the origin's.`
}

const cell = (figures: Figures | undefined, { digits }: Measure): string => {
  if (figures === undefined) return '–'
  // Nothing, where the memory of a process has shrunk by a little.
  const shown = (value: number): string => value.toFixed(digits).replace(/^-(0(\.0+)?)$/, '$1')
  if (figures.samples.length === 1) return shown(figures.median)
  return `${shown(figures.median)} (${shown(figures.low)}–${shown(figures.high)})`
}

/** One row a subject. */
export function comparison({ measures, subjects }: Pick<Results, 'measures' | 'subjects'>): string {
  const rows = subjects.map(({ name, mode, figures }) => {
    const shown = mode === null ? name : `**${name}**`
    return `| ${[shown, ...measures.map((measure) => cell(figures[measure.id], measure))].join(' | ')} |`
  })
  const head = measures.map(({ what, unit }) => (unit === '' ? what : `${what}, ${unit}`))
  return [`| | ${head.join(' | ')} |`, `| --- |${' --- |'.repeat(measures.length)}`, ...rows].join('\n')
}

function missing({ missing: names, subjects }: Results): string {
  const versions = [...new Set(subjects.flatMap(({ version }) => version?.split(', ') ?? []))]
  const have = versions.length === 0 ? '' : `Packages: ${versions.toSorted().join(', ')}.`
  if (names.length === 0) return have
  return `${have}\n\nNot measured: ${names.map(({ name, reason }) => `${name} (${reason})`).join('; ')}.`.trim()
}

function goals({ goals: rows, measures }: Results): string {
  if (rows.length === 0) return ''
  const unit = (id: string): string => measures.find((measure) => measure.id === id)?.what ?? id
  return [
    '| what | against | goal | at the very least | measured (95 %) | |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows.map(
      (row) =>
        `| ${row.what} | ${row.against} | ${mark(row, row.goal)} | ${mark(row, row.least)} | ${measured(row)} | ${VERDICTS[row.verdict]} |`,
    ),
    '',
    `(${[...new Set(rows.map((row) => unit(row.measure)))].join('; ')}.)`,
  ].join('\n')
}

const mark = ({ better }: GoalResult, value: number): string => `${better === 'higher' ? '≥' : '≤'} ${value}`
const measured = ({ ratio, low, high }: GoalResult): string =>
  ratio === null ? '–' : `${ratio} (${low}–${high})`

if (import.meta.main) console.log(markdown(load(`${process.argv[2] ?? 'compare'}.json`)))
