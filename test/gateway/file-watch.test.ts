// Files that are read again by themselves: when they have settled, by whatever way they changed.
import { rename, rm, symlink, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { FileWatch, lookAtAll, type Watched } from '../../src/gateway/file-watch.ts'
import { readFileSync } from 'node:fs'
import { eventually } from '../support/eventually.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'

const EVERY_MS = 20

interface Watching extends AsyncDisposable {
  readonly directory: TempDir
  readonly file: string
  /** What was read, in order; what is not good stands there with its error. */
  readonly read: string[]
  readonly told: string[]
  until(last: string): Promise<void>
}

/** Watches one file whose text is good unless it says otherwise. */
async function watching(
  prepare: (directory: TempDir) => Promise<void>,
  everyMs = EVERY_MS,
): Promise<Watching> {
  const directory = await tempDir()
  const file = directory.file('watched')
  await prepare(directory)
  const read: string[] = []
  const told: string[] = []
  const watch = new FileWatch((part, error) => told.push(`${part}: ${error?.code ?? 'ok'}`), everyMs)
  const part: Watched = {
    part: 'certificate',
    files: [file],
    read: () => {
      const text = readFileSync(file, 'utf8')
      read.push(text)
      if (text.startsWith('bad')) throw new GatewayError('pki-invalid')
    },
  }
  watch.watch([part], lookAtAll([file]))
  return {
    directory,
    file,
    read,
    told,
    until: (last) => eventually(() => expect(read.at(-1)).toBe(last)),
    [Symbol.asyncDispose]: async () => {
      watch.close()
      await directory[Symbol.asyncDispose]()
    },
  }
}

describe('a file that changes', () => {
  it('is read again: written in place, renamed over, gone and back', async () => {
    await using one = await watching((directory) => writeFile(directory.file('watched'), 'one'))
    await writeFile(one.file, 'two')
    await one.until('two')
    await writeFile(one.directory.file('next'), 'three')
    await rename(one.directory.file('next'), one.file)
    await one.until('three')
    await rm(one.file)
    await eventually(() => expect(one.told.at(-1)).toBe('certificate: file-unusable'))
    await writeFile(one.file, 'four')
    await one.until('four')
    expect(one.told.at(-1)).toBe('certificate: ok')
  })

  it('is read again through a link that is swapped, as Kubernetes does', async () => {
    await using one = await watching(async (directory) => {
      await writeFile(directory.file('data-1'), 'one')
      await writeFile(directory.file('data-2'), 'two')
      await symlink('data-1', directory.file('..data'))
      await symlink('..data', directory.file('watched'))
    })
    await symlink('data-2', one.directory.file('..next'))
    await rename(one.directory.file('..next'), one.directory.file('..data'))
    await one.until('two')
    expect(one.told).toEqual(['certificate: ok'])
  })

  it('says what is not good, and looks again', async () => {
    await using one = await watching((directory) => writeFile(directory.file('watched'), 'one'))
    await writeFile(one.file, 'bad')
    await eventually(() => expect(one.told).toEqual(['certificate: pki-invalid']))
    expect(one.read).toEqual(['bad', 'bad'])
    await writeFile(one.file, 'good')
    await one.until('good')
    expect(one.told.at(-1)).toBe('certificate: ok')
  })

  it('that is good the second time is not complained of', async () => {
    const directory = await tempDir()
    const file = directory.file('watched')
    await writeFile(file, '')
    const told: string[] = []
    let reads = 0
    const watch = new FileWatch((part, error) => told.push(`${part}: ${error?.code ?? 'ok'}`), EVERY_MS)
    const read = (): void => {
      reads += 1
      if (reads === 1) throw new GatewayError('pki-invalid')
    }
    watch.watch([{ part: 'certificate', files: [file], read }], lookAtAll([file]))
    await writeFile(file, 'changed')
    await eventually(() => expect(told).toEqual(['certificate: ok']))
    expect(reads).toBe(2)
    watch.close()
    await directory[Symbol.asyncDispose]()
  })

  it('is not read while it changes, unless it never stops', async () => {
    await using one = await watching((directory) => writeFile(directory.file('watched'), ''), 60)
    const written: string[] = []
    const timer = setInterval(() => {
      written.push('x')
      void writeFile(one.file, written.join(''))
    }, 20)
    try {
      await eventually(() => expect(one.read.length).toBeGreaterThan(0))
      expect(written.length).toBeGreaterThan(3)
    } finally {
      clearInterval(timer)
    }
  })

  it('is not missed where it changed between the first look and the first reading', async () => {
    await using directory = await tempDir()
    const file = directory.file('watched')
    await writeFile(file, 'one')
    const looks = lookAtAll([file])
    await writeFile(file, 'two')
    const read: string[] = []
    const watch = new FileWatch(() => {}, EVERY_MS)
    watch.watch([{ part: 'users', files: [file], read: () => read.push(readFileSync(file, 'utf8')) }], looks)
    await eventually(() => expect(read).toEqual(['two']))
    watch.close()
  })
})
