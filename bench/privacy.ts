// npm run bench:privacy: the price of privacy. Joins what each mode costs (bench/results/compare.json) with what it hides from whom (the
// cells of `sightline lab run --json`, made anew unless `--lab FILE` is given). Writes bench/results/privacy.json and privacy.svg, and
// docs/price-of-privacy.md. Rule: nothing here is known beforehand: a cost or a cell that was not measured is shown as that.
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { escape, STYLE } from './plot.ts'
import { load, save, type Measure, type Results } from './results.ts'

const { values } = parseArgs({ options: { lab: { type: 'string' } } })
const ROOT = path.join(import.meta.dirname, '..')
const PAGE = path.join(ROOT, 'docs/price-of-privacy.md')

interface LabRun {
  readonly mode: string
  readonly variant: string | null
  readonly scheme: string
  readonly cells: ReadonlyArray<{
    readonly observer: string
    readonly information: string
    readonly value: string
  }>
}

const OBSERVERS = ['access-network', 'gateway-operator', 'resolver', 'exit-network', 'destination'] as const
const COSTS = ['down-8', 'cpu-per-gb', 'fresh-1-p50', 'fresh-32', 'idle-kib']
/** Two of them are drawn. */
const DRAWN = ['fresh-1-p50', 'cpu-per-gb']
/** One way of several that a mode has is shown: names go to the proxy. */
const VARIANTS = new Set([null, 'socks5h'])

interface Row {
  readonly mode: string
  readonly variant: string | null
  readonly scheme: string
  /** Medians by the id of a measure. */
  readonly costs: Readonly<Record<string, number>>
  /** Information by observer and then by what the lab found. */
  readonly seen: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>
}

