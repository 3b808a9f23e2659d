// The users files of a gateway: read at start, and again when they change.
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { UsersFiles } from '../../src/gateway/users-files.ts'
import { hashPassword } from '../../src/gateway/users.ts'
import { eventually } from '../support/eventually.ts'
import { tempDir } from '../support/temp-dir.ts'

const EVERY_MS = 20

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
  it('is read again when it changes, also by a rename, and stays as it was where it is no longer good', async () => {
    await using directory = await tempDir()
    const file = directory.file('users')
    const line = `alice:${await hashPassword('correct')}\n`
    await writeFile(file, line)
    const files = UsersFiles.read([file])
    const told: string[] = []
    files.watch((outcome) => told.push(outcome), EVERY_MS)
    // One change may be seen twice: a file is emptied before it is filled.
    const toldLast = (outcome: string): Promise<void> => eventually(() => expect(told.at(-1)).toBe(outcome))
    try {
      const before = files.get(file)
      await writeFile(directory.file('next'), `${line}bob:${await hashPassword('his')}\n`)
      await rename(directory.file('next'), file)
      await toldLast('ok')
      const after = files.get(file)
      expect(after).not.toBe(before)
      expect(await after?.check('bob', 'his')).toBe(true)
      await writeFile(file, 'bob:plain\n')
      await toldLast('config-invalid')
      expect(files.get(file)).toBe(after)
      await rm(file)
      await toldLast('file-unusable')
      expect(files.get(file)).toBe(after)
      await writeFile(file, line)
      await toldLast('ok')
      expect(await files.get(file)?.check('bob', 'his')).toBe(false)
      expect(await files.get(file)?.check('alice', 'correct')).toBe(true)
    } finally {
      files.close()
    }
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
