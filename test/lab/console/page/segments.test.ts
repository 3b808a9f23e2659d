// How bytes are cut for the eye: no byte is lost or shown twice, what is encrypted never becomes text, and text in any
// script stays whole.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  coarse,
  isText,
  openBytes,
  segmentsOf,
  stringsOf,
  textOf,
} from '../../../../src/lab/console/page/segments.ts'
import type { Mark } from '../../../../src/lab/console/wire.ts'

const mark = (kind: Mark['kind'], offset: number, length: number, name = 'x'): Mark => ({
  kind,
  offset,
  length,
  name,
  encoding: 'plain',
})
const piece = (text: string, ...marks: Mark[]): { bytes: string; marks: Mark[] } => ({
  bytes: Buffer.from(text).toString('base64'),
  marks,
})
const shown = (segments: ReturnType<typeof segmentsOf>): string[] =>
  segments.map(({ kind, bytes }) => `${kind} ${Buffer.from(bytes).toString()}`)

describe('segmentsOf', () => {
  it('lets a word outweigh the seal, and the seal a field', () => {
    expect(
      shown(segmentsOf(piece('abcdefghij', mark('field', 0, 6), mark('sealed', 2, 6), mark('word', 4, 2)))),
    ).toEqual(['field ab', 'sealed cd', 'word ef', 'sealed gh', 'plain ij'])
  })

  it('keeps a word whole that a field begins in', () => {
    expect(shown(segmentsOf(piece('0123456789', mark('word', 2, 6), mark('field', 4, 6))))).toEqual([
      'plain 01',
      'word 234567',
      'field 89',
    ])
  })

  it('keeps two words apart that touch', () => {
    expect(shown(segmentsOf(piece('aabb', mark('word', 0, 2, 'a'), mark('word', 2, 2, 'a'))))).toEqual([
      'word aa',
      'word bb',
    ])
  })

  it('loses no byte, whatever is marked', () => {
    const marks = fc.array(
      fc.record({
        kind: fc.constantFrom('sealed' as const, 'field' as const, 'word' as const),
        offset: fc.nat(50),
        length: fc.integer({ min: 1, max: 20 }),
        name: fc.constantFrom('a', 'b'),
        encoding: fc.constant(''),
      }),
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), marks, (bytes, list) => {
        const segments = segmentsOf({ bytes: Buffer.from(bytes).toString('base64'), marks: list })
        for (const cut of [segments, coarse(segments)])
          expect(Buffer.concat(cut.map((segment) => segment.bytes))).toEqual(Buffer.from(bytes))
      }),
    )
  })
})

describe('coarse', () => {
  it('makes one seal of records that follow one another, and counts their payloads alone', () => {
    const segments = segmentsOf(piece('hhhhhSSSShhhhhSSthe end', mark('sealed', 5, 4), mark('sealed', 14, 2)))
    expect(coarse(segments).map(({ kind, count }) => [kind, count])).toEqual([
      ['plain', 5],
      ['sealed', 6],
      ['plain', 7],
    ])
    expect(Buffer.from(openBytes(segments)).toString()).toBe('hhhhhhhhhhthe end')
  })
})

describe('text', () => {
  it('knows text in any script from bytes that are none', () => {
    expect(isText(Buffer.from('POST / HTTP/1.1\r\n\r\nمیں منگل کو بیمار ہوں'))).toBe(true)
    expect(isText(Buffer.from([22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, 0xff, 0xfe, 0x90]))).toBe(false)
    expect(textOf(Buffer.from('a\r\nb\u0000c منگل'))).toBe('a\nb·c منگل')
  })

  it('finds strings in bytes, and counts the bytes between', () => {
    const bytes = Buffer.concat([
      Buffer.from([0, 1, 2]),
      Buffer.from('riverside'),
      Buffer.from([255]),
      Buffer.from('ab'),
    ])
    expect(stringsOf(bytes)).toEqual([
      { kind: 'binary', text: '', bytes: 3 },
      { kind: 'text', text: 'riverside', bytes: 9 },
      { kind: 'binary', text: '', bytes: 3 },
    ])
  })
})
