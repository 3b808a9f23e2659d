// Who moved how much over all replicas, in a real Redis: summed by whoever asks, readable to nobody without the secret, and
// what somebody else has put there counts for nothing.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { stateSchema } from '../../src/config/state.ts'
import { StateLink } from '../../src/state/link.ts'
import { SharedUsage } from '../../src/state/shared-usage.ts'
import type { UseOfDay } from '../../src/state/usage-store.ts'
import { eventually } from '../support/eventually.ts'
import { isMissing } from '../support/programs.ts'
import { startRedis, type Redis } from '../support/redis.ts'

const DAY = 20_000
const SECRET = 'a secret of replicas, in a test only'
const use = (name: string, up: number, down: number, day = DAY): UseOfDay => ({
  identity: { kind: 'user', name },
  day,
  up,
  down,
  streams: 1,
})

describe.skipIf(isMissing('redis-server', 'redis-cli'))('shared usage (needs redis-server)', () => {
  let redis: Redis
  let link: StateLink
  const replica = (secret = SECRET): SharedUsage => new SharedUsage({ link, prefix: 'test', secret })
  const read = async (day = DAY, secret = SECRET): Promise<unknown[]> => {
    const { uses, unreadable } = await replica(secret).read(day)
    const sorted = uses.toSorted((one, other) => one.identity.name.localeCompare(other.identity.name))
    return [sorted.map(({ identity: { name }, up, down, streams }) => [name, up, down, streams]), unreadable]
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

  it('is summed over replicas, by identity and day, however often it is put', async () => {
    const [one, other] = [replica(), replica()]
    one.add(use('alice', 100, 1_000))
    one.add(use('alice', 20, 200))
    one.add(use('alice', 5, 5, DAY + 1))
    other.add(use('alice', 3, 30))
    other.add(use('bob', 1, 1))
    for (let times = 0; times < 2; times += 1) {
      for (const each of [one, other]) {
        each.tellAgain()
        await each.sync(DAY + 1, 400)
      }
    }
    one.add(use('alice', 1_000_000, 0))
    await one.sync(DAY + 1, 400)
    expect(await read()).toEqual([
      [
        ['alice', 1_000_123, 1_230, 4],
        ['bob', 1, 1, 1],
      ],
      0,
    ])
    expect(await read(DAY + 1)).toEqual([[['alice', 5, 5, 1]], 0])
    expect(await read(DAY + 2)).toEqual([[], 0])
  })

  it('leaves nothing readable in the store, and nothing for longer than the days that are kept', async () => {
    const one = replica()
    one.add(use('alice', 123_456, 1))
    await one.sync(DAY, 10)
    expect(await redis.cli('keys', '*')).toBe(`test:usage:${DAY}`)
    const held = await redis.cli('hgetall', `test:usage:${DAY}`)
    expect(held).not.toMatch(/alice|123456/)
    expect(Buffer.from(held.split('\n')[1] ?? '', 'base64url').toString('latin1')).not.toMatch(/alice|123456/)
    const lifeS = Number(await redis.cli('ttl', `test:usage:${DAY}`))
    expect(lifeS).toBeGreaterThan(10 * 86_400)
    expect(lifeS).toBeLessThanOrEqual(11 * 86_400)
    expect(await read(DAY, 'another secret of replicas, in a test')).toEqual([[], 1])
  })

  it('counts no row that is made up, changed, or of another place or day', async () => {
    const one = replica()
    one.add(use('alice', 10, 0))
    one.add(use('bob', 20, 0))
    await one.sync(DAY, 10)
    const key = `test:usage:${DAY}`
    const [first = '', sealed = '', second = ''] = (await redis.cli('hgetall', key)).split('\n')
    await redis.cli('hset', key, second, sealed)
    await redis.cli('hset', key, 'made.up', sealed)
    await redis.cli('hset', key, 'short', 'AAAA')
    await redis.cli('hset', key, 'long', 'A'.repeat(5_000))
    await redis.cli('hset', `test:usage:${DAY + 1}`, first, sealed)
    const [rows, unreadable] = await read()
    expect([(rows as unknown[]).length, unreadable]).toEqual([1, 4])
    expect(await read(DAY + 1)).toEqual([[], 1])
  })

  it('is told and read for many', async () => {
    const one = replica()
    for (let index = 0; index < 600; index += 1) one.add(use(`user ${index}`, index, 0))
    await one.sync(DAY, 10)
    const { uses } = await replica().read(DAY)
    expect(uses.length).toBe(600)
    expect(uses.reduce((all, { up }) => all + up, 0)).toBe((600 * 599) / 2)
  })

  it('is put again where the store has lost it, for today and yesterday', async () => {
    const one = replica()
    for (const [index, day] of [DAY, DAY + 1, DAY + 2].entries()) one.add(use('alice', index, 0, day))
    await one.sync(DAY + 2, 10)
    await redis.cli('flushall')
    one.tellAgain()
    await one.sync(DAY + 2, 10)
    expect([await read(), await read(DAY + 1), await read(DAY + 2)]).toEqual([
      [[], 0],
      [[['alice', 1, 0, 1]], 0],
      [[['alice', 2, 0, 1]], 0],
    ])
  })
})

describe('shared usage', () => {
  it.each([
    ['nothing', null],
    ['a text', 'OK'],
    ['half of it', ['0']],
    ['another shape', [0, {}]],
  ])('does not go on with a store that says %s', async (_what, answer) => {
    const link = { ask: () => Promise.resolve(answer) }
    await expect(new SharedUsage({ link, prefix: 'test', secret: SECRET }).read(DAY)).rejects.toMatchObject({
      code: 'state-invalid',
    })
  })

  it('does not follow a scan that has no end', async () => {
    const link = { ask: () => Promise.resolve(['1', []]) }
    await expect(new SharedUsage({ link, prefix: 'test', secret: SECRET }).read(DAY)).rejects.toMatchObject({
      code: 'state-invalid',
    })
  })
})
