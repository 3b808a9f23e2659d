// How long who failed has to wait, by a clock that is passed in.
import { describe, expect, it } from 'vitest'
import { FailureDelay } from '../../src/policy/failure-delay.ts'

const OPTIONS = { freeFailures: 0, firstMs: 250, longestMs: 4_000, forgetMs: 600_000, entries: 100 }

describe('FailureDelay', () => {
  it('doubles from a quarter of a second to its bound', () => {
    const delay = new FailureDelay(OPTIONS)
    const waits: number[] = []
    for (let nowMs = 0, tries = 0; tries < 8; tries += 1) {
      const waitMs = delay.waitMs('a', nowMs)
      waits.push(waitMs)
      nowMs += waitMs
      delay.reserve('a', nowMs)
      delay.failed('a', nowMs)
    }
    expect(waits).toEqual([0, 250, 500, 1_000, 2_000, 4_000, 4_000, 4_000])
  })

  it('concerns nobody else', () => {
    const delay = new FailureDelay(OPTIONS)
    for (let tries = 0; tries < 10; tries += 1) delay.failed('a', 0)
    expect([delay.waitMs('a', 0), delay.waitMs('b', 0)]).toEqual([4_000, 0])
  })

  it('costs nothing at first where some failures are free', () => {
    const delay = new FailureDelay({ ...OPTIONS, freeFailures: 3 })
    const waits = Array.from({ length: 6 }, () => {
      delay.failed('a', 0)
      return delay.waitMs('a', 0)
    })
    expect(waits).toEqual([0, 0, 0, 250, 500, 1_000])
  })

  it('makes tries that come side by side wait one after the other', () => {
    const delay = new FailureDelay(OPTIONS)
    delay.failed('a', 0)
    const waits = Array.from({ length: 4 }, () => {
      const waitMs = delay.waitMs('a', 0)
      delay.reserve('a', waitMs)
      return waitMs
    })
    expect(waits).toEqual([250, 500, 750, 1_000])
  })

  it('starts afresh after success', () => {
    const delay = new FailureDelay(OPTIONS)
    delay.failed('a', 0)
    delay.succeeded('a')
    expect([delay.waitMs('a', 0), delay.size]).toEqual([0, 0])
  })

  it('starts afresh after a quiet time, and not before', () => {
    const delay = new FailureDelay(OPTIONS)
    for (let tries = 0; tries < 10; tries += 1) delay.failed('a', 0)
    delay.failed('a', 599_999)
    expect(delay.waitMs('a', 600_000)).toBe(3_999)
    expect(delay.waitMs('a', 1_199_999)).toBe(0)
    delay.failed('a', 1_199_999)
    expect(delay.waitMs('a', 1_199_999)).toBe(250)
  })

  it('holds only who failed, and no more than its bound', () => {
    const delay = new FailureDelay(OPTIONS)
    for (let index = 0; index < 1_000; index += 1) delay.reserve(`good ${index}`, 0)
    expect(delay.size).toBe(0)
    for (let index = 0; index < 1_000; index += 1) delay.failed(`bad ${index}`, 0)
    expect(delay.size).toBe(100)
  })
})
