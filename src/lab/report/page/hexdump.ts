// The bytes of a frame as rows of eight, which fit a narrow screen, with those that prove something marked. Pure. Rule:
// what is marked is exactly the range given, as far as the frame goes; rows far from it are left out.
import { markup, type Html } from './html.ts'

const ROW_BYTES = 8
const ROWS_AROUND = 1
const MAX_ROWS = 14

/** Marks `length` bytes from `offset` on. */
export function hexdump(bytes: Uint8Array, offset: number, length: number): Html {
  const end = Math.min(offset + length, bytes.length)
  const firstRow = Math.max(0, Math.floor(offset / ROW_BYTES) - ROWS_AROUND)
  const lastRow = Math.min(
    Math.ceil(bytes.length / ROW_BYTES) - 1,
    Math.floor(Math.max(offset, end - 1) / ROW_BYTES) + ROWS_AROUND,
    firstRow + MAX_ROWS - 1,
  )
  const rows: Html[] = []
  for (let row = firstRow; row <= lastRow; row += 1) rows.push(hexRow(bytes, row * ROW_BYTES, offset, end))
  const left = Math.max(0, end - (lastRow + 1) * ROW_BYTES)
  const more = left === 0 ? '' : `and ${left} bytes more of it`
  return markup`<pre class="hex" tabindex="0">${rows}${more}</pre>`
}

/** Place, bytes in hex, bytes as text: each in three parts, of which the middle one is marked. */
function hexRow(bytes: Uint8Array, at: number, from: number, to: number): Html {
  const row = bytes.subarray(at, at + ROW_BYTES)
  const start = Math.min(Math.max(from - at, 0), row.length)
  const stop = Math.min(Math.max(to - at, start), row.length)
  const parts = [row.subarray(0, start), row.subarray(start, stop), row.subarray(stop)] as const
  const hex = parts.map(hexOf)
  const text = parts.map(textOf)
  const gapBefore = start > 0 && stop > start ? ' ' : ''
  const gapAfter = stop > 0 && stop < row.length ? ' ' : ''
  const width = hex.join('').length + gapBefore.length + gapAfter.length
  const padding = ' '.repeat(ROW_BYTES * 3 - width + 1)
  const place = at.toString(16).padStart(4, '0')
  return markup`<span class="place">${place}</span>${'  '}${hex[0] ?? ''}${gapBefore}${marked(hex[1])}${gapAfter}${hex[2] ?? ''}${padding}${text[0] ?? ''}${marked(text[1])}${text[2] ?? ''}${'\n'}`
}

function marked(text = ''): Html {
  return text === '' ? markup`` : markup`<mark>${text}</mark>`
}

function hexOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
}

function textOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => (byte >= 0x20 && byte <= 0x7e ? String.fromCharCode(byte) : '.')).join('')
}
