// The matrix: what each observer could get at in both modes, with what differs marked and what does not pointed at.
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { INFORMATION, type Information, type Observer } from '../../../policy/exposure.ts'
import type { Cell, LabRun } from '../../model.ts'
import type { Pane } from '../wire.ts'
import { cellOf, changesOf, differs, observersOf, together, whoDidWhat } from './compare.ts'
import { useTexts } from './context.ts'
import { Coverage } from './coverage.tsx'
import { EvidenceDialog, type Asked } from './evidence.tsx'
import { ValueIcon } from './icons.tsx'
import { modeName } from './names.ts'
import { OrderForm, type Ordering } from './order-form.tsx'
import { Recorded } from './recorded.tsx'
import type { ReplayState, State } from './state.ts'

const PANES: readonly Pane[] = ['left', 'right']
const VALUES = ['clear', 'inferable', 'sealed', 'absent', 'not-measured'] as const

export function Matrix({
  state,
  ordering,
}: {
  readonly state: State
  readonly ordering: Ordering
}): JSX.Element {
  const texts = useTexts()
  const [members, setMembers] = useState<readonly Observer[]>([])
  const [asked, setAsked] = useState<Asked | undefined>(undefined)
  const { replay } = state
  const left = replay?.panes.left.run
  const right = replay?.panes.right.run
  return (
    <>
      <OrderForm state={state} ordering={ordering} words={false} />
      {replay === undefined || left === undefined || right === undefined ? (
        <p class="pane waiting">{replay?.status === 'running' ? texts.form.sending : texts.matrix.waiting}</p>
      ) : (
        <>
          <Legend />
          <Collusion runs={{ left, right }} members={members} setMembers={setMembers} />
          <Table replay={replay} runs={{ left, right }} members={members} open={setAsked} />
          <div class="cards halves">
            <Coverage runs={[left, right]} />
            <Recorded runs={[left, right]} />
          </div>
        </>
      )}
      {asked !== undefined && replay !== undefined && (
        <EvidenceDialog asked={asked} replay={replay} close={() => setAsked(undefined)} />
      )}
    </>
  )
}

function Legend(): JSX.Element {
  const texts = useTexts()
  return (
    <dl class="legend" aria-label={texts.matrix.legend}>
      {VALUES.map((value) => (
        <div key={value}>
          <dt class={value}>
            <ValueIcon value={value} /> {texts.values[value]}
          </dt>
          <dd>{texts.valueIs[value]}</dd>
        </div>
      ))}
    </dl>
  )
}

type Runs = Readonly<Record<Pane, LabRun>>

interface CollusionProps {
  readonly runs: Runs
  readonly members: readonly Observer[]
  readonly setMembers: (members: readonly Observer[]) => void
}

function Collusion({ runs, members, setMembers }: CollusionProps): JSX.Element {
  const texts = useTexts()
  const observers = observersOf(runs.left, runs.right)
  return (
    <fieldset class="collusion">
      <legend>{texts.matrix.together}</legend>
      {observers.map((observer) => (
        <label key={observer}>
          <input
            type="checkbox"
            checked={members.includes(observer)}
            onChange={({ currentTarget }) =>
              setMembers(
                observers.filter((one) => (one === observer ? currentTarget.checked : members.includes(one))),
              )
            }
          />
          <span>{texts.parties[observer]}</span>
        </label>
      ))}
      {members.length > 1 && (
        <ul role="status">
          {PANES.map((pane) => (
            <li key={pane}>
              <strong>{modeName(texts, runs[pane])}</strong>: {saysOf(whoDidWhat(runs[pane], members), texts)}
            </li>
          ))}
        </ul>
      )}
    </fieldset>
  )
}

function saysOf(known: ReturnType<typeof whoDidWhat>, texts: ReturnType<typeof useTexts>): string {
  if (known.alone.length > 0)
    return texts.matrix.oneKnows(known.alone.map((observer) => texts.parties[observer]))
  return known.together ? texts.matrix.togetherKnow : texts.matrix.nobodyKnows
}

interface TableProps {
  readonly replay: ReplayState
  readonly runs: Runs
  readonly members: readonly Observer[]
  readonly open: (asked: Asked) => void
}

