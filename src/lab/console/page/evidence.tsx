// The evidence of one cell: where in which capture it stands, in which encoding, with the bytes around it, and the file
// to open in Wireshark. A dialog of the browser's own, so that the keyboard and Escape work as everywhere.
import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { Cell, Evidence } from '../../model.ts'
import type { Pane, Piece } from '../wire.ts'
import { HexView } from './bytes.tsx'
import { useTexts } from './context.ts'
import { ValueIcon } from './icons.tsx'
import { modeName } from './names.ts'
import { segmentsOf } from './segments.ts'
import type { ReplayState } from './state.ts'

export interface Asked {
  readonly pane: Pane
  readonly cell: Cell
}

interface DialogProps {
  readonly asked: Asked
  readonly replay: ReplayState
  readonly close: () => void
}

const AROUND_BYTES = 64

export function EvidenceDialog({ asked, replay, close }: DialogProps): JSX.Element {
  const texts = useTexts()
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  const { pane, cell } = asked
  const { pieces, captures } = replay.panes[pane]
  const names = new Set(cell.evidence.map(({ capture }) => capture))
  const offered = captures.filter((name) => names.has(name) || names.has(name.replace('-with-keys', '')))
  return (
    <dialog ref={dialog} class="evidence" aria-labelledby="evidence-title" onClose={close}>
      <header>
        <h2 id="evidence-title">
          {texts.parties[cell.observer]}: {texts.information[cell.information]}
        </h2>
        <button type="button" class="quiet" onClick={() => dialog.current?.close()}>
          {texts.evidence.close}
        </button>
      </header>
      <p class={`verdict ${cell.value}`}>
        <ValueIcon value={cell.value} />
        <span>
          {modeName(texts, replay.order[pane])}: {texts.values[cell.value]}
        </span>
      </p>
      <p>{texts.valueIs[cell.value]}</p>
      {cell.evidence.length === 0 && <p>{texts.evidence.none}</p>}
      <ol class="proofs">
        {cell.evidence.map((evidence, index) => (
          <li key={index}>
            <Proof evidence={evidence} pieces={pieces[cell.observer] ?? []} />
          </li>
        ))}
      </ol>
      {offered.length > 0 && (
        <>
          <h3>{texts.evidence.files}</h3>
          <ul class="files">
            {offered.map((name) => (
              <li key={name}>
                <a href={`/api/captures/${replay.number}/${pane}/${name}`} download>
                  <bdi>{name}</bdi>
                </a>
                {name.includes('-with-keys') && ` (${texts.evidence.withKeys})`}
              </li>
            ))}
          </ul>
        </>
      )}
    </dialog>
  )
}

function Proof({
  evidence,
  pieces,
}: {
  readonly evidence: Evidence
  readonly pieces: readonly Piece[]
}): JSX.Element {
  const texts = useTexts()
  const { kind, capture, frame, offset, length, encoding, field, layer, excerpt } = evidence
  const piece = pieces.find((one) => one.capture === capture && one.frame === frame && frame !== null)
  const rows: ReadonlyArray<readonly [string, string | number | null]> = [
    [texts.evidence.capture, capture],
    [texts.evidence.frame, frame],
    [texts.evidence.offset, offset],
    [texts.evidence.length, length === 0 ? null : length],
    [texts.evidence.encoding, encoding],
    [texts.evidence.field, field],
    [texts.evidence.layer, layer],
  ]
  return (
    <>
      <p class="proof-kind">{texts.evidence.kinds[kind]}</p>
      <p class="excerpt" dir="ltr">
        {excerpt}
      </p>
      <dl>
        {rows.map(([name, value]) =>
          value === null ? null : (
            <div key={name}>
              <dt>{name}</dt>
              <dd>
                <bdi>{value}</bdi>
              </dd>
            </div>
          ),
        )}
      </dl>
      {piece !== undefined && offset !== null && (
        <HexView
          segments={segmentsOf(piece)}
          around={{ at: offset - piece.before, length: Math.min(length, AROUND_BYTES) }}
        />
      )}
    </>
  )
}
