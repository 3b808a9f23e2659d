// The bytes of an identity over all workers: parts that are never more than the whole, and follow what moves; and a day's
// count that includes the others, the ended ones too.
import { describe, expect, it } from 'vitest'
import { ByteBook } from '../../src/workers/byte-book.ts'

const [ONE, OTHER, THIRD] = [1, 2, 3]
const KEY = 'user:alice'
const DAY_MS = 86_400_000

function make(before = 0): {
  book: ByteBook
  clock: { epochMs: number }
  count: (worker: number, used: number, moved?: number) => void
} {
  const clock = { epochMs: 10 * DAY_MS }
  const book = new ByteBook(
    () => clock.epochMs,
    () => before,
  )
  const count = (worker: number, used: number, moved = used): void =>
    book.count(worker, [{ key: KEY, day: Math.floor(clock.epochMs / DAY_MS), used, moved }])
  return { book, clock, count }
}

const sharesIn = (book: ByteBook): Record<number, number> =>
  Object.fromEntries([...book.look()].map(([worker, [told]]) => [worker, told!.share]))

describe('the bytes a second of an identity', () => {
  it('are all its own in one worker, and shared equally at first', () => {
    const { book } = make()
    expect(book.enter(ONE, KEY).share).toBe(1)
    expect(book.look().size).toBe(0)
    expect(book.enter(OTHER, KEY).share).toBe(0.5)
    expect(sharesIn(book)).toEqual({ [ONE]: 0.5, [OTHER]: 0.5 })
  })

  it('follow what moves, leave a part to who begins again, and are never more than the whole', () => {
    const { book, count } = make()
    for (const worker of [ONE, OTHER, THIRD]) book.enter(worker, KEY)
    book.look()
    count(ONE, 900)
    count(OTHER, 100)
    const shares = sharesIn(book)
    expect(shares[ONE]).toBeGreaterThan(0.7)
    expect(shares[THIRD]).toBeGreaterThan(0.05)
    expect(Object.values(shares).reduce((sum, share) => sum + share, 0)).toBeCloseTo(1)
  })

  it('go to the others when a worker has nothing open any more, or has ended', () => {
    const { book } = make()
    for (const worker of [ONE, ONE, OTHER, THIRD]) book.enter(worker, KEY)
    book.leave(ONE, KEY)
    book.gone(THIRD)
    expect(sharesIn(book)).toEqual({ [ONE]: 0.5, [OTHER]: 0.5 })
    book.leave(ONE, KEY)
    expect(book.enter(OTHER, KEY).share).toBe(0.5)
    book.look()
    expect(book.enter(OTHER, KEY).share).toBe(1)
  })
})

describe('the bytes of a day', () => {
  it('are told to each worker as what the others count', () => {
    const { book, count } = make()
    book.enter(ONE, KEY)
    count(ONE, 700)
    expect(book.enter(OTHER, KEY)).toMatchObject({ day: 10, elsewhere: 700 })
    count(OTHER, 50)
    // A whole count, not what came since: said twice it counts once.
    count(ONE, 700, 0)
    const told = Object.fromEntries([...book.look()].map(([worker, [share]]) => [worker, share!.elsewhere]))
    expect(told).toEqual({ [ONE]: 50, [OTHER]: 700 })
  })

  it('begin with what was written down before this start, until midnight', () => {
    const { book, clock, count } = make(500)
    expect(book.enter(ONE, KEY).elsewhere).toBe(500)
    count(ONE, 100)
    expect(book.enter(ONE, KEY).elsewhere).toBe(500)
    expect(book.enter(OTHER, KEY).elsewhere).toBe(600)
    clock.epochMs += DAY_MS
    book.enter(OTHER, KEY)
    expect(book.enter(OTHER, KEY).elsewhere).toBe(0)
  })

  it('stay counted when their worker ends, and end at midnight', () => {
    const { book, clock, count } = make()
    book.enter(ONE, KEY)
    count(ONE, 700)
    book.gone(ONE)
    expect(book.enter(OTHER, KEY).elsewhere).toBe(700)
    clock.epochMs += DAY_MS
    expect(book.enter(OTHER, KEY)).toMatchObject({ day: 11, elsewhere: 0 })
  })
})
