// Cuts a piece into stretches that look one way each. Pure. Rule: a word that was looked for outweighs the seal, which
// outweighs a field; nothing is drawn as text that is encrypted.
import type { Mark, Piece } from '../wire.ts'

export interface Segment {
  readonly kind: 'plain' | 'field' | 'word' | 'sealed'
  readonly name: string
  readonly encoding: string
  readonly offset: number
  readonly bytes: Uint8Array
  /** How many of them are of this kind: less, where a seal takes in the headers of its records. */
  readonly count: number
}

const WEIGHT: Readonly<Record<Mark['kind'], number>> = { field: 1, sealed: 2, word: 3 }

/** RFC 8446 section 5.1. */
const RECORD_HEADER_BYTES = 5

function bytesOf({ bytes }: Pick<Piece, 'bytes'>): Uint8Array {
  return Uint8Array.from(atob(bytes), (character) => character.charCodeAt(0))
}

/** All of the piece's bytes, in order, without a gap. */
export function segmentsOf(piece: Pick<Piece, 'bytes' | 'marks'>): Segment[] {
  const bytes = bytesOf(piece)
  const cuts = new Set([0, bytes.length])
  for (const { offset, length } of piece.marks) cuts.add(offset).add(Math.min(offset + length, bytes.length))
  const places = [...cuts].filter((place) => place <= bytes.length).toSorted((a, b) => a - b)
  const segments: Segment[] = []
  for (const [index, start] of places.entries()) {
    const end = places[index + 1]
    if (end === undefined) break
    const mark = topMark(piece.marks, start)
    const last = segments.at(-1)
    const kind = mark?.kind ?? 'plain'
    const name = mark?.name ?? ''
    const goesOn =
      last?.kind === kind && last.name === name && (kind !== 'word' || goesThrough(piece.marks, start))
    if (last !== undefined && goesOn)
      segments[segments.length - 1] = grown(last, bytes.subarray(last.offset, end), end - start)
    else
      segments.push({
        kind,
        name,
        encoding: mark?.encoding ?? '',
        offset: start,
        bytes: bytes.subarray(start, end),
        count: end - start,
      })
  }
  return segments
}

function topMark(marks: readonly Mark[], at: number): Mark | undefined {
  let top: Mark | undefined
  for (const mark of marks) {
    if (at < mark.offset || at >= mark.offset + mark.length) continue
    // Of two of a kind, the inner one: it says more.
    if (top === undefined || WEIGHT[mark.kind] >= WEIGHT[top.kind]) top = mark
  }
  return top
}

/** A word's mark covers this cut, so that the stretch goes on. */
function goesThrough(marks: readonly Mark[], at: number): boolean {
  return marks.some(({ kind, offset, length }) => kind === 'word' && offset < at && at < offset + length)
}

function grown(segment: Segment, bytes: Uint8Array, more: number): Segment {
  return { ...segment, bytes, count: segment.count + more }
}

/** All that is not encrypted, joined. */
export function openBytes(segments: readonly Segment[]): Uint8Array {
  return Uint8Array.from(segments.filter(({ kind }) => kind !== 'sealed').flatMap(({ bytes }) => [...bytes]))
}

/**
 * In a protocol of bytes, fields and the headers of records would cut it to crumbs: only words stand out of what is
 * open, and records that follow one another are one seal.
 */
export function coarse(segments: readonly Segment[]): Segment[] {
  const open = segments.map((segment): Segment =>
    segment.kind === 'field' ? { ...segment, kind: 'plain', name: '' } : segment,
  )
  const joined: Segment[] = []
  for (const [index, segment] of open.entries()) {
    const last = joined.at(-1)
    const isHeader =
      segment.kind === 'plain' &&
      segment.bytes.length <= RECORD_HEADER_BYTES &&
      open[index + 1]?.kind === 'sealed'
    const goesOn = last?.kind === segment.kind ? segment.kind !== 'word' : last?.kind === 'sealed' && isHeader
    if (last === undefined || !goesOn) joined.push(segment)
    else
      joined[joined.length - 1] = grown(
        last,
        Uint8Array.from([...last.bytes, ...segment.bytes]),
        isHeader && last.kind === 'sealed' ? 0 : segment.count,
      )
  }
  return joined
}

export interface Run {
  readonly kind: 'text' | 'binary'
  readonly text: string
  readonly bytes: number
}

const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\ufffd]/u
/** Bytes of another protocol than text hold shorter runs of printable ones by chance. */
const SHORTEST_STRING = 9

/** Whether a person can read the bytes as text: UTF-8 with hardly anything else in it. */
export function isText(bytes: Uint8Array): boolean {
  let odd = 0
  let all = 0
  for (const character of new TextDecoder().decode(bytes)) {
    all += 1
    if (!isBreak(character) && UNPRINTABLE.test(character)) odd += 1
  }
  return odd * 20 <= all
}

/** Text as it is, with a dot for what cannot be shown. */
export function textOf(bytes: Uint8Array): string {
  let text = ''
  for (const character of new TextDecoder().decode(bytes)) {
    if (character === '\r') continue
    text += isBreak(character) || !UNPRINTABLE.test(character) ? character : '·'
  }
  return text
}

/** Bytes that are no text: what stands in them in ASCII, and how many others lie between. */
export function stringsOf(bytes: Uint8Array): Run[] {
  const runs: Run[] = []
  let start = 0
  const push = (kind: Run['kind'], from: number, to: number): void => {
    const last = runs.at(-1)
    if (from === to) return
    if (last?.kind === 'binary' && kind === 'binary')
      runs[runs.length - 1] = { ...last, bytes: last.bytes + to - from }
    else runs.push({ kind, text: kind === 'text' ? textOf(bytes.subarray(from, to)) : '', bytes: to - from })
  }
  for (let at = 0; at <= bytes.length; at += 1) {
    const byte = bytes[at] ?? 0
    if (byte >= 0x20 && byte < 0x7f) continue
    push(at - start >= SHORTEST_STRING ? 'text' : 'binary', start, at)
    push('binary', at, Math.min(at + 1, bytes.length))
    start = at + 1
  }
  return runs
}

function isBreak(character: string): boolean {
  return character === '\n' || character === '\r' || character === '\t'
}
