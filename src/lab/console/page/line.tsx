// The way of the bytes as a line of parties, with a lane for each mode. Choosing a party is choosing whose eyes to look
// through. Rule: whether a stretch is drawn open or encrypted is counted from the bytes that passed there.
import type { JSX } from 'preact'
import type { Observer } from '../../../policy/exposure.ts'
import type { Pane, Piece } from '../wire.ts'
import { useTexts } from './context.ts'
import { PartyIcon } from './icons.tsx'
import { modeName } from './names.ts'
import type { PaneState, ReplayState } from './state.ts'

const LINE: readonly Observer[] = [
  'access-network',
  'gateway-operator',
  'resolver',
  'exit-network',
  'destination',
]

interface LineProps {
  readonly replay: ReplayState | undefined
  readonly observer: Observer
  readonly choose: (observer: Observer) => void
}

export function Line({ replay, observer, choose }: LineProps): JSX.Element {
  const texts = useTexts()
  return (
    <section class="line" aria-label={texts.line.label}>
      <fieldset class="stations">
        <legend>
          {texts.line.label}{' '}
          <span class="party-is">
            <strong>{texts.parties[observer]}</strong>: {texts.partyIs[observer]}
          </span>
        </legend>
        <div class="station you">
          <span class="station-face">
            <PartyIcon party="client" />
            <span>{texts.parties.client}</span>
          </span>
        </div>
        {LINE.map((party) => (
          <label key={party} class="station" title={texts.partyIs[party]}>
            <input
              type="radio"
              name="observer"
              value={party}
              checked={party === observer}
              onChange={() => choose(party)}
            />
            <span class="station-face">
              <PartyIcon party={party} />
              <span>{texts.parties[party]}</span>
            </span>
          </label>
        ))}
      </fieldset>
      {replay !== undefined &&
        (['left', 'right'] as const).map((pane) => <Lane key={pane} pane={pane} replay={replay} />)}
    </section>
  )
}

type Stretch = 'open' | 'sealed' | 'nothing'

/** Counted over what went to the site: are most of its bytes encrypted there? */
function stretchOf(pieces: readonly Piece[]): Stretch {
  const passed = pieces.filter(({ layer, direction }) => layer === 'tcp' && direction === 'up')
  const total = passed.reduce((sum, { length }) => sum + length, 0)
  if (total === 0) return 'nothing'
  const sealed = passed
    .flatMap(({ marks }) => marks)
    .filter(({ kind }) => kind === 'sealed')
    .reduce((sum, { length }) => sum + length, 0)
  const words = passed.some(({ marks }) =>
    marks.some(({ kind, name }) => kind === 'word' && name === 'requestBody'),
  )
  return !words && sealed > 0 ? 'sealed' : 'open'
}

function Lane({ pane, replay }: { readonly pane: Pane; readonly replay: ReplayState }): JSX.Element {
  const texts = useTexts()
  const state: PaneState = replay.panes[pane]
  const access = stretchOf(state.pieces['access-network'] ?? [])
  const exit = stretchOf(state.pieces.destination ?? [])
  const asked = (state.pieces.resolver ?? []).length > 0
  const direct = replay.order[pane].mode === 'direct'
  return (
    <div class="lane">
      <span class="lane-name">{modeName(texts, replay.order[pane])}</span>
      <span class={`stretch ${access}`}>
        <span>{texts.line[access]}</span>
      </span>
      <span class={`stretch lookup ${asked ? 'open' : 'nothing'}`}>
        <span>{asked ? texts.line.asked : texts.line.notAsked}</span>
      </span>
      <span class={`stretch ${direct ? access : exit}`}>
        <span>{direct ? texts.line.noGateway : texts.line[exit]}</span>
      </span>
    </div>
  )
}
