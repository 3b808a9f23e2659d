// What a kill in the middle of writing leaves of an authority (test/long/pki-crash.test.ts does it for longer), and of its
// lock.
import { writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { initAuthority, issue } from '../../src/pki/store.ts'
import { killWriters } from './crash.ts'
import { freshAuthority, freshDirectory, NOW } from './directory.ts'
import { errorOf } from './errors.ts'
import { mkdir, readdir, readFile } from 'node:fs/promises'

const CLIENT = { kind: 'client', hosts: [], now: NOW, lockWaitMs: 0 } as const

describe('a writer that is killed', () => {
  it('loses nothing that it said was done, and holds nobody up', async () => {
    expect(await killWriters(3)).toBeGreaterThan(0)
  })
})

describe.skipIf(process.platform !== 'linux')('the lock', () => {
  const self = async (): Promise<string[]> => {
    const line = await readFile('/proc/self/stat', 'latin1')
    return [String(process.pid), line.slice(line.lastIndexOf(')') + 2).split(' ')[19] ?? '']
  }

  it.each([
    ['a process that is gone', async () => `4194303 1 ${hostname()} x`],
    ['one whose number another has now', async () => `${(await self())[0]} 1 ${hostname()} x`],
    ['this very process, which does not hold it', async () => `${(await self()).join(' ')} ${hostname()} x`],
  ])('of %s is taken over, and what it left is cleared away', async (_who, holder) => {
    const dir = await freshAuthority()
    await writeFile(join(dir, '.lock'), await holder())
    await writeFile(join(dir, '.alice.key.0123456789ab.tmp'), 'half a key')
    await writeFile(join(dir, '.alice.p12.0123456789ab.tmp'), 'not ours')
    expect((await issue(dir, 'alice', CLIENT)).entry.name).toBe('alice')
    expect((await readdir(dir)).filter((file) => file.startsWith('.'))).toEqual([
      '.alice.p12.0123456789ab.tmp',
    ])
  })

  it.each([
    ['a process that lives', async () => `1 ${await startOf('1')} ${hostname()} x`],
    ['one on another machine', async () => '4194303 1 elsewhere x'],
    ['one that has not written its name yet', async () => ''],
  ])('of %s is respected', async (_who, holder) => {
    const dir = await freshAuthority()
    await writeFile(join(dir, '.lock'), await holder())
    const error = await errorOf(() => issue(dir, 'alice', CLIENT))
    expect(error).toMatchObject({ code: 'file-unusable', message: `another process is writing in ${dir}` })
  })
})

async function startOf(pid: string): Promise<string> {
  const line = await readFile(`/proc/${pid}/stat`, 'latin1')
  return line.slice(line.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

describe('an authority whose making was cut short', () => {
  it('is made anew', async () => {
    const dir = await freshDirectory()
    await mkdir(dir)
    for (const file of ['.init', 'ca.key', 'index.json']) await writeFile(join(dir, file), '')
    await initAuthority(dir, { now: NOW })
    expect((await readdir(dir)).toSorted()).toEqual(['ca.crl', 'ca.crt', 'ca.key', 'index.json'])
    expect((await issue(dir, 'alice', CLIENT)).entry.name).toBe('alice')
  })

  it('is not, once it was whole', async () => {
    const dir = await freshAuthority()
    await writeFile(join(dir, '.init'), '')
    expect((await errorOf(() => initAuthority(dir))).message).toContain('holds an authority already (ca.crt)')
  })
})
