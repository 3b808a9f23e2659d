// The live view: a request is sent through two modes at once, and what passes is seen from one observer's place.
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { Observer } from '../../../policy/exposure.ts'
import type { Show } from './bytes.tsx'
import { Line } from './line.tsx'
import { OrderForm, type Ordering } from './order-form.tsx'
import { PaneView } from './pane.tsx'
import type { State } from './state.ts'

interface WatchProps {
  readonly state: State
  readonly ordering: Ordering
}

export function Watch({ state, ordering }: WatchProps): JSX.Element {
  const [observer, setObserver] = useState<Observer>('access-network')
  const [show, setShow] = useState<Show>('text')
  return (
    <>
      <OrderForm state={state} ordering={ordering} words />
      <Line replay={state.replay} observer={observer} choose={setObserver} />
      <div class="panes">
        {(['left', 'right'] as const).map((pane) => (
          <PaneView
            key={pane}
            pane={pane}
            replay={state.replay}
            observer={observer}
            show={show}
            setShow={setShow}
          />
        ))}
      </div>
    </>
  )
}
