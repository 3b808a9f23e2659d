// The one timer of all idle relays: who comes late has its whole time too.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { IdleSweep, type Watched } from '../../src/transport/deadline.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

describe('the idle sweep', () => {
  it('gives each the whole of its time, also one that comes while another is watched', () => {
    vi.advanceTimersByTime(3_600_000)
    const sweep = new IdleSweep()
    const expired: string[] = []
    const watch = (name: string): void => {
      const watched: Watched = { idleMs: 10_000, lastActivityMs: 0, expired: () => void expired.push(name) }
      sweep.watch(watched)
    }
    watch('early')
    vi.advanceTimersByTime(5_000)
    watch('late')
    vi.advanceTimersByTime(4_000)
    expect(expired).toEqual([])
    vi.advanceTimersByTime(1_000)
    expect(expired).toEqual(['early'])
    vi.advanceTimersByTime(4_000)
    expect(expired).toEqual(['early'])
    vi.advanceTimersByTime(1_000)
    expect(expired).toEqual(['early', 'late'])
  })

  it('has no timer where nothing is watched', () => {
    const sweep = new IdleSweep()
    const one: Watched = { idleMs: 1_000, lastActivityMs: 0, expired: () => {} }
    sweep.watch(one)
    expect(vi.getTimerCount()).toBe(1)
    sweep.unwatch(one)
    expect(vi.getTimerCount()).toBe(0)
  })
})
