// One timer that watches every relay of a process: each gets its own time from when it began, and the timer is there
// only while something is watched.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { IdleSweep, type Watched } from '../../src/transport/deadline.ts'

const HOUR_MS = 3_600_000

class Relayed implements Watched {
  lastActivityMs = 0
  idleMs = 60_000
  ended = 0

  expired(): void {
    this.ended += 1
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  // A process that has been up for longer than anything may be idle.
  vi.advanceTimersByTime(HOUR_MS)
})
afterEach(() => void vi.useRealTimers())

describe('an idle sweep', () => {
  it('ends what was still for its time, to the second, and once', () => {
    const sweep = new IdleSweep()
    const relayed = new Relayed()
    sweep.watch(relayed)
    vi.advanceTimersByTime(59_000)
    expect(relayed.ended).toBe(0)
    vi.advanceTimersByTime(1_000)
    expect(relayed.ended).toBe(1)
    vi.advanceTimersByTime(HOUR_MS)
    expect(relayed.ended).toBe(1)
  })

  it('lets what moves live', () => {
    const sweep = new IdleSweep()
    const relayed = new Relayed()
    sweep.watch(relayed)
    for (let minute = 0; minute < 10; minute += 1) {
      vi.advanceTimersByTime(50_000)
      relayed.lastActivityMs = sweep.nowMs
    }
    expect(relayed.ended).toBe(0)
  })

  it('gives those that come later their whole time too', () => {
    const sweep = new IdleSweep()
    const [early, late] = [new Relayed(), new Relayed()]
    sweep.watch(early)
    vi.advanceTimersByTime(30_500)
    sweep.watch(late)
    vi.advanceTimersByTime(30_000)
    expect([early.ended, late.ended]).toEqual([1, 0])
    vi.advanceTimersByTime(28_000)
    expect(late.ended).toBe(0)
    vi.advanceTimersByTime(2_000)
    expect(late.ended).toBe(1)
  })

  it('has a timer only while it watches', () => {
    const sweep = new IdleSweep()
    const [one, two] = [new Relayed(), new Relayed()]
    expect(vi.getTimerCount()).toBe(0)
    sweep.watch(one)
    sweep.watch(two)
    expect(vi.getTimerCount()).toBe(1)
    sweep.unwatch(one)
    expect(vi.getTimerCount()).toBe(1)
    sweep.unwatch(two)
    expect(vi.getTimerCount()).toBe(0)
    sweep.watch(one)
    expect(vi.getTimerCount()).toBe(1)
    sweep.unwatch(one)
  })
})
