// How long a client waits for its gateway: doubling, jittered, never long at first, and longer when it stays away.
import { describe, expect, it } from 'vitest'
import { BackOff } from '../../src/policy/back-off.ts'

function waits(backOff: BackOff, times: readonly number[]): number[] {
  return times.map((nowMs) => backOff.next(nowMs))
}

describe('the wait for a gateway', () => {
  it('doubles up to two seconds', () => {
    expect(waits(new BackOff(() => 1), [0, 1, 2, 3, 4, 5])).toEqual([250, 500, 1_000, 2_000, 2_000, 2_000])
  })

  it('is shortened by up to half', () => {
    expect(waits(new BackOff(() => 0), [0, 1, 2, 3, 4])).toEqual([125, 250, 500, 1_000, 1_000])
    expect(waits(new BackOff(() => 0.5), [0])).toEqual([188])
  })

  it('is longer once a gateway has been away for five minutes', () => {
    const backOff = new BackOff(() => 1)
    waits(backOff, [0, 1, 2, 3])
    expect(backOff.next(299_999)).toBe(2_000)
    expect(waits(backOff, [300_000, 301_000, 302_000, 303_000]).at(-1)).toBe(15_000)
  })

  it('begins anew after a success', () => {
    const backOff = new BackOff(() => 1)
    waits(backOff, [0, 1, 2, 3])
    backOff.reset()
    expect(waits(backOff, [400_000, 400_001])).toEqual([250, 500])
    expect(backOff.next(699_999)).toBe(1_000)
  })
})
