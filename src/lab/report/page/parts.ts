// The parts of the report beside the matrix: facts, changes, sizes, observers who join, controls.
// Pure. Rule: each says what was measured, and says so where this measurement lacks what it would need.
import { INFORMATION, type Observer } from '../../../policy/exposure.ts'
import type { Recording } from '../../recording.ts'
import { runName, type LabResult, type LabRun } from '../../model.ts'
import { comparisons, comparisonTitle } from '../changes.ts'
import { joinObservers, matchByTime } from '../collusion.ts'
import { factsOf, procedureLines, type Fact } from '../facts.ts'
import { byVisit, listed, OBSERVER_WORDS, VISIT_WORDS, visitOf } from '../words.ts'
import { evidenceButton } from './evidence.ts'
import { markup, type Html } from './html.ts'
import { table } from './table.ts'

const VERDICTS: Readonly<Record<Fact['verdict'], string>> = {
  shown: 'shown',
  contradicted: 'contradicted',
  'not-shown': 'not shown by this run',
}

export function factsPart(runs: readonly LabRun[]): Html {
  const facts = factsOf(runs).map(({ number, says, verdict, proofs }) => {
    const items = proofs.map(
      ({ run, cell, says: proof }) =>
        markup`<li>${cell === undefined ? proof : evidenceButton(run, cell, proof, 'ref')}</li>`,
    )
    const shown = markup`<details>
      <summary>what shows it: ${proofs.length} cells</summary>
      <ul>
        ${items}
      </ul>
    </details>`
    return markup`<div class="fact">
      <p>${number}. ${sentence(says)}. <span class="verdict ${verdict}">${VERDICTS[verdict]}</span></p>
      ${proofs.length === 0 ? markup`` : shown}
    </div>`
  })
  return markup`<p>
      Demonstrations of proxies and tunnels often get these wrong. Each is held against the cells of this
      measurement.
    </p>
    ${facts}`
}

export function changesPart(runs: readonly LabRun[]): Html {
  const all = comparisons(runs)
  if (all.length === 0) return markup`<p>There is one mode here, and nothing to compare it with.</p>`
  return markup`${byVisit(runs).map(([visit]) => {
    const some = all.filter((one) => one.visit === visit)
    const items = some.map(
      (one) =>
        markup`<details>
          <summary>${comparisonTitle(one)}</summary>
          <ul>
            ${one.changes.map(({ says }) => markup`<li>${says}</li>`)}
          </ul>
        </details>`,
    )
    return some.length === 0
      ? markup``
      : markup`<h3>With ${VISIT_WORDS[visit]}</h3>
          ${items}`
  })}`
}

export function shapePart(runs: readonly LabRun[]): Html {
  const told = procedureLines(runs)
  if (told.length === 0) return markup`<p>Not measured in this run.</p>`
  return markup`<p>On a link that seals everything, sizes are still there. A procedure without any key looked at them:</p>
    <ul>${told.map((line) => markup`<li>${line}</li>`)}</ul>`
}

export function collusionPart(
  runs: readonly LabRun[],
  recordings: readonly Recording[],
  observers: readonly Observer[],
): Html {
  const [one, two] = observers
  if (one === undefined || two === undefined) return markup`<p>Nobody was asked for: see --observers.</p>`
  const match = matchByTime(recordings, one, two)
  const times =
    match === undefined
      ? markup``
      : markup`<p>
          By the times of their first bytes alone, ${match.matched} of ${match.visits} visits through a gateway at the
          ${OBSERVER_WORDS[one].title} were matched with the right one at the ${OBSERVER_WORDS[two].title}; by
          chance it would be one.
        </p>`
  const rows = runs.map((run) => {
    const { shared, reveals } = joinObservers(run, observers)
    return markup`<tr>
      <th scope="row">${runName(run)}</th>
      <td data-mode="joining them links">
        ${reveals === '' ? 'nothing that one of them did not know alone' : reveals}
      </td>
      <td data-mode="both read">${shared.length === 0 ? 'nothing' : listed(shared)}</td>
    </tr>`
  })
  const titles = observers.map((observer) => `the ${OBSERVER_WORDS[observer].title}`)
  return markup`<p>
      Here: ${listed(titles)}. What both read ties their records together; where they share nothing, times do.
    </p>
    ${times}
    ${table({
      kind: 'matrix joined',
      title: 'What joining their records reveals',
      heads: ['joining them links', 'both read'],
      rows,
    })}`
}

export function controlsPart({ runs, standIns }: LabResult): Html {
  const passed = (control: 'negative' | 'positive'): number =>
    runs.filter(({ controls }) => controls[control] === 'passed').length
  const findings = runs.flatMap((run) =>
    run.findings.map((finding) => markup`<li>${runName(run)}: ${finding}</li>`),
  )
  const datagrams = runs.some((run) => visitOf(run) === 'udp')
  return markup`<ul>
      <li>
        Positive control: in ${passed('positive')} of ${runs.length} runs all that was sent was found again on
        the client's link, after decrypting it where it was encrypted.
      </li>
      <li>
        Negative control: in ${passed('negative')} of ${runs.length} runs a word that was never sent was found
        nowhere.
      </li>
      <li>
        Each word was searched for as it is, and in base64, percent-encoding, hex, compressed bodies and
        hashes: ${INFORMATION.length} kinds of information at each
        vantage${datagrams ? ', in streams and in datagrams' : ''}.
      </li>
      <li>
        Every run is held against a table of what each cell must be, written down beforehand: one that shows
        more, or less, is a finding.
      </li>
      <li>
        The captures can be opened with Wireshark: <code>sightline lab run --captures DIR</code> writes them.
        Their payloads are what passed; the Ethernet, IP and TCP headers around them are reconstructed.
      </li>
      ${standIns.map((text) => markup`<li>A stand-in: ${text}</li>`)}
    </ul>
    ${
      findings.length === 0
        ? markup``
        : markup`<div class="bad">
            <h3>Findings</h3>
            <ul>
              ${findings}
            </ul>
          </div>`
    }`
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
