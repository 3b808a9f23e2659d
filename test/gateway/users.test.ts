// Users of a proxy: the file, the check, what is remembered of it, and what failures cost whom.
import { mkdirSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { UsersFiles } from '../../src/gateway/users-files.ts'
import { SignIns } from '../../src/gateway/users-sign-in.ts'
import { hashPassword, parseUsers, Users } from '../../src/gateway/users.ts'
import { tempDir } from '../support/temp-dir.ts'

const HOME = '192.0.2.1'
const AWAY = '198.51.100.7'
let line = ''
beforeAll(async () => void (line = `alice:${await hashPassword('correct')}\n`))

function codeOf(call: () => unknown): string {
  try {
    call()
    return 'ok'
  } catch (thrown) {
    if (thrown instanceof GatewayError) return `${thrown.code}: ${thrown.message}`
    throw thrown
  }
}

async function outcome(attempt: Promise<unknown>): Promise<string> {
  try {
    return (await attempt) === undefined ? 'wrong' : 'right'
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown.code
    throw thrown
  }
}

/** Counts its checks; only `correct` is right. */
class CheckedUsers extends Users {
  checks = 0
  constructor(text = line) {
    super(parseUsers(text, 'users'))
  }

  override check(name: string, password: string): Promise<boolean> {
    this.checks += 1
    return super.check(name, password)
  }
}

/** A clock that stands until it is moved; waits are kept with their times. */
class TestClock {
  now = 0
  waits: Array<{ readonly ms: number; readonly go: () => void }> = []
  readonly nowMs = (): number => this.now
  readonly wait = (ms: number): Promise<void> => new Promise((go) => this.waits.push({ ms, go }))

  /** Lets the first wait end. */
  pass(): number {
    const next = this.waits.shift()
    if (next === undefined) throw new Error('nobody waits')
    this.now += next.ms
    next.go()
    return next.ms
  }
}

describe('the users file', () => {
  it('holds scrypt hashes with their own salts', async () => {
    const [one, other] = [await hashPassword('correct'), await hashPassword('correct')]
    expect(one).toMatch(/^scrypt\$16384\$8\$1\$[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=$/)
    expect(one).not.toBe(other)
  })

  it('skips comments and empty lines', () => {
    expect([...parseUsers(`# people\n\n${line}\r\n`, 'users').keys()]).toEqual(['alice'])
  })

  it.each(['alice', 'alice:correct', 'alice:scrypt$1$2$3$x$y', 'a lice:scrypt$16384$8$1$AAAAAAAAAAAAAAAAAAAAAA==$'])(
    'names the line that is none, and not what is in it: %s',
    (bad) => {
      expect(codeOf(() => parseUsers(`${line}${bad}`, 'users'))).toBe('config-invalid: users: line 2 is not name:scrypt-hash')
    },
  )
})

describe('a check', () => {
  it.each([
    ['the right password', 'alice', 'correct', 'right'],
    ['a wrong one', 'alice', 'Correct', 'wrong'],
    ['none', 'alice', '', 'wrong'],
    ['a name that is not there', 'bob', 'correct', 'wrong'],
    ['a name in another case', 'Alice', 'correct', 'wrong'],
    ['what an object has by birth', '__proto__', 'correct', 'wrong'],
  ])('%s', async (_name, name, password, expected) => {
    const attempt = new SignIns().authenticate(new CheckedUsers(), { name, password, address: HOME })
    expect(await outcome(attempt)).toBe(expected)
  })

  it('reads a password in either normal form', async () => {
    const users = new CheckedUsers(`ana:${await hashPassword('caf\u00e9')}`)
    const attempt = new SignIns().authenticate(users, { name: 'ana', password: 'cafe\u0301', address: HOME })
    expect(await outcome(attempt)).toBe('right')
  })

  it('is made once for what is remembered, and again after five minutes', async () => {
    let nowMs = 0
    const users = new (class extends Users {
      checks = 0
      override check(name: string, password: string): Promise<boolean> {
        this.checks += 1
        return super.check(name, password)
      }
    })(parseUsers(line, 'users'), () => nowMs)
    const signIns = new SignIns()
    const right = { name: 'alice', password: 'correct', address: HOME }
    for (let index = 0; index < 5; index += 1) await signIns.authenticate(users, right)
    expect(users.checks).toBe(1)
    nowMs = 5 * 60_000 - 1
    await signIns.authenticate(users, right)
    expect(users.checks).toBe(1)
    nowMs = 5 * 60_000
    await signIns.authenticate(users, right)
    expect(users.checks).toBe(2)
  })

  it('is made once for requests that come together', async () => {
    const users = new CheckedUsers()
    const signIns = new SignIns()
    const together = Array.from({ length: 50 }, () => signIns.authenticate(users, { name: 'alice', password: 'correct', address: HOME }))
    expect(new Set(await Promise.all(together.map(outcome)))).toEqual(new Set(['right']))
    expect(users.checks).toBe(1)
  })

  it('is refused past 130 at once', async () => {
    const users = new CheckedUsers()
    const checks = Array.from({ length: 132 }, (_, index) => outcome(users.check('alice', String(index)).then((right) => right || undefined)))
    const all = await Promise.all(checks)
    expect(all.filter((one) => one === 'too-many-connections').length).toBe(2)
  })
})

describe('a failure', () => {
  const wrong = { name: 'alice', password: 'wrong', address: HOME }
  const right = { name: 'alice', password: 'correct', address: HOME }

  it('makes the same name at the same source wait before it is checked', async () => {
    const [clock, users] = [new TestClock(), new CheckedUsers()]
    const signIns = new SignIns(clock)
    expect(await outcome(signIns.authenticate(users, wrong))).toBe('wrong')
    const waits: number[] = []
    for (let tries = 0; tries < 6; tries += 1) {
      const attempt = signIns.authenticate(users, { ...wrong, password: `wrong ${tries}` })
      expect(users.checks).toBe(tries + 1)
      waits.push(clock.pass())
      expect(await outcome(attempt)).toBe('wrong')
    }
    expect(waits).toEqual([250, 500, 1_000, 2_000, 4_000, 4_000])
  })

  it('costs neither another source nor another name anything', async () => {
    const [clock, users] = [new TestClock(), new CheckedUsers(`${line}bob:${await hashPassword('his')}`)]
    const signIns = new SignIns(clock)
    for (let tries = 0; tries < 5; tries += 1) {
      const attempt = signIns.authenticate(users, { ...wrong, password: `wrong ${tries}` })
      if (tries > 0) clock.pass()
      await attempt
    }
    expect(await outcome(signIns.authenticate(users, { ...right, address: AWAY }))).toBe('right')
    expect(await outcome(signIns.authenticate(users, { name: 'bob', password: 'his', address: HOME }))).toBe('right')
    expect(clock.waits).toEqual([])
  })

  it('is forgiven by success, and what is remembered never waits', async () => {
    const [clock, users] = [new TestClock(), new CheckedUsers()]
    const signIns = new SignIns(clock)
    await signIns.authenticate(users, right)
    await signIns.authenticate(users, wrong)
    expect(await outcome(signIns.authenticate(users, right))).toBe('right')
    expect(clock.waits).toEqual([])
    const fresh = new CheckedUsers()
    const attempt = signIns.authenticate(fresh, right)
    expect(clock.pass()).toBe(250)
    expect(await outcome(attempt)).toBe('right')
    expect(await outcome(signIns.authenticate(new CheckedUsers(), right))).toBe('right')
    expect(clock.waits).toEqual([])
  })

  it('slows a source that tries many names, by /64 where it is IPv6', async () => {
    const [clock, users] = [new TestClock(), new CheckedUsers()]
    const signIns = new SignIns(clock)
    for (let tries = 0; tries < 11; tries += 1) {
      await signIns.authenticate(users, { name: `name ${tries}`, password: 'x', address: `2001:db8::${tries}` })
    }
    expect(clock.waits).toEqual([])
    const attempt = signIns.authenticate(users, { name: 'another', password: 'x', address: '2001:db8::ffff' })
    expect(clock.pass()).toBe(250)
    await attempt
    expect(await outcome(signIns.authenticate(users, { ...right, address: '2001:db8:0:1::1' }))).toBe('right')
  })

  it('lets tries side by side wait one after the other, and refuses who would wait too long', async () => {
    const [clock, users] = [new TestClock(), new CheckedUsers()]
    const signIns = new SignIns(clock)
    for (let tries = 0; tries < 4; tries += 1) {
      const attempt = signIns.authenticate(users, { ...wrong, password: `wrong ${tries}` })
      if (tries > 0) clock.pass()
      await attempt
    }
    const attempts = Array.from({ length: 8 }, (_, index) => outcome(signIns.authenticate(users, { ...wrong, password: `more ${index}` })))
    expect(clock.waits.map(({ ms }) => ms)).toEqual([2_000, 4_000, 6_000, 8_000])
    expect(users.checks).toBe(4)
    for (const { go } of clock.waits.splice(0)) go()
    expect(await Promise.all(attempts)).toEqual([...Array(4).fill('wrong'), ...Array(4).fill('rate-limited')])
  })

  it('cannot come from more than 32 tries of one source at once', async () => {
    const users = new CheckedUsers()
    const signIns = new SignIns(new TestClock())
    const tries = Array.from({ length: 40 }, (_, index) => outcome(signIns.authenticate(users, { ...wrong, name: `name ${index}` })))
    const elsewhere = outcome(signIns.authenticate(users, { ...right, address: AWAY }))
    const all = await Promise.all(tries)
    expect(all.filter((one) => one === 'rate-limited').length).toBe(8)
    expect(users.checks).toBe(33)
    expect(await elsewhere).toBe('right')
  })
})

describe('the watched file', () => {
  const EVERY_MS = 20

  it('is read again when it changes, also by a rename, and stays as it was where it is no longer good', async () => {
    await using directory = await tempDir()
    const file = directory.file('users')
    await writeFile(file, line)
    const files = UsersFiles.read([file])
    const told: string[] = []
    let wake = (): void => {}
    files.watch((outcomeOfRead) => {
      told.push(outcomeOfRead)
      wake()
    }, EVERY_MS)
    const change = async (how: () => Promise<unknown>): Promise<void> => {
      const seen = new Promise<void>((resolve) => (wake = resolve))
      await how()
      await seen
    }
    try {
      const before = files.get(file)
      await change(async () => {
        await writeFile(directory.file('next'), `${line}bob:${await hashPassword('his')}\n`)
        await rename(directory.file('next'), file)
      })
      const after = files.get(file)
      expect(after).not.toBe(before)
      expect(await after?.check('bob', 'his')).toBe(true)
      await change(() => writeFile(file, 'bob:plain\n'))
      expect(files.get(file)).toBe(after)
      await change(() => rm(file))
      expect(files.get(file)).toBe(after)
      await change(() => writeFile(file, line))
      expect(await files.get(file)?.check('bob', 'his')).toBe(false)
      expect(told).toEqual(['ok', 'config-invalid', 'file-unusable', 'ok'])
    } finally {
      files.close()
    }
  })

  it('is an error at start where it is not there', async () => {
    await using directory = await tempDir()
    mkdirSync(directory.file('there'))
    expect(codeOf(() => UsersFiles.read([directory.file('none')]))).toMatch(/^file-unusable: auth\.users .*none: there is no such file$/)
    expect(codeOf(() => UsersFiles.read([directory.file('there')]))).toMatch(/^file-unusable: /)
  })
})
