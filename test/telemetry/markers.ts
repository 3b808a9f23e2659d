// Random words that stand in every field of the privacy test, and the search for them in what the gateway wrote: as
// they are, in hex, percent-encoded and in base64 at each of its three alignments.
import { randomBytes } from 'node:crypto'

/** Letters only, so that each can be a name, a label and a word of a password alike. */
export function newMarker(): string {
  return `mk${[...randomBytes(10)].map((byte) => String.fromCharCode(97 + (byte % 26))).join('')}`
}

/** The forms under which `marker` can stand in a text; base64 without the characters that its neighbours share. */
export function formsOf(marker: string): string[] {
  const bytes = Buffer.from(marker)
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    const tail = (shift + bytes.length) % 3 === 0 ? text.length : text.length - 1
    return text.slice([0, 2, 3][shift], tail)
  })
  const hex = bytes.toString('hex')
  return [marker, hex, hex.replaceAll(/../g, '%$&'), ...base64]
}

/** Which of the markers stand in the text, under any form; base64 is told from the rest by its case. */
export function findMarkers(text: string, markers: Readonly<Record<string, string>>): string[] {
  const lower = text.toLowerCase()
  return Object.entries(markers)
    .filter(([, marker]) =>
      formsOf(marker).some((form) => text.includes(form) || lower.includes(form.toLowerCase())),
    )
    .map(([field]) => field)
}
