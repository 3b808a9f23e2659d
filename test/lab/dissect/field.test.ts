// Places in joined bytes must lead back to the stream, across the framing between the pieces.
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { locate, type Span } from '../../../src/lab/dissect/field.ts'

const SPANS: readonly Span[] = [
  { at: 0, offset: 10, length: 4 },
  { at: 4, offset: 20, length: 6 },
]

describe('locate', () => {
  it.each([
    ['inside a piece', 1, 2, { offset: 11, length: 2 }],
    ['to the end of a piece', 0, 4, { offset: 10, length: 4 }],
    ['across two pieces, framing and all', 3, 2, { offset: 13, length: 8 }],
    ['nothing, inside', 4, 0, { offset: 20, length: 0 }],
    ['nothing, at the very end', 10, 0, { offset: 26, length: 0 }],
  ])('finds %s', (_, at, length, place) => {
    expect(locate(SPANS, at, length)).toEqual(place)
  })

  it('does not invent a place past the end', () => {
    expect(locate(SPANS, 9, 2)).toBeUndefined()
    expect(locate(SPANS, 11, 0)).toBeUndefined()
    expect(locate([], 0, 1)).toBeUndefined()
  })

  it('agrees with a naive walk', () => {
    const pieces = fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 1, max: 5 })), {
      minLength: 1,
    })
    fc.assert(
      fc.property(pieces, fc.nat(), fc.nat(), (gaps, from, to) => {
        const spans: Span[] = []
        const origin: number[] = []
        let offset = 0
        for (const [gap, length] of gaps) {
          offset += gap
          spans.push({ at: origin.length, offset, length })
          for (let index = 0; index < length; index += 1) origin.push(offset + index)
          offset += length
        }
        const at = from % origin.length
        const length = 1 + (to % (origin.length - at))
        const first = origin[at] ?? 0
        expect(locate(spans, at, length)).toEqual({
          offset: first,
          length: (origin[at + length - 1] ?? 0) - first + 1,
        })
      }),
    )
  })
})
