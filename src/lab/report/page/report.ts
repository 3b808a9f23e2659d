// The report as one HTML file that a person opens without a network: the matrix, the eight facts, what changes from mode to
// mode, and behind every cell the bytes that prove it. Pure. Rules: no script and nothing from outside; all text is escaped.
import { INFORMATION, OBSERVERS, type Observer } from '../../../policy/exposure.ts'
import type { Recording } from '../../recording.ts'
import { capturesOf } from '../../captures.ts'
import type { CellValue, LabResult, LabRun } from '../../model.ts'
import { packetsOf } from '../../pcapng/packets.ts'
import {
  cellOf,
  byVisit,
  INFORMATION_WORDS,
  modeName,
  OBSERVER_WORDS,
  VALUE_WORDS,
  VISIT_WORDS,
} from '../words.ts'
import { evidenceButton, evidenceOf, type Packets } from './evidence.ts'
import { Html, markup } from './html.ts'
import { table } from './table.ts'
import { changesPart, collusionPart, controlsPart, factsPart, shapePart } from './parts.ts'
import { aroundEvidence, aroundPart } from './around.ts'
import { recordedEvidence, recordedPart } from './recorded.ts'
import { STYLE } from './style.ts'

export interface Report {
  readonly result: LabResult
  /** One for each run, in the order of `result.runs`. */
  readonly recordings: readonly Recording[]
  /** Who put together what each has seen. */
  readonly observers: readonly Observer[]
}

const VALUES = Object.keys(VALUE_WORDS) as CellValue[]

/** The whole file. */
export function htmlReport({ result, recordings, observers }: Report): string {
  const { runs, seed } = result
  const parts: ReadonlyArray<readonly [id: string, title: string, body: Html]> = [
    ['matrix', 'Who can read what', matrixPart(runs)],
    ['facts', 'Eight facts', factsPart(runs)],
    ['changes', 'What changes from mode to mode', changesPart(runs)],
    ['shape', 'What sizes alone tell', shapePart(runs)],
    ['coverage', 'What goes around the mode', aroundPart(runs)],
    ['together', 'If observers put together what they saw', collusionPart(runs, recordings, observers)],
    ['recorded', 'What the gateway wrote down', recordedPart(runs)],
    ['controls', 'Why to believe this', controlsPart(result)],
  ]
  const evidence = runs.flatMap((run, index) => {
    const recording = recordings[index]
    if (recording === undefined) return []
    const packets = packetsIn(recording)
    return [
      ...evidenceOf(run, packets, Object.values(recording.canaries)),
      ...aroundEvidence(run, recording, packets),
      ...recordedEvidence(run, recording),
    ]
  })
  const page = markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width,initial-scale=1" />
        <meta
          http-equiv="content-security-policy"
          content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        />
        <link rel="icon" href="data:," />
        <title>Who can read what: a measurement by Sightline</title>
        <style>
          ${new Html(STYLE)}
        </style>
      </head>
      <body>
        <main>
          <h1>Who can read what</h1>
          <p>
            The same visit went through each mode, with a word that nobody can guess in every field. What
            passed at each vantage was recorded and searched for these words: each cell below says what was
            found, and shows the bytes when it is chosen.
          </p>
          <p>${verdict(result)} Seed <code>${seed}</code>.</p>
          <nav aria-label="Parts of this page">
            <ul>
              ${parts.map(([id, title]) => markup`<li><a href="#${id}">${title}</a></li>`)}
            </ul>
          </nav>
          ${parts.map(
            ([id, title, body]) =>
              markup`<h2 id="${id}">${title}</h2>
                ${body}`,
          )}
        </main>
        <aside class="evidence" aria-label="Evidence for each cell">${evidence}</aside>
      </body>
    </html> `
  return page.text
}

function verdict({ agreesWithTruthTable, runs }: LabResult): string {
  const findings = runs.reduce((sum, run) => sum + run.findings.length, 0)
  return agreesWithTruthTable
    ? `In all ${runs.length} runs every cell is what the truth table says, and the controls passed.`
    : `The measurement disagrees with the truth table: ${findings} findings, below.`
}

function packetsIn(recording: Recording): Packets {
  return new Map(
    capturesOf(recording).map(({ name, connections }) => [
      name,
      packetsOf(connections).map(({ bytes }) => bytes),
    ]),
  )
}

function matrixPart(runs: readonly LabRun[]): Html {
  const legend = VALUES.map(
    (value) =>
      markup`<dt><span class="value ${value}">${value}</span></dt>
        <dd>${VALUE_WORDS[value]}</dd>`,
  )
  const kinds = INFORMATION.map(
    (information) =>
      markup`<dt>${information}</dt>
        <dd>${INFORMATION_WORDS[information]}</dd>`,
  )
  return markup`<dl class="legend">${legend}</dl>
    <details>
      <summary>What each line of the tables means</summary>
      <dl class="legend">${kinds}</dl>
    </details>
    ${byVisit(runs).map(
      ([visit, some]) =>
        markup`<h3>With ${VISIT_WORDS[visit]}</h3>
          ${OBSERVERS.map((observer) => observerTable(some, observer))}`,
    )}`
}

function observerTable(runs: readonly LabRun[], observer: Observer): Html {
  const { title, says } = OBSERVER_WORDS[observer]
  const rows = INFORMATION.map((information) => {
    const cells = runs.map((run) => {
      const cell = cellOf(run, observer, information)
      const shown = cell === undefined ? markup`` : evidenceButton(run, cell, cell.value, 'cell')
      return markup`<td data-mode="${modeName(run)}">${shown}</td>`
    })
    return markup`<tr>
      <th scope="row">${information}</th>
      ${cells}
    </tr>`
  })
  return table({ kind: 'matrix', title, says, heads: runs.map(modeName), rows })
}
