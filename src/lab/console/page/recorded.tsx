// What the gateway wrote down of the request, as looked for in all that it wrote and answered. Rule: beside the matrix, which
// says what its operator could read; finding nothing here is a habit of this gateway, and no more.
import type { JSX } from 'preact'
import type { LabRun } from '../../model.ts'
import { useTexts } from './context.ts'
import { modeName } from './names.ts'

export function Recorded({ runs }: { readonly runs: readonly LabRun[] }): JSX.Element {
  const texts = useTexts()
  return (
    <section class="card recorded" aria-labelledby="recorded">
      <h2 id="recorded">{texts.recorded.heading}</h2>
      {runs.map((run) => (
        <div key={`${run.mode} ${run.variant}`}>
          <h3>{modeName(texts, run)}</h3>
          <Audit recorded={run.recorded} />
        </div>
      ))}
      <p>
        {runs.every(({ recorded }) => recorded.found.length === 0) ? texts.recorded.but : texts.recorded.kept}
      </p>
    </section>
  )
}

function Audit({ recorded: { searched, found } }: Pick<LabRun, 'recorded'>): JSX.Element {
  const texts = useTexts()
  if (searched.length === 0) return <p>{texts.recorded.noGateway}</p>
  const bytes = searched.reduce((sum, one) => sum + one.bytes, 0)
  return (
    <>
      <p>{texts.recorded.searched(bytes)}</p>
      <p class={found.length === 0 ? 'sealed' : 'clear'}>
        {found.length === 0 ? texts.recorded.nothing : texts.recorded.found(found.length)}
      </p>
      <ul>
        {kindsOf(found).map(({ source, information, encoding, excerpt, count }) => (
          <li key={`${source} ${information} ${encoding}`}>
            {texts.recorded.sources[source]}: {texts.information[information]} ({encoding}){' '}
            <bdi>×{count}</bdi>
            <div class="excerpt" dir="ltr">
              {excerpt}
            </div>
          </li>
        ))}
      </ul>
    </>
  )
}

type Found = LabRun['recorded']['found'][number]

/** What stands in a log stands there once for each connection: each kind once, with its first excerpt. */
function kindsOf(found: readonly Found[]): Array<Found & { readonly count: number }> {
  const kinds = new Map<string, Found & { readonly count: number }>()
  for (const one of found) {
    const key = `${one.source} ${one.information} ${one.encoding}`
    const before = kinds.get(key)
    kinds.set(key, before === undefined ? { ...one, count: 1 } : { ...before, count: before.count + 1 })
  }
  return [...kinds.values()]
}
