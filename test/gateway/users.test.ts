// Users of a proxy: what a users file may hold, who is let in, what a check costs, and how many run at once.
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { hashPassword, parseUsers, Users } from '../../src/gateway/users.ts'

/** A hash that is quick to check: for tests of everything but its strength. */
const QUICK = 'scrypt$16$1$1$c2FsdHNhbHQ=$' + Buffer.alloc(32, 7).toString('base64')

function failure(text: string): GatewayError {
  try {
    parseUsers(text, 'config/users')
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown
    throw thrown
  }
  throw new Error('it was taken')
}

describe('a users file', () => {
  it('has names and hashes, comments and empty lines, with any end of line', () => {
    const text = `# proxy users\n\nalice:${QUICK}\r\n   \nbob-2.x@example:${QUICK}\n`
    expect([...parseUsers(text, 'f').keys()]).toEqual(['alice', 'bob-2.x@example'])
    expect(parseUsers('', 'f').size).toBe(0)
  })

  it.each([
    ['a password in clear', 'alice:sesame'],
    ['no hash', 'alice'],
    ['an empty name', `:${QUICK}`],
    ['a name with a space', `alice b:${QUICK}`],
    ['another kind of hash', 'alice:bcrypt$2$1$1$c2FsdHNhbHQ=$xxxx'],
    ['a hash that is cut short', `alice:${QUICK.slice(0, -4)}`],
    ['something behind the hash', `alice:${QUICK} admin`],
    ['a hash of a name that is too long', `${'a'.repeat(256)}:${QUICK}`],
  ])('that holds %s is refused, with file, line and mend, and without the line', (_name, line) => {
    const error = failure(`# users\nbob:${QUICK}\n\n${line}\n`)
    expect(error.code).toBe('config-invalid')
    expect(error.message).toBe('config/users: line 4 is not name:scrypt-hash')
    expect(error.hint).toBe('write it with: sightline user add NAME --file config/users')
  })
})

describe('hashPassword', () => {
  it('salts: one password, two hashes, both good', async () => {
    const hashes = await Promise.all([hashPassword('sesame'), hashPassword('sesame')])
    expect(hashes[0]).not.toBe(hashes[1])
    for (const hash of hashes) {
      expect(hash).toMatch(/^scrypt\$16384\$8\$1\$[A-Za-z0-9+/=]{24}\$[A-Za-z0-9+/=]{44}$/)
      expect(await new Users(parseUsers(`alice:${hash}`, 'f')).check('alice', 'sesame')).toBe(true)
    }
  })
})

describe('a user', () => {
  it.each([
    ['alice', 'open sesame', true],
    ['alice', 'open sesamE', false],
    ['alice', '', false],
    ['Alice', 'open sesame', false],
    ['bob', 'open sesame', false],
    ['', '', false],
    ['alice', 'open sesame ', false],
  ])('%j with %j: %s', async (name, password, isGood) => {
    const users = new Users(parseUsers(`alice:${await hashPassword('open sesame')}`, 'f'))
    expect(await users.check(name, password)).toBe(isGood)
    // What is remembered is remembered of those alone that were right.
    expect(users.remembers(users.keyOf(name, password))).toBe(isGood)
  })

  it('may write the password in either form of its letters', async () => {
    const users = new Users(parseUsers(`alice:${await hashPassword('s\u00e9same')}`, 'f'))
    expect(await users.check('alice', 'se\u0301same')).toBe(true)
  })
})

describe('what is remembered', () => {
  it('is so for five minutes', async () => {
    let nowMs = 1_000_000
    const users = new Users(parseUsers(`alice:${await hashPassword('sesame')}`, 'f'), () => nowMs)
    const key = users.keyOf('alice', 'sesame')
    expect(users.remembers(key)).toBe(false)
    await users.check('alice', 'sesame')
    nowMs += 299_999
    expect(users.remembers(key)).toBe(true)
    nowMs += 1
    expect(users.remembers(key)).toBe(false)
  })

  it('keeps name and password apart', () => {
    const users = new Users(new Map())
    expect(users.keyOf('ab', 'c')).not.toBe(users.keyOf('a', 'bc'))
  })

  it('stands under a key of its own in each process, and says nothing', () => {
    const keys = [new Users(new Map()), new Users(new Map())].map((users) => users.keyOf('alice', 'sesame'))
    expect(keys[0]).not.toBe(keys[1])
    expect(keys.join(' ')).not.toMatch(/alice|sesame/)
  })

  it('is forgotten with the file that it came from', async () => {
    const hash = await hashPassword('sesame')
    const before = new Users(parseUsers(`alice:${hash}`, 'f'))
    await before.check('alice', 'sesame')
    const after = new Users(parseUsers(`alice:${hash}`, 'f'))
    expect(after.remembers(after.keyOf('alice', 'sesame'))).toBe(false)
  })
})

describe('a check', () => {
  it('is a whole scrypt for an unknown name too', async () => {
    const users = new Users(parseUsers(`alice:${await hashPassword('sesame')}`, 'f'))
    const cost = async (name: string): Promise<number> => {
      const started = process.cpuUsage()
      await users.check(name, 'wrong')
      const { user, system } = process.cpuUsage(started)
      return (user + system) / 1000
    }
    // A look into a table takes microseconds of the processor, a scrypt tens of milliseconds.
    expect(Math.min(await cost('alice'), await cost('nobody'))).toBeGreaterThan(5)
  })

  it('waits for its turn, two at once, up to a number; beyond it is refused at once', async () => {
    const users = new Users(parseUsers(`alice:${QUICK}`, 'f'))
    const checks = await Promise.allSettled(Array.from({ length: 200 }, () => users.check('alice', 'wrong')))
    const refused = checks.flatMap((check) =>
      check.status === 'rejected' ? [check.reason as GatewayError] : [],
    )
    expect(refused.length).toBe(200 - 2 - 128)
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(['too-many-connections']))
    expect(await users.check('alice', 'wrong')).toBe(false)
  })
})
