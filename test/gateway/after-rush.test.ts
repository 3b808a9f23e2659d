// Memory after a rush: collected once, when it is over and stays over.
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { AfterRush, collectGarbage } from '../../src/gateway/after-rush.ts'
import { eventually } from '../support/eventually.ts'
import { ManualClock } from '../support/manual-clock.ts'

function start(): { rush: AfterRush; clock: ManualClock; collected: () => number } {
  const clock = new ManualClock()
  let count = 0
  return { rush: new AfterRush(clock, () => (count += 1)), clock, collected: () => count }
}

function enter(rush: AfterRush, count: number): void {
  for (let index = 0; index < count; index += 1) rush.entered()
}

function leave(rush: AfterRush, count: number): void {
  for (let index = 0; index < count; index += 1) rush.left()
}

describe('after a rush', () => {
  it('collects once, ten seconds after most have left', () => {
    const { rush, clock, collected } = start()
    enter(rush, 1_000)
    leave(rush, 749)
    clock.advance(60_000)
    expect(collected()).toBe(0)
    leave(rush, 1)
    clock.advance(9_999)
    expect(collected()).toBe(0)
    clock.advance(1)
    expect(collected()).toBe(1)
    leave(rush, 250)
    clock.advance(60_000)
    expect(collected()).toBe(1)
  })

  it('collects nothing while it comes back, or where there was none', () => {
    const { rush, clock, collected } = start()
    enter(rush, 255)
    leave(rush, 255)
    clock.advance(60_000)
    enter(rush, 1_000)
    leave(rush, 900)
    clock.advance(9_000)
    enter(rush, 500)
    clock.advance(60_000)
    expect(collected()).toBe(0)
  })

  it('waits for nothing once it is destroyed', () => {
    const { rush, clock, collected } = start()
    enter(rush, 1_000)
    leave(rush, 1_000)
    rush.destroy()
    clock.advance(60_000)
    expect([collected(), clock.waits.length]).toEqual([0, 0])
  })

  it('what it asks of V8 frees what nobody can reach', async () => {
    let isGone = false
    const registry = new FinalizationRegistry<string>(() => (isGone = true))
    registry.register({}, '')
    await wait(1)
    collectGarbage()
    await eventually(() => expect(isGone).toBe(true))
  })
})
