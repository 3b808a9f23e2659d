// The choice among several gateways: by preference, moved on after a second, and told by the one that is preferred.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { GatewayError, type ErrorCode } from '../../src/errors.ts'
import { raceGateways, type Race } from '../../src/outbound/tunnel-race.ts'

interface Attempt {
  readonly signal: AbortSignal
  readonly reach: () => void
  readonly fail: (code: ErrorCode) => void
}

/** Gateways whose attempts the test decides. */
class Scene {
  readonly attempts = new Map<string, Attempt>()
  readonly discarded: string[] = []
  readonly race: Race<string>
  outcome: unknown

  constructor(...gateways: string[]) {
    this.race = raceGateways(
      gateways,
      (gateway, signal) =>
        new Promise((resolve, reject) => {
          const fail = (code: ErrorCode): void => reject(new GatewayError(code))
          this.attempts.set(gateway, { signal, reach: () => resolve(gateway), fail })
        }),
      (link) => void this.discarded.push(link),
    )
    void this.race.outcome.then((outcome) => {
      this.outcome =
        'link' in outcome
          ? [outcome.link, outcome.index]
          : [outcome.error.code, outcome.refused ? 'refused' : 'away']
    })
  }

  get tried(): string {
    return [...this.attempts.keys()].join(' ')
  }

  async wait(ms = 0): Promise<void> {
    await vi.advanceTimersByTimeAsync(ms)
  }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('several gateways', () => {
  it('the first one is used where it answers within its head start, and no other is asked', async () => {
    const scene = new Scene('a', 'b')
    await scene.wait(999)
    scene.attempts.get('a')?.reach()
    await scene.wait(10_000)
    expect([scene.outcome, scene.tried]).toEqual([['a', 0], 'a'])
  })

  it('the next one is tried at once when one has failed', async () => {
    const scene = new Scene('a', 'b', 'c')
    scene.attempts.get('a')?.fail('connection-refused')
    await scene.wait()
    expect(scene.tried).toBe('a b')
    scene.attempts.get('b')?.reach()
    await scene.wait(5_000)
    expect([scene.outcome, scene.tried]).toEqual([['b', 1], 'a b'])
  })

  it('one that takes longer than a second goes on beside the next, and may still win', async () => {
    const scene = new Scene('a', 'b', 'c')
    await scene.wait(1_000)
    expect(scene.tried).toBe('a b')
    scene.attempts.get('a')?.reach()
    await scene.wait()
    expect(scene.outcome).toEqual(['a', 0])
    expect(scene.attempts.get('b')?.signal.aborted).toBe(true)
    scene.attempts.get('b')?.reach()
    await scene.wait(5_000)
    expect([scene.discarded, scene.tried]).toEqual([['b'], 'a b'])
  })

  it('none: the error is that of the preferred one, whichever was last', async () => {
    const scene = new Scene('a', 'b')
    await scene.wait(1_000)
    scene.attempts.get('b')?.fail('connection-refused')
    await scene.wait()
    expect(scene.outcome).toBe(undefined)
    scene.attempts.get('a')?.fail('dial-timeout')
    await scene.wait()
    expect(scene.outcome).toEqual(['dial-timeout', 'away'])
  })

  it('refused is what every one of them has refused', async () => {
    const one = new Scene('a', 'b')
    one.attempts.get('a')?.fail('certificate-revoked')
    await one.wait()
    one.attempts.get('b')?.fail('connection-refused')
    await one.wait()
    expect(one.outcome).toEqual(['certificate-revoked', 'away'])
    const all = new Scene('a', 'b')
    all.attempts.get('a')?.fail('certificate-revoked')
    await all.wait()
    all.attempts.get('b')?.fail('certificate-expired')
    await all.wait()
    expect(all.outcome).toEqual(['certificate-revoked', 'refused'])
  })

  it('called off, every attempt ends and no other begins', async () => {
    const scene = new Scene('a', 'b')
    scene.race.cancel()
    await scene.wait(5_000)
    expect([scene.outcome, scene.tried, scene.attempts.get('a')?.signal.aborted]).toEqual([
      ['stream-cancelled', 'away'],
      'a',
      true,
    ])
    scene.attempts.get('a')?.reach()
    await scene.wait()
    expect(scene.discarded).toEqual(['a'])
    expect(vi.getTimerCount()).toBe(0)
  })
})