async function labRuns(): Promise<readonly LabRun[]> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'sightline-privacy-'))
  try {
    const file = values.lab ?? path.join(directory, 'lab.json')
    const words = [path.join(ROOT, 'src/main.ts'), 'lab', 'run', '--json', file]
    if (values.lab === undefined) await promisify(execFile)(process.execPath, words, { cwd: directory })
    return (JSON.parse(await readFile(file, 'utf8')) as { runs: LabRun[] }).runs
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** A request for an http site goes through `http-proxy` in absolute form, and through the others as an https one. */
function subjectOf(
  { subjects }: Results,
  mode: string,
  scheme: string,
): Results['subjects'][number] | undefined {
  const of = subjects.filter((subject) => subject.mode === mode)
  const absolute = of.find(({ name }) => name.includes('absolute'))
  return (scheme === 'http' ? absolute : undefined) ?? of.find(({ name }) => name === mode)
}

function join(results: Results, runs: readonly LabRun[]): Row[] {
  return runs
    .filter(({ variant }) => VARIANTS.has(variant))
    .map(({ mode, variant, scheme, cells }) => {
      const figures = subjectOf(results, mode, scheme)?.figures ?? {}
      const costs = COSTS.flatMap((id) =>
        figures[id] === undefined ? [] : [[id, figures[id].median] as const],
      )
      const seen = OBSERVERS.map((observer) => {
        const mine = cells.filter((cell) => cell.observer === observer)
        const byValue = Map.groupBy(mine, ({ value }) => value)
        const named = [...byValue].map(([value, of]) => [value, of.map(({ information }) => information)])
        return [observer, Object.fromEntries(named) as Record<string, string[]>]
      })
      return {
        mode,
        variant,
        scheme,
        costs: Object.fromEntries(costs),
        seen: Object.fromEntries(seen) as Row['seen'],
      }
    })
}

const words = (name: string): string => name.replaceAll('-', ' ')
const nameOf = ({ mode, scheme }: Row): string => `${mode}, ${scheme}`

function table(rows: readonly Row[], measures: readonly Measure[]): string {
  const shown = (row: Row, { id, digits }: Measure): string => row.costs[id]?.toFixed(digits) ?? '–'
  const reads = (row: Row, observer: string): string => {
    const { clear = [], inferable = [], ...rest } = row.seen[observer] ?? {}
    if (clear.length + inferable.length + Object.keys(rest).length === 0) return 'not there'
    const read = clear.map(words).join(', ')
    const told = inferable.length === 0 ? '' : `; can tell ${inferable.map(words).join(', ')}`
    return clear.length === 0 ? `nothing${told}` : `${clear.length}: ${read}${told}`
  }
  const seen = OBSERVERS.slice(0, 2)
  const head = [
    ...measures.map(({ what, unit }) => `${what}, ${unit}`),
    ...seen.map((name) => `the ${words(name)} reads`),
  ]
  const lines = rows.map((row) =>
    [
      nameOf(row),
      ...measures.map((measure) => shown(row, measure)),
      ...seen.map((observer) => reads(row, observer)),
    ].join(' | '),
  )
  return [
    `| mode, site | ${head.join(' | ')} |`,
    `| --- |${' --- |'.repeat(head.length)}`,
    ...lines.map((line) => `| ${line} |`),
  ].join('\n')
}

const LABEL = 130
const CELL = 10
const GROUP = 8 * CELL + 14
const BAR = 100
const ROW = 18
const TOP = 74

/** A row a mode: squares for what each observer reads, and bars for what it costs. */
function draw(rows: readonly Row[], measures: readonly Measure[], information: readonly string[]): string {
  const right = LABEL + OBSERVERS.length * GROUP
  const width = right + DRAWN.length * (BAR + 60)
  const height = TOP + rows.length * ROW + 64
  const drawn = rows.map((row, index) => {
    const y = TOP + index * ROW
    const cells = OBSERVERS.flatMap((observer, group) =>
      information.map((name, at) => {
        const of = Object.entries(row.seen[observer] ?? {})
        const value = of.find(([, names]) => names.includes(name))?.[0] ?? 'not-measured'
        const x = LABEL + group * GROUP + at * CELL
        return `<rect class="${value}" x="${x}" y="${y}" width="8" height="12"><title>${escape(`${nameOf(row)}: ${words(observer)}, ${words(name)}: ${value}`)}</title></rect>`
      }),
    )
    const bars = DRAWN.flatMap((id, at) => {
      const value = row.costs[id]
      const measure = measures.find((one) => one.id === id)
      if (value === undefined || measure === undefined) return []
      const most = Math.max(...rows.map(({ costs }) => costs[id] ?? 0))
      const x = right + at * (BAR + 60)
      const length = Math.max(1, (value / most) * BAR)
      return `<rect class="ours" x="${x}" y="${y}" width="${length.toFixed(1)}" height="12"/><text x="${(x + length + 5).toFixed(1)}" y="${y + 10}">${value.toFixed(measure.digits)}</text>`
    })
    return `<text x="${LABEL - 8}" y="${y + 10}" text-anchor="end">${escape(nameOf(row))}</text>${cells.join('')}${bars.join('')}`
  })
  const heads = OBSERVERS.map(
    (observer, group) =>
      `<text x="${LABEL + group * GROUP}" y="${TOP - 10}">${words(observer).replace('gateway ', '')}</text>`,
  )
  const costHeads = DRAWN.map((id, at) => {
    const { what = id, unit = '' } = measures.find((measure) => measure.id === id) ?? {}
    const x = right + at * (BAR + 60)
    return `<text x="${x}" y="${TOP - 24}">${escape(what.replace(/^fresh request alone, p50$/, 'small request, p50'))}</text><text class="faint" x="${x}" y="${TOP - 10}">${escape(unit)}</text>`
  })
  const legend = [
    ['clear', 'readable'],
    ['inferable', 'can be told'],
    ['sealed', 'sealed'],
    ['absent', 'never there'],
    ['not-measured', 'not measured'],
  ].map(
    ([value, text], at) =>
      `<rect class="${value}" x="${LABEL + at * 110}" y="${height - 48}" width="8" height="12"/><text x="${LABEL + 14 + at * 110}" y="${height - 38}">${text}</text>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="What each mode costs, and what each observer reads">
${STYLE}
<style>
  .clear { fill: #d1242f; } .inferable { fill: #d4a72c; } .sealed { fill: none; stroke: currentColor; stroke-width: 1.2; }
  .absent, .not-measured { fill: currentColor; opacity: 0.18; } .not-measured { opacity: 0.06; }
  @media (prefers-color-scheme: dark) { .clear { fill: #ff7b72; } .inferable { fill: #e3b341; } }
</style>
<text class="title" x="0" y="18">The price of privacy: what each observer reads, and what the mode costs</text>
${heads.join('\n')}
${costHeads.join('\n')}
${drawn.join('\n')}
${legend.join('\n')}
<text class="faint" x="0" y="${height - 12}">in each group from the left: ${information.map(words).join(', ')}</text>
</svg>
`
}

const results = load('compare.json')
const runs = await labRuns()
const measures = results.measures.filter(({ id }) => COSTS.includes(id))
const rows = join(results, runs)
const information = [...new Set(runs.flatMap(({ cells }) => cells.map((cell) => cell.information)))]
const { machine, startedAt } = results
await save(
  'privacy.json',
  `${JSON.stringify({ version: 1, name: 'privacy', measuredAt: startedAt, machine, measures, information, observers: OBSERVERS, rows }, null, 1)}\n`,
)
await save('privacy.svg', draw(rows, measures, information))
await writeFile(
  PAGE,
  `# The price of privacy

What each mode costs, beside what it hides from whom. The costs are medians of \`npm run bench:compare\` (${startedAt.slice(0, 10)}, ${machine.cpus} × ${machine.model}, Node ${machine.node}); what is read comes from the bytes that \`sightline lab run\` captures at each vantage. \`npm run bench:privacy\` joins both and writes this page.

![What each observer reads in each mode, and what the mode costs](../bench/results/privacy.svg)

${table(rows, measures)}

The other observers, and the bytes behind each cell, are in [who sees what](who-sees-what.md); how the costs were measured, with their
ranges and beside other programs, is in [the benchmarks](../bench/README.md). An \`http:\` site is as readable to the gateway's operator
through the tunnel as through the plain proxy: what the tunnel buys is the access network's column.
`,
)
console.log(table(rows, measures))
