// What each mode costs beside what it hides: from the bench's own results where it left some, and measured now through the
// gateway that runs here.
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { Cost } from '../wire.ts'
import { useTexts } from './context.ts'
import { modeName } from './names.ts'
import { askCost } from './server.ts'
import type { State } from './state.ts'

type Measured = 'not-yet' | 'measuring' | 'failed' | readonly Cost[]

export function CostPart({ state }: { readonly state: State }): JSX.Element {
  const texts = useTexts()
  const bench = state.welcome?.bench
  const [measured, setMeasured] = useState<Measured>('not-yet')
  const measure = async (): Promise<void> => {
    setMeasured('measuring')
    setMeasured((await askCost()) ?? 'failed')
  }
  return (
    <section class="card" aria-labelledby="cost">
      <h2 id="cost">{texts.cost.heading}</h2>
      {bench !== null && bench !== undefined && (
        <>
          <p>{texts.cost.bench(new Date(bench.startedAt), bench.machine)}</p>
          <CostTable costs={bench.costs} />
        </>
      )}
      {state.welcome?.gateway === false ? (
        <p>{texts.gateway.none}</p>
      ) : (
        <>
          <p>{texts.cost.says}</p>
          <p>
            <button
              type="button"
              class="send"
              aria-disabled={measured === 'measuring'}
              onClick={() => measured !== 'measuring' && void measure()}
            >
              {measured === 'measuring' ? texts.cost.measuring : texts.cost.measure}
            </button>
          </p>
        </>
      )}
      <div role="status">{measured === 'failed' && <p class="problem">{texts.cost.failed}</p>}</div>
      {typeof measured === 'object' && (
        <div class="now">
          <CostTable costs={measured} />
        </div>
      )}
    </section>
  )
}

type Figure = 'latencyMs' | 'megabytesPerSecond'

function CostTable({ costs }: { readonly costs: readonly Cost[] }): JSX.Element {
  const texts = useTexts()
  const slowest = Math.max(...costs.map(({ latencyMs }) => latencyMs))
  const withRange = (cost: Cost, figure: Figure, say: (value: number) => string): string => {
    const range = cost.ranges?.[figure]
    return range === undefined
      ? say(cost[figure])
      : texts.cost.range(say(cost[figure]), say(range[0]), say(range[1]))
  }
  const fastest = Math.max(...costs.map(({ megabytesPerSecond }) => megabytesPerSecond))
  return (
    <>
      <table class="plain-table cost-table">
        <thead>
          <tr>
            <th scope="col">{texts.matrix.way}</th>
            <th scope="col">{texts.cost.latency}</th>
            <th scope="col">{texts.cost.speed}</th>
            <th scope="col" class="hides">
              {texts.cost.hides}
            </th>
          </tr>
        </thead>
        <tbody>
          {costs.map((cost) => (
            <tr key={`${cost.mode} ${cost.variant}`}>
              <th scope="row">{modeName(texts, cost)}</th>
              <td>
                <Bar share={cost.latencyMs / slowest} text={withRange(cost, 'latencyMs', texts.cost.ms)} />
              </td>
              <td>
                <Bar
                  share={cost.megabytesPerSecond / fastest}
                  text={withRange(cost, 'megabytesPerSecond', texts.cost.mbs)}
                />
              </td>
              <td class={cost.hides.length > 0 ? 'hides sealed' : 'hides clear'}>
                <span class="hides-what">{texts.cost.hides}: </span>
                {texts.cost.hidden(cost.hides.map((information) => texts.information[information]))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p>{texts.cost.operator}</p>
    </>
  )
}

/** A figure with a bar under it; the figure says it all, so the bar is hidden from screen readers. */
function Bar({ share, text }: { readonly share: number; readonly text: string }): JSX.Element {
  return (
    <>
      <bdi>{text}</bdi>
      <meter class="bar" min={0} max={1} value={share} aria-hidden="true" />
    </>
  )
}
