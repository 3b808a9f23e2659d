// One mode, seen by one observer: what it knows now, from the measured cells, and the bytes that it has.
import type { JSX } from 'preact'
import { INFORMATION, type Observer } from '../../../policy/exposure.ts'
import type { Cell } from '../../model.ts'
import type { Pane } from '../wire.ts'
import { Bytes, type Show } from './bytes.tsx'
import { useTexts } from './context.ts'
import { ValueIcon } from './icons.tsx'
import { modeName } from './names.ts'
import type { ReplayState } from './state.ts'

interface PaneProps {
  readonly pane: Pane
  readonly replay: ReplayState | undefined
  readonly observer: Observer
  readonly show: Show
  readonly setShow: (show: Show) => void
}

export function PaneView({ pane, replay, observer, show, setShow }: PaneProps): JSX.Element {
  const texts = useTexts()
  const id = `pane-${pane}`
  if (replay === undefined) {
    return (
      <section class="pane waiting">
        <p>{texts.pane.waiting}</p>
      </section>
    )
  }
  const { pieces, run } = replay.panes[pane]
  const cells = run?.cells.filter((cell) => cell.observer === observer) ?? []
  const content = cells.find(({ information }) => information === 'content')?.value
  return (
    <section class="pane" aria-labelledby={id} data-pane={pane}>
      <header>
        <h2 id={id}>
          <span class="pane-mode">{modeName(texts, replay.order[pane])}</span>
          <span class="pane-party">{texts.parties[observer]}</span>
        </h2>
        {content !== undefined && (
          <p class={`verdict ${content}`} role="status">
            <ValueIcon value={content} />
            {texts.pane.verdict[content]}
          </p>
        )}
      </header>
      {run !== undefined && run.findings.length > 0 && (
        <div class="red" role="alert">
          <p>{texts.pane.red}</p>
          <ul>
            {run.findings.map((finding) => (
              <li key={finding} lang="en" dir="ltr">
                {finding}
              </li>
            ))}
          </ul>
        </div>
      )}
      <Bytes
        pieces={pieces[observer] ?? []}
        show={show}
        setShow={setShow}
        pane={pane}
        whose={texts.pane.sees(modeName(texts, replay.order[pane]), texts.parties[observer])}
      />
      <Knows cells={cells} />
    </section>
  )
}

function Knows({ cells }: { readonly cells: readonly Cell[] }): JSX.Element | null {
  const texts = useTexts()
  const measured = cells.filter(({ value }) => value !== 'not-measured')
  if (measured.length === 0) return null
  return (
    <div class="knows">
      <h3>{texts.pane.knows}</h3>
      <ul>
        {INFORMATION.flatMap((information) => {
          const value = measured.find((cell) => cell.information === information)?.value
          return value === undefined || value === 'not-measured' ? [] : [{ information, value }]
        }).map(({ information, value }) => (
          <li key={information} class={value}>
            <ValueIcon value={value} />
            <span>{texts.know[information][value]}</span>
          </li>
        ))}
      </ul>
    </div>
  )
}
