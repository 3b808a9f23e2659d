// The frame of the page: who we are, its parts, language and theme.
import type { JSX } from 'preact'
import { LANGUAGES, textsOf, useLanguage, useSection, useTheme, type Language } from './choose.ts'
import { Texts, useTexts } from './context.ts'
import { CostPart } from './cost.tsx'
import { GatewayPart } from './gateway.tsx'
import { Lessons } from './lessons.tsx'
import { Matrix } from './matrix.tsx'
import { useOrdering } from './order-form.tsx'
import { useServer } from './server.ts'
import type { State } from './state.ts'
import { SECTIONS, type Section, type Theme } from './texts/catalogue.ts'
import { Watch } from './watch.tsx'

export function App(): JSX.Element {
  const [language, setLanguage] = useLanguage()
  const [theme, nextTheme] = useTheme()
  const section = useSection()
  const state = useServer()
  const texts = textsOf(language)
  return (
    <Texts.Provider value={texts}>
      <a class="skip" href="#main" onClick={focusMain}>
        {texts.skip}
      </a>
      <Head
        section={section}
        language={language}
        setLanguage={setLanguage}
        theme={theme}
        nextTheme={nextTheme}
      />
      {!state.connected && (
        <p class="notice" role="alert">
          {texts.offline}
        </p>
      )}
      <main id="main" tabIndex={-1}>
        <Parts section={section} state={state} />
      </main>
      {texts.notReviewed !== '' && <footer class="foot">{texts.notReviewed}</footer>}
    </Texts.Provider>
  )
}

/** The address's hash says which part is shown, so that the skip link moves the focus itself. */
function focusMain(event: Event): void {
  event.preventDefault()
  document.getElementById('main')?.focus()
}

interface HeadProps {
  readonly section: Section
  readonly language: Language
  readonly setLanguage: (language: Language) => void
  readonly theme: Theme
  readonly nextTheme: () => void
}

function Head({ section, language, setLanguage, theme, nextTheme }: HeadProps): JSX.Element {
  const texts = useTexts()
  return (
    <header class="head">
      <h1>
        <bdi>Sightline</bdi>
        <span class="tagline">{texts.tagline}</span>
      </h1>
      <nav aria-label={texts.sectionsLabel}>
        <ul>
          {SECTIONS.map((name) => (
            <li key={name}>
              <a href={`#${name}`} aria-current={name === section ? 'page' : undefined}>
                {texts.sections[name]}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div class="chooses">
        <label>
          <span class="unseen">{texts.languageLabel}</span>
          <select
            value={language}
            onChange={({ currentTarget }) => setLanguage(currentTarget.value as Language)}
          >
            {(Object.keys(LANGUAGES) as Language[]).map((name) => (
              <option key={name} value={name} lang={name}>
                {textsOf(name).language}
              </option>
            ))}
          </select>
        </label>
        <button type="button" class="quiet" onClick={nextTheme}>
          {texts.themes[theme]}
        </button>
      </div>
    </header>
  )
}

function Parts({ section, state }: { readonly section: Section; readonly state: State }): JSX.Element {
  const ordering = useOrdering(state)
  switch (section) {
    case 'watch':
      return <Watch state={state} ordering={ordering} />
    case 'matrix':
      return <Matrix state={state} ordering={ordering} />
    case 'cost':
      return <CostPart state={state} />
    case 'gateway':
      return <GatewayPart state={state} />
    case 'lessons':
      return <Lessons />
  }
}
