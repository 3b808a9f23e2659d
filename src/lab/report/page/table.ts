// A table of the report: a caption, heads over its columns, and rows that begin with a head of their own. Pure.
import { markup, type Html } from './html.ts'

export interface TableParts {
  /** Its classes. */
  readonly kind: string
  readonly title: string
  /** What stands behind the title. */
  readonly says?: string
  readonly heads: readonly string[]
  readonly rows: readonly Html[]
}

export function table({ kind, title, says, heads, rows }: TableParts): Html {
  return markup`<table class="${kind}">
    <caption>
      ${title}
      ${says === undefined ? markup`` : markup`<span>${says}</span>`}
    </caption>
    <thead>
      <tr>
        <td></td>
        ${heads.map((head) => markup`<th scope="col">${head}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${rows}
    </tbody>
  </table>`
}
