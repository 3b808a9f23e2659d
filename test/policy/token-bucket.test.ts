// The token bucket by the clock that is passed in: bursts, refills, debts.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TokenBucket } from '../../src/policy/token-bucket.ts'

describe('TokenBucket', () => {
  it('gives one second of it at once, then as fast as it fills', () => {
    const bucket = new TokenBucket(2, 0)
    expect([bucket.take(0), bucket.take(0), bucket.take(0)]).toEqual([true, true, false])
    expect([bucket.take(499), bucket.take(500), bucket.take(500)]).toEqual([false, true, false])
  })

  it('saves up one burst, however long it waits', () => {
    const bucket = new TokenBucket(1, 0, 3)
    const taken = Array.from({ length: 5 }, () => bucket.take(1_000_000))
    expect(taken).toEqual([true, true, true, false, false])
  })

  it('goes into debt, and says until when', () => {
    const bucket = new TokenBucket(1_000, 0)
    expect(bucket.spend(1_000, 0)).toBe(0)
    expect(bucket.spend(500, 0)).toBe(500)
    expect(bucket.debtMs(200)).toBe(300)
    expect(bucket.take(200)).toBe(false)
    expect(bucket.debtMs(500)).toBe(0)
    expect(bucket.spend(100, 600)).toBe(0)
  })

  it('gets nothing from a clock that stands or goes back', () => {
    const bucket = new TokenBucket(1, 1_000)
    expect(bucket.take(1_000)).toBe(true)
    expect([bucket.take(1_000), bucket.take(0)]).toEqual([false, false])
    expect(bucket.take(2_000)).toBe(true)
  })

  it('never lets more through than its rate and one burst', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(50), { maxLength: 200 }),
        fc.integer({ min: 1, max: 100 }),
        (steps, perSecond) => {
          const bucket = new TokenBucket(perSecond, 0)
          let nowMs = 0
          let taken = 0
          for (const step of steps) {
            nowMs += step
            if (bucket.take(nowMs)) taken += 1
          }
          expect(taken).toBeLessThanOrEqual(perSecond + (nowMs * perSecond) / 1000)
        },
      ),
    )
  })

  it('lets a spender that rests as it is told keep the rate', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 65_536 }), { minLength: 1, maxLength: 100 }),
        (chunks) => {
          const bucket = new TokenBucket(10_000, 0)
          let nowMs = 0
          let sent = 0
          for (const chunk of chunks) {
            sent += chunk
            nowMs += bucket.spend(chunk, nowMs)
          }
          expect(sent).toBeLessThanOrEqual(10_000 + nowMs * 10 + 1)
        },
      ),
    )
  })
})
