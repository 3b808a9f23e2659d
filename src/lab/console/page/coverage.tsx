// What the modes do not cover, as measured, and what no measurement of one request can say.
import type { JSX } from 'preact'
import type { LabRun } from '../../model.ts'
import { useTexts } from './context.ts'
import { modeName } from './names.ts'

export function Coverage({ runs }: { readonly runs: readonly LabRun[] }): JSX.Element {
  const texts = useTexts()
  return (
    <section class="card coverage" aria-labelledby="coverage">
      <h2 id="coverage">{texts.coverage.heading}</h2>
      {runs.map((run) => (
        <div key={`${run.mode} ${run.variant}`}>
          <h3>{modeName(texts, run)}</h3>
          {run.coverage.length === 0 ? (
            <p>{texts.coverage.unknown}</p>
          ) : (
            <ul>
              {run.coverage.map(({ traffic, outside }) => (
                <li key={traffic} class={outside ? 'clear' : 'sealed'}>
                  {texts.coverage.traffic[traffic]}:{' '}
                  {outside ? texts.coverage.outside : texts.coverage.inside}
                </li>
              ))}
            </ul>
          )}
        </div>
      ))}
      <ul class="facts">
        {texts.coverage.facts.map((fact) => (
          <li key={fact}>{fact}</li>
        ))}
      </ul>
    </section>
  )
}
