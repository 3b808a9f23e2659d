// What a person chose of the page itself: language, theme and part. Kept in this browser alone; the address can say the
// language too (?lang=ur), so that a lesson can link to it.
import { useEffect, useState } from 'preact/hooks'
import { SECTIONS, type Catalogue, type Section, type Theme } from './texts/catalogue.ts'
import { EN } from './texts/en.ts'
import { UR } from './texts/ur.ts'

export const LANGUAGES = { en: { texts: EN, dir: 'ltr' }, ur: { texts: UR, dir: 'rtl' } } as const
export type Language = keyof typeof LANGUAGES
const THEMES: readonly Theme[] = ['auto', 'light', 'dark']

export function textsOf(language: Language): Catalogue {
  return LANGUAGES[language].texts
}

function isLanguage(value: string | null): value is Language {
  return value !== null && Object.hasOwn(LANGUAGES, value)
}

export function useLanguage(): [Language, (language: Language) => void] {
  const [language, setLanguage] = useState<Language>(() => {
    const asked = new URLSearchParams(location.search).get('lang')
    if (isLanguage(asked)) return asked
    const kept = localStorage.getItem('language')
    if (isLanguage(kept)) return kept
    return navigator.language.startsWith('ur') ? 'ur' : 'en'
  })
  useEffect(() => {
    localStorage.setItem('language', language)
    document.documentElement.lang = language
    document.documentElement.dir = LANGUAGES[language].dir
    document.title = textsOf(language).title
  }, [language])
  return [language, setLanguage]
}

export function useTheme(): [Theme, () => void] {
  const [theme, setTheme] = useState<Theme>(
    () => THEMES.find((known) => known === localStorage.getItem('theme')) ?? 'auto',
  )
  useEffect(() => {
    localStorage.setItem('theme', theme)
    if (theme === 'auto') delete document.documentElement.dataset['theme']
    else document.documentElement.dataset['theme'] = theme
  }, [theme])
  return [theme, () => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'auto')]
}

export function useSection(): Section {
  const read = (): Section => SECTIONS.find((section) => `#${section}` === location.hash) ?? 'watch'
  const [section, setSection] = useState(read)
  useEffect(() => {
    const changed = (): void => setSection(read())
    addEventListener('hashchange', changed)
    return () => removeEventListener('hashchange', changed)
  }, [])
  return section
}