function Table({ replay, runs, members, open }: TableProps): JSX.Element {
  const texts = useTexts()
  const observers = observersOf(runs.left, runs.right)
  const [chosen, choose] = useState<Observer>('access-network')
  const shown = observers.includes(chosen) ? chosen : observers[0]
  return (
    <div class="matrix-frame" tabIndex={0} role="region" aria-label={texts.sections.matrix}>
      <OneAtATime runs={runs} observers={observers} shown={shown} choose={choose} />
      <table class="matrix">
        <thead>
          <tr>
            <th scope="col">{texts.matrix.observer}</th>
            <th scope="col">{texts.matrix.way}</th>
            {INFORMATION.map((information) => (
              <th key={information} scope="col">
                {texts.information[information]}
              </th>
            ))}
          </tr>
        </thead>
        {members.length > 1 && (
          <Group
            name={texts.matrix.joined(members.map((observer) => texts.parties[observer]))}
            shown
            replay={replay}
            cell={(pane, information) => together(runs[pane], members, information)}
            open={open}
          />
        )}
        {observers.map((observer) => (
          <Group
            key={observer}
            name={texts.parties[observer]}
            replay={replay}
            cell={(pane, information) => cellOf(runs[pane], observer, information)}
            open={open}
            shown={observer === shown}
            note={
              changesOf(observer, runs.left, runs.right)?.length === 0
                ? texts.matrix.unchanged[observer]
                : undefined
            }
          />
        ))}
      </table>
    </div>
  )
}

interface OneAtATimeProps {
  readonly runs: Runs
  readonly observers: readonly Observer[]
  readonly shown: Observer | undefined
  readonly choose: (observer: Observer) => void
}

/** On a phone: the observers with how much changes for each, and the cells of one of them. */
function OneAtATime({ runs, observers, shown, choose }: OneAtATimeProps): JSX.Element {
  const texts = useTexts()
  return (
    <fieldset class="one-at-a-time">
      <legend>{texts.matrix.observer}</legend>
      {observers.map((observer) => {
        const changes = changesOf(observer, runs.left, runs.right)?.length
        return (
          <label key={observer}>
            <input
              type="radio"
              name="shown-observer"
              checked={observer === shown}
              onChange={() => choose(observer)}
            />
            <span>{texts.parties[observer]}</span>
            {changes !== undefined && (
              <span class="changes">{texts.matrix.changes(changes, INFORMATION.length)}</span>
            )}
          </label>
        )
      })}
    </fieldset>
  )
}

interface GroupProps {
  readonly name: string
  /** Whether a phone shows it: it has room for one observer. */
  readonly shown: boolean
  readonly replay: ReplayState
  readonly cell: (pane: Pane, information: Information) => Cell | undefined
  readonly open: (asked: Asked) => void
  /** Said of the whole group: that nothing changes. */
  readonly note?: string | undefined
}

function Group({ name, shown, replay, cell, open, note }: GroupProps): JSX.Element {
  const texts = useTexts()
  return (
    <tbody class={`${note === undefined ? '' : 'unchanged'} ${shown ? '' : 'not-shown'}`.trim()}>
      {PANES.map((pane) => (
        <tr key={pane}>
          {pane === 'left' && (
            <th scope="rowgroup" rowSpan={note === undefined ? 2 : 3}>
              {name}
            </th>
          )}
          <th scope="row">{modeName(texts, replay.order[pane])}</th>
          {INFORMATION.map((information) => {
            const found = cell(pane, information)
            const value = found?.value ?? 'not-measured'
            const changed = pane === 'right' && differs(cell('left', information), found)
            return (
              <td key={information} class={changed ? 'changed' : undefined}>
                <button
                  type="button"
                  class={`cell ${value}`}
                  data-label={texts.information[information]}
                  disabled={found === undefined || value === 'not-measured'}
                  onClick={() => found !== undefined && open({ pane, cell: found })}
                >
                  <ValueIcon value={value} />
                  <span>{texts.values[value]}</span>
                  {changed && <span class="unseen">{texts.matrix.changed}</span>}
                </button>
              </td>
            )
          })}
        </tr>
      ))}
      {note !== undefined && (
        <tr class="note">
          <td colSpan={INFORMATION.length + 1}>
            <strong>{note}</strong>
          </td>
        </tr>
      )}
    </tbody>
  )
}
