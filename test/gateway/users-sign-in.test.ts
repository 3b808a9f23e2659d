// Who may have a password checked, and when: what is remembered, what comes together, and what failures cost whom.
import { beforeAll, describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { SignIns, type SharedDelays, type SignInClock } from '../../src/gateway/users-sign-in.ts'
import { hashPassword, parseUsers, Users } from '../../src/gateway/users.ts'

const HOME = '192.0.2.1'
const AWAY = '198.51.100.7'
const WRONG = { name: 'alice', password: 'wrong', address: HOME }
const RIGHT = { name: 'alice', password: 'correct', address: HOME }
let line = ''
beforeAll(async () => void (line = `alice:${await hashPassword('correct')}\n`))

async function outcome(attempt: Promise<unknown>): Promise<string> {
  try {
    return (await attempt) === undefined ? 'wrong' : 'right'
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown.code
    throw thrown
  }
}

/** Counts its checks; only alice's `correct` is right, unless there are more lines. */
class CheckedUsers extends Users {
  checks = 0
  constructor(more = '', nowMs: () => number = () => 0) {
    super(parseUsers(line + more, 'users'), nowMs)
  }

  override check(name: string, password: string): Promise<boolean> {
    this.checks += 1
    return super.check(name, password)
  }
}

/** Stands until it is moved; waits are kept with their times. */
class StillClock implements SignInClock {
  now = 0
  waits: Array<{ readonly ms: number; readonly go: () => void }> = []
  readonly nowMs = (): number => this.now
  readonly wait = (ms: number): Promise<void> => new Promise((go) => this.waits.push({ ms, go }))

  /** Lets the first wait end; gives how long it was. */
  pass(): number {
    const next = this.waits.shift()
    if (next === undefined) throw new Error('nobody waits')
    this.now += next.ms
    next.go()
    return next.ms
  }
}

/** Fails so often, one try after the other. */
async function fail(signIns: SignIns, users: Users, clock: StillClock, times: number): Promise<void> {
  for (let tries = 0; tries < times; tries += 1) {
    const attempt = signIns.authenticate(users, { ...WRONG, password: `wrong ${tries}` })
    if (clock.waits.length > 0) clock.pass()
    await attempt
  }
}

describe('a sign-in', () => {
  it.each([
    ['with the right password', 'alice', 'correct', 'right'],
    ['with a wrong one', 'alice', 'Correct', 'wrong'],
    ['with none', 'alice', '', 'wrong'],
    ['of a name that is not there', 'bob', 'correct', 'wrong'],
    ['of what an object has by birth', '__proto__', 'correct', 'wrong'],
  ])('%s', async (_name, name, password, expected) => {
    expect(
      await outcome(new SignIns().authenticate(new CheckedUsers(), { name, password, address: HOME })),
    ).toBe(expected)
  })

  it('is checked once for what is remembered, and again after five minutes', async () => {
    let nowMs = 0
    const users = new CheckedUsers('', () => nowMs)
    const signIns = new SignIns()
    for (nowMs of [0, 0, 5 * 60_000 - 1]) await signIns.authenticate(users, RIGHT)
    expect(users.checks).toBe(1)
    nowMs = 5 * 60_000
    expect(await outcome(signIns.authenticate(users, RIGHT))).toBe('right')
    expect(users.checks).toBe(2)
  })

  it('is checked once for requests that come together', async () => {
    const users = new CheckedUsers()
    const signIns = new SignIns()
    const together = Array.from({ length: 50 }, () => outcome(signIns.authenticate(users, RIGHT)))
    expect(new Set(await Promise.all(together))).toEqual(new Set(['right']))
    expect(users.checks).toBe(1)
  })
})

describe('a failure', () => {
  it('makes the same name at the same source wait before it is checked', async () => {
    const [clock, users] = [new StillClock(), new CheckedUsers()]
    const signIns = new SignIns(clock)
    expect(await outcome(signIns.authenticate(users, WRONG))).toBe('wrong')
    const waits: number[] = []
    for (let tries = 0; tries < 6; tries += 1) {
      const attempt = signIns.authenticate(users, { ...WRONG, password: `wrong ${tries}` })
      expect(users.checks).toBe(tries + 1)
      waits.push(clock.pass())
      expect(await outcome(attempt)).toBe('wrong')
    }
    expect(waits).toEqual([250, 500, 1_000, 2_000, 4_000, 4_000])
  })

  it('costs neither another source nor another name anything', async () => {
    const [clock, users] = [new StillClock(), new CheckedUsers(`bob:${await hashPassword('his')}`)]
    const signIns = new SignIns(clock)
    await fail(signIns, users, clock, 5)
    expect(await outcome(signIns.authenticate(users, { ...RIGHT, address: AWAY }))).toBe('right')
    expect(await outcome(signIns.authenticate(users, { name: 'bob', password: 'his', address: HOME }))).toBe(
      'right',
    )
    expect(clock.waits).toEqual([])
  })

  it('costs another name at this source nothing while the turn of the first is awaited', async () => {
    const [clock, users] = [new StillClock(), new CheckedUsers(`bob:${await hashPassword('his')}`)]
    const signIns = new SignIns(clock)
    await signIns.authenticate(users, WRONG)
    const attempt = signIns.authenticate(users, RIGHT)
    expect(clock.waits).toHaveLength(1)
    expect(await outcome(signIns.authenticate(users, { name: 'bob', password: 'his', address: HOME }))).toBe(
      'right',
    )
    clock.pass()
    expect(await outcome(attempt)).toBe('right')
  })

  it('costs nothing where the right password is remembered, and is forgiven by it', async () => {
    const [clock, users] = [new StillClock(), new CheckedUsers()]
    const signIns = new SignIns(clock)
    await signIns.authenticate(users, RIGHT)
    await signIns.authenticate(users, WRONG)
    expect(await outcome(signIns.authenticate(users, RIGHT))).toBe('right')
    expect(clock.waits).toEqual([])
    const attempt = signIns.authenticate(new CheckedUsers(), RIGHT)
    expect(clock.pass()).toBe(250)
    expect(await outcome(attempt)).toBe('right')
    expect(await outcome(signIns.authenticate(new CheckedUsers(), RIGHT))).toBe('right')
    expect(clock.waits).toEqual([])
  })

  it('slows a source that tries many names, by /64 where it is IPv6', async () => {
    const [clock, users] = [new StillClock(), new CheckedUsers()]
    const signIns = new SignIns(clock)
    for (let tries = 0; tries < 11; tries += 1) {
      await signIns.authenticate(users, {
        name: `name ${tries}`,
        password: 'x',
        address: `2001:db8::${tries}`,
      })
    }
    expect(clock.waits).toEqual([])
    const attempt = signIns.authenticate(users, { name: 'another', password: 'x', address: '2001:db8::ffff' })
    expect(clock.pass()).toBe(250)
    await attempt
    expect(await outcome(signIns.authenticate(users, { ...RIGHT, address: '2001:db8:0:1::1' }))).toBe('right')
  })

  it('lets tries side by side wait one after the other, and refuses who would wait too long', async () => {
    const [clock, users] = [new StillClock(), new CheckedUsers()]
    const signIns = new SignIns(clock)
    await fail(signIns, users, clock, 4)
    const attempts = Array.from({ length: 8 }, (_, index) =>
      outcome(signIns.authenticate(users, { ...WRONG, password: `more ${index}` })),
    )
    expect(clock.waits.map(({ ms }) => ms)).toEqual([2_000, 4_000, 6_000, 8_000])
    expect(users.checks).toBe(4)
    for (const { go } of clock.waits.splice(0)) go()
    expect((await Promise.all(attempts)).toSorted()).toEqual([
      ...Array(4).fill('rate-limited'),
      ...Array(4).fill('wrong'),
    ])
  })

  it('cannot come from more than 32 tries of one source at once, and leaves the others theirs', async () => {
    const users = new CheckedUsers()
    const signIns = new SignIns(new StillClock())
    const tries = Array.from({ length: 40 }, (_, index) =>
      outcome(signIns.authenticate(users, { ...WRONG, name: `name ${index}` })),
    )
    const elsewhere = outcome(signIns.authenticate(users, { ...RIGHT, address: AWAY }))
    expect((await Promise.all(tries)).filter((one) => one === 'rate-limited').length).toBe(8)
    expect([await elsewhere, users.checks]).toEqual(['right', 33])
  })
})

describe('what failed at other replicas', () => {
  /** Says this to every try, and keeps what it was told. */
  const others = (waitMs: number): { readonly told: string[]; readonly shared: () => SharedDelays } => {
    const told: string[] = []
    const tell =
      (what: string) =>
      (source: string, name: string): Promise<void> => {
        told.push(`${what} ${source} ${name}`)
        return Promise.resolve()
      }
    const shared = {
      reserve: () => Promise.resolve(waitMs),
      failed: tell('failed'),
      succeeded: tell('succeeded'),
    }
    return { told, shared: () => shared }
  }
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

  it('makes a try wait, and what fails or is right here is told there', async () => {
    const [clock, users, { told, shared }] = [new StillClock(), new CheckedUsers(), others(3_000)]
    const signIns = new SignIns(clock, shared)
    for (const [credentials, expected] of [
      [WRONG, 'wrong'],
      [RIGHT, 'right'],
    ] as const) {
      const attempt = signIns.authenticate(users, credentials)
      await settled()
      expect(clock.pass()).toBe(3_000)
      expect(await outcome(attempt)).toBe(expected)
    }
    expect(told).toEqual([`failed ${HOME} alice`, `succeeded ${HOME} alice`])
    expect(await outcome(signIns.authenticate(users, RIGHT))).toBe('right')
    expect(clock.waits).toEqual([])
  })

  it('is no reason to wait for less than what failed here, nor for longer than anybody does', async () => {
    const [clock, users] = [new StillClock(), new CheckedUsers()]
    const signIns = new SignIns(clock, others(0).shared)
    expect(await outcome(signIns.authenticate(users, WRONG))).toBe('wrong')
    const attempt = signIns.authenticate(users, { ...WRONG, password: 'more' })
    await settled()
    expect(clock.pass()).toBe(250)
    await attempt
    const elsewhere = new SignIns(clock, others(8_001).shared)
    const before = users.checks
    expect(await outcome(elsewhere.authenticate(users, RIGHT))).toBe('rate-limited')
    expect(users.checks).toBe(before)
  })
})
