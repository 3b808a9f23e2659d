// The part of the report on what the gateway itself wrote down, and behind each number the text that was searched, so that a
// reader can search it too. Pure. Rule: what is found stands above the text, with the place it was found in.
import { answersOf } from '../../assess.ts'
import { captureFolder } from '../../captures.ts'
import { RECORD_SOURCES, runName, type LabRun, type RecordSource } from '../../model.ts'
import { recordTexts } from '../../record-audit.ts'
import type { Recording } from '../../recording.ts'
import { listed } from '../words.ts'
import { openedPart, opener } from './evidence.ts'
import { markup, type Html } from './html.ts'
import { table } from './table.ts'

const MAX_CHARACTERS = 12_000
const SOURCE_WORDS: Readonly<Record<RecordSource, string>> = {
  'log-debug': 'log at debug',
  'log-info': 'log at info',
  'log-warn': 'log at warn',
  'log-error': 'log at error',
  metrics: 'metrics',
  admin: 'admin answers',
  'error-answers': 'refusals to clients',
}

export function recordedPart(runs: readonly LabRun[]): Html {
  const measured = runs.filter(({ recorded }) => recorded.searched.length > 0)
  if (measured.length === 0) return markup`<p>Not measured in this run.</p>`
  const bytes = measured.flatMap(({ recorded }) => recorded.searched).reduce((sum, one) => sum + one.bytes, 0)
  const found = measured.reduce((sum, { recorded }) => sum + recorded.found.length, 0)
  const rows = measured.map((run) => {
    const cells = run.recorded.searched.map(
      ({ source, bytes: size }) =>
        markup`<td data-mode="${SOURCE_WORDS[source]}">${answer(run, source, size)}</td>`,
    )
    return markup`<tr>
      <th scope="row">${runName(run)}</th>
      ${cells}
    </tr>`
  })
  return markup`<p>
      Beside what its operator could see: what the gateway wrote and said of itself, ${bytes} bytes in all, was searched
      for every planted word. Found: ${found}.
    </p>
    ${table({
      kind: 'matrix written',
      title: 'Planted words in what the gateway wrote',
      says: 'how many, and in how many bytes',
      heads: RECORD_SOURCES.map((source) => SOURCE_WORDS[source]),
      rows,
    })}`
}

/** Everything behind one run's numbers. */
export function recordedEvidence(run: LabRun, recording: Recording): Html[] {
  if (run.recorded.searched.length === 0) return []
  const texts = recordTexts(recording, answersOf(recording))
  const words = Object.entries(recording.canaries).filter(([field]) => field !== 'neverSent')
  return run.recorded.searched.map(({ source, bytes }) => {
    const found = run.recorded.found.filter((one) => one.source === source)
    const text = Buffer.from(texts[source]).toString('latin1').replaceAll('\r\n', '\n')
    return openedPart(idOf(run, source), `${SOURCE_WORDS[source]}: ${runName(run)}`, [
      markup`<p>
        Searched for ${words.length} planted words and two addresses, as they are and in every encoding. Found: ${found.length}.
      </p>`,
      found.length === 0
        ? markup``
        : markup`<ul class="bad">
            ${found.map(({ field, encoding, excerpt }) => markup`<li>${field} (${encoding}): <code>${excerpt}</code></li>`)}
          </ul>`,
      bytes === 0
        ? markup`<p>Nothing was written there.</p>`
        : markup`<pre class="hex text" tabindex="0">${printable(text.slice(0, MAX_CHARACTERS))}</pre>`,
      text.length <= MAX_CHARACTERS
        ? markup``
        : markup`<p class="soft">The first ${MAX_CHARACTERS} of ${text.length} characters.</p>`,
      markup`<details>
        <summary>the words that were looked for</summary>
        <p>${listed(words.map(([field, word]) => `${field} ${word}`))}.</p>
      </details>`,
    ])
  })
}

function answer(run: LabRun, source: RecordSource, bytes: number): Html {
  const found = run.recorded.found.filter((one) => one.source === source).length
  const text = `${found} in ${bytes}`
  const label = `${text} bytes: ${SOURCE_WORDS[source]}, ${runName(run)}`
  return opener(idOf(run, source), text, `cell ${found === 0 ? 'sealed' : 'clear'}`, label)
}

function idOf(run: LabRun, source: RecordSource): string {
  return `${captureFolder(run)}.written.${source}`
}

function printable(text: string): string {
  return text.replaceAll(/[^\n\t\u0020-\u007e]/g, '.')
}
