// The users files of a gateway: read at start, and again when they change (file-watch.test.ts).
import { mkdir, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { UsersFiles } from '../../src/gateway/users-files.ts'
import { hashPassword } from '../../src/gateway/users.ts'
import { tempDir } from '../support/temp-dir.ts'

function messageOf(call: () => unknown): string {
  try {
    call()
    return 'ok'
  } catch (thrown) {
    if (thrown instanceof GatewayError) return `${thrown.code}: ${thrown.message}`
    throw thrown
  }
}

describe('a users file', () => {
  it('stays as it was where it is no longer good', async () => {
    await using directory = await tempDir()
    const file = directory.file('users')
    await writeFile(file, `alice:${await hashPassword('correct')}\n`)
    const files = UsersFiles.read([file])
    const before = files.get(file)
    await writeFile(file, 'bob:plain\n')
    expect(messageOf(() => files.readAgain(file))).toMatch(/^config-invalid: /)
    expect(files.get(file)).toBe(before)
  })

  it('says whom it has lost: who is gone, or has another password', async () => {
    await using directory = await tempDir()
    const file = directory.file('users')
    const [alice, bob, other] = await Promise.all(['one', 'two', 'three'].map(hashPassword))
    await writeFile(file, `alice:${alice}\nbob:${bob}\ncarol:${other}\n`)
    const files = UsersFiles.read([file])
    const before = files.get(file)!
    await writeFile(file, `# comment\nalice:${alice}\nbob:${other}\ndave:${bob}\n`)
    files.readAgain(file)
    const lost = ['alice', 'bob', 'carol', 'dave'].filter((name) => files.hasLost(file, name, before))
    expect(lost).toEqual(['bob', 'carol', 'dave'])
    expect(files.hasLost('/another', 'carol', before)).toBe(false)
  })

  it('is an error at start where it is not there, or is none', async () => {
    await using directory = await tempDir()
    await mkdir(directory.file('there'))
    expect(messageOf(() => UsersFiles.read([directory.file('none')]))).toMatch(
      /^file-unusable: auth\.users .*none: there is no such file$/,
    )
    expect(messageOf(() => UsersFiles.read([directory.file('there')]))).toMatch(/^file-unusable: /)
  })
})
