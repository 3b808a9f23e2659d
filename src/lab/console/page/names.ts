// How modes are called: the person's word, and the program's own beside it where it says more.
import type { Choice } from '../wire.ts'
import type { Catalogue } from './texts/catalogue.ts'

export function modeName(texts: Catalogue, { mode, variant }: Choice): string {
  return `${texts.modes[mode]}${variant === null ? '' : ` (${variant})`}`
}
