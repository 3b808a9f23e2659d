// Bytes of a day over all replicas: each puts its own count, whatever is put twice counts once, in a real Redis and by what
// a store says that lies.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { stateSchema } from '../../src/config/state.ts'
import { StateLink } from '../../src/state/link.ts'
import { SharedUse, type Counter, type Use } from '../../src/state/shared-use.ts'
import { eventually } from '../support/eventually.ts'
import { isMissing } from '../support/programs.ts'
import { startRedis, type Redis } from '../support/redis.ts'

const DAY = 20_000
const SECRET = 'a secret of replicas, in a test only'

/** Says what it is given, and keeps what it is told. */
class Told implements Counter {
  uses: Use[] = []
  readonly elsewhere = new Map<string, number>()
  untold(): readonly Use[] {
    return this.uses
  }
  told({ key }: Use, elsewhere: number): void {
    this.elsewhere.set(key, elsewhere)
  }
  tellAgain(): void {}
}

describe.skipIf(isMissing('redis-server', 'redis-cli'))('shared use (needs redis-server)', () => {
  let redis: Redis
  let link: StateLink
  const replica = (): { use: SharedUse; told: Told } => {
    const told = new Told()
    return { told, use: new SharedUse({ link, prefix: 'test', secret: SECRET }, told) }
  }
  beforeAll(async () => {
    redis = await startRedis()
    const config = stateSchema.parse({
      redis: `redis://127.0.0.1:${redis.port}`,
      secretFile: 'none',
      timeoutMs: 10_000,
    })
    link = new StateLink(config, { changed: () => {}, called: () => {} })
    link.open()
    await eventually(() => expect(link.up).toBe(true))
  })
  beforeEach(() => redis.cli('flushall'))
  afterAll(async () => {
    link?.close()
    await redis?.[Symbol.asyncDispose]()
  })

  it('is the sum of what each has put last: twice, out of turn, or again after all was lost', async () => {
    const [one, other] = [replica(), replica()]
    one.told.uses = [{ key: 'user:alice', day: DAY, used: 700 }]
    other.told.uses = [{ key: 'user:alice', day: DAY, used: 50 }]
    for (let times = 0; times < 3; times += 1) {
      await one.use.sync()
      await other.use.sync()
    }
    await one.use.sync()
    expect([one.told.elsewhere.get('user:alice'), other.told.elsewhere.get('user:alice')]).toEqual([50, 700])
    await redis.cli('flushall')
    await one.use.sync()
    await other.use.sync()
    expect(other.told.elsewhere.get('user:alice')).toBe(700)
  })

  it('is kept apart by identity and by day, under hashes, for two days', async () => {
    const { use, told } = replica()
    told.uses = [
      { key: 'user:alice', day: DAY, used: 1 },
      { key: 'user:bob', day: DAY, used: 2 },
      { key: 'user:alice', day: DAY + 1, used: 4 },
    ]
    await use.sync()
    const keys = (await redis.cli('keys', '*')).split('\n').toSorted()
    expect(keys).toHaveLength(3)
    for (const key of keys) {
      expect(key).toMatch(/^test:use:2000[01]:[A-Za-z0-9_-]{43}$/)
      const lifeS = Number(await redis.cli('ttl', key))
      expect(lifeS).toBeGreaterThan(86_400)
      expect(lifeS).toBeLessThanOrEqual(2 * 86_400)
    }
    expect([...told.elsewhere.values()]).toEqual([0, 0])
  })

  it('is told for many at once, and exact where it is large', async () => {
    const [one, other] = [replica(), replica()]
    const large = 2 ** 50 + 1
    one.told.uses = Array.from({ length: 450 }, (_, index) => ({
      key: `user:${index}`,
      day: DAY,
      used: large + index,
    }))
    other.told.uses = one.told.uses.map(({ key, day }) => ({ key, day, used: 1 }))
    await one.use.sync()
    await other.use.sync()
    expect([...other.told.elsewhere.values()]).toEqual(one.told.uses.map(({ used }) => used))
  })
})

describe('shared use', () => {
  const answered = async (answer: unknown): Promise<unknown> => {
    const told = new Told()
    told.uses = [
      { key: 'user:alice', day: DAY, used: 100 },
      { key: 'user:bob', day: DAY, used: 5 },
    ]
    const link = { ask: () => Promise.resolve(answer) }
    const use = new SharedUse({ link, prefix: 'test', secret: SECRET }, told)
    return use.sync().then(
      () => [...told.elsewhere.values()],
      (error: { code: string }) => [error.code, told.elsewhere.size],
    )
  }

  it.each([
    ['sums', ['100', '9'], [0, 4]],
    ['less than what moved here', ['99', '9'], ['state-invalid', 0]],
    ['one sum for two', ['100'], ['state-invalid', 0]],
    ['three sums for two', ['100', '9', '9'], ['state-invalid', 0]],
    ['a number', ['100', 9], ['state-invalid', 0]],
    ['no number', ['100', 'nan'], ['state-invalid', 0]],
    ['less than nothing', ['100', '-9'], ['state-invalid', 0]],
    ['more than can be counted', ['100', '99999999999999999'], ['state-invalid', 0]],
    ['a text', 'OK', ['state-invalid', 0]],
    ['nothing', null, ['state-invalid', 0]],
  ])('takes from a store that says %s what can be', async (_what, answer, expected) => {
    expect(await answered(answer)).toEqual(expected)
  })
})
