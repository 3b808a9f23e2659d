// What failed sign-ins cost over all replicas, in a real Redis: counted together, turns taken one after the other, nothing
// readable in it; and by what a store says that lies or is away.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { stateSchema } from '../../src/config/state.ts'
import { GatewayError } from '../../src/errors.ts'
import { StateLink } from '../../src/state/link.ts'
import type { DelaySteps } from '../../src/policy/failure-delay.ts'
import { SharedSignIns } from '../../src/state/shared-sign-ins.ts'
import { eventually } from '../support/eventually.ts'
import { isMissing } from '../support/programs.ts'
import { startRedis, type Redis } from '../support/redis.ts'

const HOME = '192.0.2.1'
const HOUR_MS = 3_600_000
/** So long that no machine is slow enough to see a wait end. */
const STEPS: DelaySteps = {
  firstMs: HOUR_MS,
  longestMs: 4 * HOUR_MS,
  forgetMs: 10 * 60_000,
  freeFailures: { ofSource: 3, ofPair: 0 },
  mostMs: 100 * HOUR_MS,
}
const SECRET = 'a secret of replicas, in a test only'
/** A wait as it was asked for: what has passed since is less than a step. */
const steps = (ms: number): number => Math.ceil(ms / HOUR_MS)

describe.skipIf(isMissing('redis-server', 'redis-cli'))('shared sign-ins (needs redis-server)', () => {
  let redis: Redis
  let links: StateLink[]
  const problems: string[] = []
  const replica = (secret = SECRET): SharedSignIns => {
    const redisUrl = `redis://127.0.0.1:${redis.port}`
    const config = stateSchema.parse({ redis: redisUrl, secretFile: 'none', timeoutMs: 10_000 })
    const link = new StateLink(config, { changed: () => {}, called: () => {} })
    link.open()
    links.push(link)
    return new SharedSignIns({ link, prefix: 'test', secret, failed: (code) => void problems.push(code) })
  }
  let one: SharedSignIns
  let other: SharedSignIns
  beforeAll(async () => {
    redis = await startRedis()
    links = []
    one = replica()
    other = replica()
    await eventually(() => expect(links.every(({ up }) => up)).toBe(true))
  })
  beforeEach(() => redis.cli('flushall'))
  afterAll(async () => {
    for (const link of links ?? []) link.close()
    await redis?.[Symbol.asyncDispose]()
  })

  it('wait for what failed elsewhere: the same name at the same source, twice as long each time', async () => {
    expect(await other.reserve(HOME, 'alice', STEPS)).toBe(0)
    const waits: number[] = []
    for (let failures = 0; failures < 4; failures += 1) {
      await redis.cli('flushall')
      for (let index = 0; index <= failures; index += 1) await one.failed(HOME, 'alice', STEPS)
      waits.push(steps(await other.reserve(HOME, 'alice', STEPS)))
      expect((await other.reserve(HOME, 'bob', STEPS)) > 0).toBe(failures >= 3)
      expect(await other.reserve('198.51.100.7', 'alice', STEPS)).toBe(0)
    }
    expect(waits).toEqual([1, 2, 4, 4])
    expect(problems).toEqual([])
  })

  it('take turns: tries side by side at two replicas wait one after the other, and who would wait too long takes none', async () => {
    await one.failed(HOME, 'alice', STEPS)
    const waits = await Promise.all(
      [one, other, one, other].map((replicaOf) => replicaOf.reserve(HOME, 'alice', STEPS)),
    )
    expect(waits.map(steps).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4])
    const hasty = { ...STEPS, mostMs: HOUR_MS }
    expect(steps(await other.reserve(HOME, 'alice', hasty))).toBe(5)
    expect(steps(await other.reserve(HOME, 'alice', hasty))).toBe(5)
  })

  it('are forgiven by the right password, for that name at that source', async () => {
    for (let index = 0; index < 4; index += 1) await one.failed(HOME, 'alice', STEPS)
    await other.succeeded(HOME, 'alice')
    expect(steps(await one.reserve(HOME, 'alice', STEPS))).toBe(1)
    await redis.cli('flushall')
    await one.failed(HOME, 'alice', STEPS)
    await other.succeeded(HOME, 'alice')
    expect(await one.reserve(HOME, 'alice', STEPS)).toBe(0)
  })

  it('leave nothing readable in the store, nothing for longer than ten minutes, and nothing that another secret finds', async () => {
    await one.failed(HOME, 'alice', STEPS)
    const keys = (await redis.cli('keys', '*')).split('\n')
    expect(keys).toHaveLength(2)
    for (const key of keys) {
      expect(key).toMatch(/^test:sign-in:[A-Za-z0-9_-]{43}$/)
      const lifeS = Number(await redis.cli('ttl', key))
      expect(lifeS).toBeGreaterThan(0)
      expect(lifeS).toBeLessThanOrEqual(600)
      expect(await redis.cli('hkeys', key)).toMatch(/^(failures\nready|ready\nfailures)$/)
    }
    const stranger = replica('another secret of replicas, in a test')
    await eventually(async () => {
      await stranger.failed(HOME, 'zoe', STEPS)
      expect((await redis.cli('keys', '*')).split('\n')).toHaveLength(4)
    })
    expect(await stranger.reserve(HOME, 'alice', STEPS)).toBe(0)
  })

  it('say so, and wait for nothing, where the store holds something else', async () => {
    await one.failed(HOME, 'alice', STEPS)
    for (const key of (await redis.cli('keys', '*')).split('\n')) await redis.cli('set', key, 'x')
    expect(await other.reserve(HOME, 'alice', STEPS)).toBe(0)
    await other.failed(HOME, 'alice', STEPS)
    expect(problems.splice(0)).toEqual(['state-invalid', 'state-invalid'])
  })
})

describe('shared sign-ins', () => {
  const answered = async (
    ask: () => Promise<unknown>,
    up = true,
  ): Promise<[wait: number, problems: string[]]> => {
    const problems: string[] = []
    const failed = (code: string): void => void problems.push(code)
    const signIns = new SharedSignIns({ link: { up, ask }, prefix: 'test', secret: SECRET, failed })
    return [await signIns.reserve(HOME, 'alice', STEPS), problems]
  }

  it.each([
    ['a list', [1, 2]],
    ['a text', '5'],
    ['nothing', null],
    ['less than nothing', -1],
    ['no number', Number.NaN],
  ])('do not wait for %s', async (_what, answer) => {
    expect(await answered(() => Promise.resolve(answer))).toEqual([0, ['state-invalid']])
  })

  it('do not wait for a store that is away', async () => {
    const away = new GatewayError('state-unavailable')
    expect(await answered(() => Promise.reject(away))).toEqual([0, ['state-unavailable']])
    expect(await answered(() => Promise.reject(away), false)).toEqual([0, []])
  })
})
