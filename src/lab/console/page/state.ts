// What the page knows, made of what the server told. Pure. Rule: a new replay takes the place of the last one, so that
// the page holds one replay however long it runs.
import type { Observer } from '../../../policy/exposure.ts'
import type { LabRun } from '../../model.ts'
import type { ConsoleEvent, GatewayFacts, Order, Pane, Piece, Welcome } from '../wire.ts'

export interface PaneState {
  readonly pieces: Readonly<Partial<Record<Observer, readonly Piece[]>>>
  readonly run: LabRun | undefined
  /** Names of the capture files that can be had. */
  readonly captures: readonly string[]
}

export interface ReplayState {
  readonly number: number
  readonly order: Order
  readonly status: 'running' | 'done' | 'failed'
  readonly detail: string
  readonly panes: Readonly<Record<Pane, PaneState>>
}

export interface State {
  readonly connected: boolean
  readonly welcome: Welcome | undefined
  readonly gateway: GatewayFacts | undefined
  readonly replay: ReplayState | undefined
}

export const START: State = { connected: true, welcome: undefined, gateway: undefined, replay: undefined }
const EMPTY: PaneState = { pieces: {}, run: undefined, captures: [] }

export type Told = ConsoleEvent | { readonly type: 'lost' }

export function tell(state: State, event: Told): State {
  switch (event.type) {
    case 'lost':
      return { ...state, connected: false }
    case 'welcome':
      return { ...state, connected: true, welcome: event.welcome }
    case 'gateway':
      return { ...state, gateway: event.gateway }
    case 'replay':
      return {
        ...state,
        replay: {
          number: event.replay,
          order: event.order,
          status: 'running',
          detail: '',
          panes: { left: EMPTY, right: EMPTY },
        },
      }
    default:
      break
  }
  const { replay } = state
  if (replay?.number !== event.replay) return state
  switch (event.type) {
    case 'pieces': {
      const pane = replay.panes[event.pane]
      const pieces = {
        ...pane.pieces,
        [event.observer]: join(pane.pieces[event.observer] ?? [], event.pieces),
      }
      return {
        ...state,
        replay: { ...replay, panes: { ...replay.panes, [event.pane]: { ...pane, pieces } } },
      }
    }
    case 'run': {
      const pane = { ...replay.panes[event.pane], run: event.run, captures: event.captures }
      return { ...state, replay: { ...replay, panes: { ...replay.panes, [event.pane]: pane } } }
    }
    case 'done':
      return { ...state, replay: { ...replay, status: 'done' } }
    case 'failed':
      return {
        ...state,
        replay: { ...replay, status: 'failed', detail: `${event.detail} ${event.hint}`.trim() },
      }
  }
}

/** New pieces take the place of those with their ids; all in the order of time. */
function join(old: readonly Piece[], fresh: readonly Piece[]): readonly Piece[] {
  const ids = new Set(fresh.map(({ id }) => id))
  return [...old.filter(({ id }) => !ids.has(id)), ...fresh].toSorted((a, b) => a.atMs - b.atMs)
}
