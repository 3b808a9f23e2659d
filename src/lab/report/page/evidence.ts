// What proves a cell, for a person: where the bytes stand, those bytes with their neighbours, what had to be taken off to
// read them. Pure. Rule: bytes are shown as they stand in the capture file, so that for a sealed cell one sees ciphertext.
import { OBSERVERS, type Information, type Observer } from '../../../policy/exposure.ts'
import { captureFolder } from '../../captures.ts'
import { runName, type Cell, type Evidence, type LabRun } from '../../model.ts'
import { cellOf, OBSERVER_WORDS, VALUE_WORDS } from '../words.ts'
import { hexdump } from './hexdump.ts'
import { markup, type Html } from './html.ts'

/** Packets of a run's capture files, by the files' names: packet n stands at n - 1. */
export type Packets = ReadonlyMap<string, readonly Uint8Array[]>

const MAX_PIECES = 4
const KINDS: Readonly<Record<Evidence['kind'], string>> = {
  bytes: 'found in captured bytes',
  endpoint: 'an address that the kernel reports at this vantage',
  procedure: 'a procedure that was run on the capture',
}

/** The id of a cell's evidence on the page. */
function evidenceId(run: LabRun, observer: Observer, information: Information): string {
  return `${captureFolder(run)}.${observer}.${information}`
}

/** A button that shows the part with this id. `label` says what it is to who does not see where it stands. */
export function opener(id: string, text: string, look: string, label = text): Html {
  return markup`<button type="button" class="${look}" popovertarget="${id}" aria-label="${label}">
    ${text}
  </button>`
}

/** A part that its button shows. */
export function openedPart(id: string, title: string, body: readonly Html[]): Html {
  return markup`<div popover id="${id}" role="dialog" aria-labelledby="${id}.title">
      <h3 id="${id}.title" tabindex="-1" autofocus>${title}</h3>
      <button type="button" class="close" popovertarget="${id}" popovertargetaction="hide">close</button>
      ${body}
    </div> `
}

/** A button that shows the evidence of a cell. */
export function evidenceButton(run: LabRun, cell: Cell, text: string, kind: 'cell' | 'ref'): Html {
  const { observer, information, value } = cell
  const id = evidenceId(run, observer, information)
  return kind === 'ref'
    ? opener(id, text, kind)
    : opener(
        id,
        text,
        `${kind} ${value}`,
        `${text}: ${information} at the ${OBSERVER_WORDS[observer].title}, ${runName(run)}`,
      )
}

/** Everything behind one run's cells, each in a part that its button shows; `planted` words are marked where they are read. */
export function evidenceOf(run: LabRun, packets: Packets, planted: readonly string[]): Html[] {
  return run.cells.map((cell) => {
    const { observer, information, value, reason, evidence } = cell
    const title = `${information} at the ${OBSERVER_WORDS[observer].title}: ${runName(run)}`
    return openedPart(evidenceId(run, observer, information), title, [
      markup`<p>
        <span class="value ${value}">${value}</span>
        ${VALUE_WORDS[value]}.
      </p>
      ${reason === undefined || VALUE_WORDS[value].includes(reason) ? '' : markup`<p>${reason}.</p>`}`,
      ...evidencePieces(run, evidence, packets, planted),
      ...(value === 'absent' ? [whereItIs(run, cell)] : []),
    ])
  })
}

/** The chosen ones of many, and how many there are beside them. */
export function evidencePieces(
  run: LabRun,
  evidence: readonly Evidence[],
  packets: Packets,
  planted: readonly string[],
): Html[] {
  const pieces = chosen(evidence).map((one) => evidencePiece(run, one, packets, planted))
  const left = evidence.length - pieces.length
  return left === 0
    ? pieces
    : [...pieces, markup`<p class="soft">${left} more of the same stand in the JSON.</p>`]
}

/** Of many pieces those that differ most: one of each field and encoding, then others. */
export function chosen(evidence: readonly Evidence[]): Evidence[] {
  const kinds = new Map(evidence.toReversed().map((one) => [`${one.field} ${one.encoding}`, one]))
  const first = evidence.filter((one) => kinds.get(`${one.field} ${one.encoding}`) === one)
  return [...new Set([...first, ...evidence])].slice(0, MAX_PIECES)
}

function evidencePiece(run: LabRun, evidence: Evidence, packets: Packets, planted: readonly string[]): Html {
  const { kind, capture, frame, offset, length, encoding, field, layer, excerpt } = evidence
  const bytes = frame === null ? undefined : packets.get(capture)?.[frame - 1]
  const folder = captureFolder(run)
  const rows: Array<readonly [string, string]> = [
    ['how', KINDS[kind]],
    ['capture', `${folder}/${capture}`],
    ...(frame === null || offset === null
      ? []
      : [['place', `frame ${frame}, offset ${offset}, ${length} bytes`] as const]),
    ['field', field],
    ['layers', layer],
    ['encoding', encoding],
  ]
  const isSealed = layer.includes(' > tls')
  return markup`<div class="piece">
    <dl class="facts">
      ${rows.map(
        ([name, value]) =>
          markup`<dt>${name}</dt>
            <dd>${value}</dd>`,
      )}
    </dl>
    ${bytes === undefined || offset === null ? markup`` : markup`${hexdump(bytes, offset, length)}${proof(frame, offset, length, bytes.length)}`}
    <p>${isSealed ? 'With the keys it reads' : 'It reads'}: <code>${withWords(excerpt, planted)}</code></p>
    ${frame === null ? noPlace(kind) : markup`<p class="soft"><code>tshark -r ${folder}/${capture} -Y frame.number==${frame} -x</code></p>`}
  </div>`
}

function withWords(text: string, planted: readonly string[]): Html {
  const word = planted.find((one) => text.includes(one))
  if (word === undefined) return markup`${text}`
  const at = text.indexOf(word)
  return markup`${text.slice(0, at)}<mark>${word}</mark>${text.slice(at + word.length)}`
}

function proof(frame: number | null, offset: number, length: number, frameBytes: number): Html {
  const inside = Math.min(length, frameBytes - offset)
  const rest = length - inside
  return markup`<p class="soft">
    Marked: bytes ${offset} to ${offset + inside - 1} of frame
    ${frame ?? 0}${rest > 0 ? `; ${rest} more stand in the next frames of this direction` : ''}.
  </p>`
}

function noPlace(kind: Evidence['kind']): Html {
  return kind === 'bytes'
    ? markup`<p class="soft">
        It stands in a decrypted handshake message, which has no bytes of its own in the capture.
      </p>`
    : markup``
}

/** That it was there to be found is proved by who did find it. */
function whereItIs(run: LabRun, { information, observer: here }: Cell): Html {
  const elsewhere = OBSERVERS.filter((observer) => observer !== here).flatMap((observer) => {
    const cell = cellOf(run, observer, information)
    return cell !== undefined && cell.evidence.length > 0 ? [cell] : []
  })
  if (elsewhere.length === 0)
    return markup`<p>No other vantage of this run has it either: it was not sent.</p>`
  return markup`<p>It was in this run, and was found elsewhere:</p>
    <ul>
      ${elsewhere.map((cell) => markup`<li>${evidenceButton(run, cell, `${OBSERVER_WORDS[cell.observer].title}: ${cell.value}`, 'ref')}</li>`)}
    </ul>`
}
