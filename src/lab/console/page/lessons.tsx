// The lessons, each with what it asks and how long it takes; the pages themselves are files beside the program.
import type { JSX } from 'preact'
import { useTexts } from './context.ts'

export function Lessons(): JSX.Element {
  const texts = useTexts()
  return (
    <section class="lessons" aria-labelledby="lessons">
      <h2 id="lessons">{texts.lessons.heading}</h2>
      <p>{texts.lessons.says}</p>
      <ol class="cards">
        {texts.lessons.list.map(({ title, about, minutes, file }) => (
          <li key={file} class="card">
            <h3>{title}</h3>
            <p>{about}</p>
            <p class="lesson-file">
              {texts.lessons.minutes(minutes)} · <bdi>docs/lessons/{file}</bdi>
            </p>
          </li>
        ))}
      </ol>
      <h3>{texts.lessons.own}</h3>
      <p>{texts.lessons.ownSays}</p>
      <pre class="command" dir="ltr" tabIndex={0}>
        npm start -- --seed maryam{'\n'}npx sightline lab grade maryam.yaml
      </pre>
    </section>
  )
}
