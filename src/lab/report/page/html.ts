// HTML put together from templates. Pure. Rule: whatever is put into a template is text and is escaped, in content and in
// quoted attributes alike; only what a template made goes in as it is.

/** What a template made: markup, with all text in it escaped. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** A template of HTML. Attributes stand in double quotes. (Not called `html`: formatters take that for text they may wrap.) */
export function markup(
  pieces: TemplateStringsArray,
  ...values: ReadonlyArray<string | number | Html | readonly Html[]>
): Html {
  const text = pieces.map((piece, index) => {
    const value = values[index]
    return value === undefined ? piece : piece + written(value)
  })
  return new Html(text.join(''))
}

function written(value: string | number | Html | readonly Html[]): string {
  if (value instanceof Html) return value.text
  if (typeof value === 'object') return value.map(({ text }) => text).join('')
  return String(value).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}
