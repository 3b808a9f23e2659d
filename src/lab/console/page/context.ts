// What every part of the page may need: the texts of the chosen language.
import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import type { Catalogue } from './texts/catalogue.ts'
import { EN } from './texts/en.ts'

export const Texts = createContext<Catalogue>(EN)
export const useTexts = (): Catalogue => useContext(Texts)
