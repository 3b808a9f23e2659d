// The matrix as text, for a terminal: one table for each observer, modes side by side, so that a line shows what a
// change of mode changes. Pure. Rule: every word in it is a measured cell.
import { INFORMATION, type Information, type Observer } from '../policy/exposure.ts'
import { type Cell, type CellValue, type LabResult, type LabRun, type Scheme } from './model.ts'

const SHOWN: ReadonlyArray<{ readonly observer: Observer; readonly title: string; readonly says: string }> = [
  { observer: 'access-network', title: 'access network', says: 'whoever carries what leaves the client' },
  { observer: 'gateway-operator', title: 'gateway operator', says: 'whoever runs the proxy or the gateway' },
  { observer: 'destination', title: 'destination', says: 'the site that is visited' },
]

const WORDS: Readonly<Record<CellValue, string>> = {
  clear: 'clear',
  sealed: 'sealed',
  inferable: 'inferable',
  absent: '-',
  'not-measured': '.',
}

const COLOURS: Readonly<Record<CellValue, string>> = {
  clear: '\u001b[31m',
  sealed: '\u001b[32m',
  inferable: '\u001b[33m',
  absent: '\u001b[2m',
  'not-measured': '\u001b[2m',
}
const PLAIN = '\u001b[0m'
const BOLD = '\u001b[1m'
const FIRST_COLUMN = 21
const COLUMN = 11

/** What stands above a column. */
function headOf({ mode, variant }: LabRun): string {
  if (variant === null) return mode
  return variant.startsWith('socks') ? variant : `${mode.replace('-proxy', '')} ${variant}`
}

const LEGEND = `clear      readable there, in the bytes or from the kernel
sealed     it was there, encrypted: found by decrypting the capture
inferable  not there, but a procedure that was run recovers it
-          absent: looked for, and not there
.          not measured: there is no such party in this mode`

/** The whole result; `colour` for a terminal. Ends without a newline. */
export function formatMatrix(result: LabResult, colour: boolean): string {
  const paint = (text: string, code: string): string => (colour ? `${code}${text}${PLAIN}` : text)
  const parts: string[] = []
  for (const scheme of ['http', 'https'] as const) {
    const runs = result.runs.filter((run) => run.scheme === scheme)
    if (runs.length === 0) continue
    parts.push(paint(scheme === 'http' ? 'A SITE WITHOUT TLS (http)' : 'A SITE WITH TLS (https)', BOLD))
    for (const { observer, title, says } of SHOWN)
      parts.push(observerTable(runs, observer, title, says, paint))
  }
  parts.push(LEGEND, ...differences(result), formatVerdict(result, paint))
  return parts.join('\n\n')
}

function observerTable(
  runs: readonly LabRun[],
  observer: Observer,
  title: string,
  says: string,
  paint: (text: string, code: string) => string,
): string {
  const width = Math.max(COLUMN, ...runs.map((run) => headOf(run).length + 1))
  const heads = runs.map((run) => headOf(run).padEnd(width)).join('')
  const lines = [`${paint(title, BOLD)}: ${says}`, `  ${''.padEnd(FIRST_COLUMN)}${heads}`.trimEnd()]
  for (const information of INFORMATION) {
    const words = runs.map((run) => {
      const value = cellOf(run, observer, information)?.value ?? 'not-measured'
      return paint(WORDS[value].padEnd(width), COLOURS[value])
    })
    lines.push(`  ${information.padEnd(FIRST_COLUMN)}${words.join('')}`.trimEnd())
  }
  return lines.join('\n')
}

function cellOf(run: LabRun, observer: Observer, information: Information): Cell | undefined {
  return run.cells.find((cell) => cell.observer === observer && cell.information === information)
}

/** What changes from the plain proxy to the tunnel, in words made of the cells. */
function differences(result: LabResult): string[] {
  return (['http', 'https'] as const).flatMap((scheme) => difference(result, scheme))
}

function difference(result: LabResult, scheme: Scheme): string[] {
  const find = (mode: LabRun['mode']): LabRun | undefined =>
    result.runs.find((run) => run.mode === mode && run.scheme === scheme)
  const before = find('http-proxy')
  const after = find('tunnel')
  if (before === undefined || after === undefined) return []
  const lines = SHOWN.map(({ observer, title }) => {
    const changes = new Map<string, Information[]>()
    for (const information of INFORMATION) {
      const was = cellOf(before, observer, information)?.value
      const is = cellOf(after, observer, information)?.value
      if (was === is || was === undefined || is === undefined) continue
      const change = `${was} to ${is}`
      changes.set(change, [...(changes.get(change) ?? []), information])
    }
    if (changes.size === 0) return `  ${title}: nothing changes`
    return [...changes].map(([change, list]) => `  ${title}: ${change}: ${list.join(', ')}`).join('\n')
  })
  return [`from http-proxy to tunnel, for a site with ${scheme}:\n${lines.join('\n')}`]
}

function formatVerdict(result: LabResult, paint: (text: string, code: string) => string): string {
  const { runs } = result
  const passed = (control: 'negative' | 'positive'): number =>
    runs.filter(({ controls }) => controls[control] === 'passed').length
  const lines = [
    `controls: what was sent was found again after decrypting in ${passed('positive')} of ${runs.length} runs; what was never sent was found in ${runs.length - passed('negative')}`,
    result.agreesWithTruthTable
      ? `truth table: every cell agrees (seed ${result.seed})`
      : paint(`truth table: the measurement DISAGREES (seed ${result.seed})`, COLOURS.clear),
  ]
  for (const run of runs) {
    for (const finding of run.findings) lines.push(`  ${headOf(run)}, ${run.scheme}: ${finding}`)
  }
  return lines.join('\n')
}
