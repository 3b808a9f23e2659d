// Plots of a run as SVG that can be read on light and on dark pages. No script and no font of its own: text and rectangles.
import type { Figures, Measure, SubjectResult } from './results.ts'

const WIDTH = 720
const LABEL = 190
const VALUE = 110
const ROW = 20
const TOP = 44

/** Colours for both; whoever inlines the picture has currentColor for the text. */
export const STYLE = `<style>
  svg { color-scheme: light dark; font: 12px system-ui, sans-serif; color: #1f2328; }
  text { fill: currentColor; }
  .title { font-size: 14px; font-weight: 600; }
  .ours { fill: #0a7d5a; } .other { fill: #8a8f98; } .line { stroke: currentColor; stroke-width: 1; }
  .faint { opacity: 0.7; }
  @media (prefers-color-scheme: dark) { svg { color: #e6edf3; } .ours { fill: #3ddba4; } .other { fill: #7d8590; } }
</style>`

export const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

/** One bar a subject, the longest first, with its range as a line; `base` is left out: it would make the others invisible. */
export function bars(
  measure: Measure,
  subjects: readonly SubjectResult[],
  without: readonly string[] = ['direct'],
): string {
  const rows = subjects
    .filter(({ name, figures }) => figures[measure.id] !== undefined && !without.includes(name))
    .map(({ name, mode, figures }) => ({ name, mode, figures: figures[measure.id] as Figures }))
    .toSorted(
      (one, other) => (other.figures.median - one.figures.median) * (measure.better === 'higher' ? 1 : -1),
    )
  const most = Math.max(...rows.map(({ figures }) => figures.high))
  const scale = (WIDTH - LABEL - VALUE) / most
  const unit = measure.unit === '' ? '' : `, ${measure.unit}`
  const title = `${measure.what}${unit} (${measure.better === 'higher' ? 'more' : 'less'} is better)`
  const drawn = rows.map(({ name, mode, figures }, index) => {
    const y = TOP + index * ROW
    const at = (value: number): string => (LABEL + value * scale).toFixed(1)
    return `<text x="${LABEL - 8}" y="${y + 11}" text-anchor="end">${escape(name)}</text>
<rect class="${mode === null ? 'other' : 'ours'}" x="${LABEL}" y="${y}" width="${Math.max(1, figures.median * scale).toFixed(1)}" height="14" rx="2"/>
<line class="line" x1="${at(figures.low)}" x2="${at(figures.high)}" y1="${y + 7}" y2="${y + 7}"/>
<text x="${Number(at(figures.high)) + 6}" y="${y + 11}">${figures.median.toFixed(measure.digits)}</text>`
  })
  const height = TOP + rows.length * ROW + 12
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escape(title)}">
${STYLE}
<text class="title" x="0" y="18">${escape(title)}</text>
<text class="faint" x="0" y="34">median of the rounds; the line is the range; Sightline's modes are coloured</text>
${drawn.join('\n')}
</svg>
`
}
