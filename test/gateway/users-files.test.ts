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
    const names = ['alice', 'bob', 'carol', 'dave']
    const kept = (by: UsersFiles): string[] =>
      names.filter((name) => by.fileNow(file, name, before) !== undefined)
    expect(kept(files)).toEqual(['alice'])

    // Named no more: who another one knows stays by that, and everybody where none is left.
    const [next, last] = [directory.file('next'), directory.file('last')]
    await writeFile(next, `alice:${other}\nbob:${bob}\n`)
    await writeFile(last, `carol:${other}\n`)
    const others = UsersFiles.read([next, last])
    expect(kept(others)).toEqual(['bob', 'carol'])
    expect(others.fileNow(file, 'carol', before)).toBe(last)
    expect(kept(UsersFiles.read([]))).toEqual(names)
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
