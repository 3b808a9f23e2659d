// The file of usage: what is added stands in it once, for its owner alone; what is none of ours is refused and left as it is.
import { chmodSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import type { Identity } from '../../src/protocol/request.ts'
import { checkUsageStore, readUsage } from '../../src/state/usage-reader.ts'
import { UsageFile, type UseOfDay } from '../../src/state/usage-store.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'

const ALICE: Identity = { kind: 'user', name: 'alice' }
const SAME_NAME: Identity = { kind: 'certificate', name: 'alice' }
const STRANGE: Identity = { kind: 'certificate', name: "o'ha\u001b[31m\0 \u{1f300}" }
const EVERY_DAY = { since: 0, until: 100_000 }

let dir: TempDir
let file: string
beforeEach(async () => {
  dir = await tempDir()
  file = dir.file('usage.db')
})
afterEach(() => dir[Symbol.asyncDispose]())

function use(identity: Identity, day: number, up: number, down = 0, streams = 0): UseOfDay {
  return { identity, day, up, down, streams }
}

function errorOf(call: () => unknown): GatewayError {
  try {
    call()
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown
    throw thrown
  }
  throw new Error('it was taken')
}

function sql(text: string): void {
  const database = new DatabaseSync(file)
  database.exec(text)
  database.close()
}

describe('a store', () => {
  it('sums by kind, name and day, also over its end', () => {
    const first = UsageFile.open(file)
    first.add([use(ALICE, 20_000, 1, 10, 1), use(SAME_NAME, 20_000, 2), use(STRANGE, 20_001, 2 ** 40)])
    first.add([use(ALICE, 20_000, 4, 40, 2), use(ALICE, 20_001, 5)])
    first.close()
    const second = UsageFile.open(file)
    second.add([use(ALICE, 20_000, 8)])
    expect([second.bytesOf(ALICE, 20_000), second.bytesOf(ALICE, 19_999)]).toEqual([63, 0])
    expect(readUsage(file, EVERY_DAY)).toEqual([
      use(SAME_NAME, 20_000, 2),
      use(ALICE, 20_000, 13, 50, 3),
      use(STRANGE, 20_001, 2 ** 40),
      use(ALICE, 20_001, 5),
    ])
    second.close()
  })

  it('is asked by day and name, while it is written to', () => {
    const store = UsageFile.open(file)
    store.add([
      use(ALICE, 1, 1),
      use(ALICE, 2, 2),
      use(SAME_NAME, 2, 3),
      use(STRANGE, 2, 4),
      use(ALICE, 3, 5),
    ])
    const writer = new DatabaseSync(file)
    writer.exec("BEGIN IMMEDIATE; UPDATE uses SET up = 1000000 WHERE name = 'alice'")
    const asked = { since: 2, until: 3, name: 'alice' }
    expect(readUsage(file, asked).map(({ up }) => up)).toEqual([3, 2, 5])
    writer.exec('COMMIT')
    writer.close()
    expect(readUsage(file, asked).map(({ up }) => up)).toEqual([1_000_000, 1_000_000, 1_000_000])
    store.close()
  })

  it('is for its owner alone, also where it was not, with all that lies beside it', () => {
    const store = UsageFile.open(file)
    store.add([use(ALICE, 1, 1)])
    const modes = (): string[] =>
      ['', '-wal', '-shm'].map((end) => (statSync(`${file}${end}`).mode & 0o777).toString(8))
    expect(modes()).toEqual(['600', '600', '600'])
    store.close()
    chmodSync(file, 0o644)
    const again = UsageFile.open(file)
    again.add([use(ALICE, 1, 1)])
    expect(modes()).toEqual(['600', '600', '600'])
    again.close()
  })

  it('forgets its oldest day first, where that is too old, and overwrites it', () => {
    const store = UsageFile.open(file)
    store.add([use({ kind: 'user', name: 'somebodylongago' }, 1, 1), use(ALICE, 2, 1), use(ALICE, 3, 1)])
    const days = (): number[] => readUsage(file, EVERY_DAY).map(({ day }) => day)
    store.forget(3)
    expect(days()).toEqual([2, 3])
    store.forget(3)
    store.forget(3)
    expect(days()).toEqual([3])
    store.close()
    expect(readFileSync(file).includes('somebodylongago')).toBe(false)
    expect(readFileSync(file).includes('alice')).toBe(true)
  })

  it('goes on in a new file where somebody moved it away', () => {
    const store = UsageFile.open(file)
    store.add([use(ALICE, 1, 1)])
    renameSync(file, dir.file('away.db'))
    for (const end of ['-wal', '-shm']) renameSync(`${file}${end}`, dir.file(`away.db${end}`))
    store.add([use(ALICE, 1, 20)])
    expect(store.bytesOf(ALICE, 1)).toBe(20)
    store.close()
    expect(readUsage(dir.file('away.db'), EVERY_DAY)).toEqual([use(ALICE, 1, 1)])
  })

  it('takes nothing of what it cannot take whole', () => {
    const store = UsageFile.open(file)
    store.add([use(ALICE, 1, 1)])
    const refused = errorOf(() => store.add([use(ALICE, 1, 1), use(STRANGE, 1, Number.NaN)]))
    expect(refused.code).toBe('usage-store-unavailable')
    expect(readUsage(file, EVERY_DAY)).toEqual([use(ALICE, 1, 1)])
    store.add([use(ALICE, 1, 1)])
    expect(store.bytesOf(ALICE, 1)).toBe(2)
    store.close()
  })

  it('says that it is busy, and takes it afterwards', () => {
    const store = UsageFile.open(file)
    const other = new DatabaseSync(file)
    other.exec('BEGIN IMMEDIATE')
    const busy = errorOf(() => store.add([use(ALICE, 1, 1)]))
    expect([busy.code, busy.message]).toEqual([
      'usage-store-unavailable',
      `${file}: another process holds it`,
    ])
    other.exec('ROLLBACK')
    other.close()
    store.add([use(ALICE, 1, 1)])
    expect(store.bytesOf(ALICE, 1)).toBe(1)
    store.close()
  })
})

/** What can stand there instead, and what is said of it. */
const WRONG: ReadonlyArray<readonly [what: string, make: () => void, message: RegExp, hint: RegExp]> = [
  [
    'garbage',
    () => writeFileSync(file, 'no store of anything'.repeat(100)),
    /usage\.db is damaged, or is no store of usage$/,
    /^move it away with usage\.db-wal and usage\.db-shm in .*: a new one is made; sqlite3 FILE \.recover/,
  ],
  ['a damaged page', damage, /is damaged/, /\.recover/],
  [
    'a newer version',
    () => {
      UsageFile.open(file).close()
      sql('PRAGMA user_version = 2')
    },
    /usage\.db is a store of version 2, and this program knows version 1$/,
    /^start the version that wrote it, or move the file away/,
  ],
  [
    "another program's database",
    () => sql('CREATE TABLE other (a)'),
    /is a database of something else$/,
    /^name another file in usage\.store/,
  ],
]

/** Overwrites the middle of a store with several pages. */
function damage(): void {
  const store = UsageFile.open(file)
  store.add(
    Array.from({ length: 2_000 }, (_, index) => use({ kind: 'user', name: `user-${index}` }, 1, index)),
  )
  store.close()
  const bytes = readFileSync(file)
  bytes.fill(0x5a, 8_192, 12_288)
  writeFileSync(file, bytes)
}

describe('a file that is no store of this version', () => {
  it.each(WRONG)('is refused and not written to: %s', (_what, make, message, hint) => {
    make()
    const before = readFileSync(file)
    for (const call of [
      () => UsageFile.open(file),
      () => checkUsageStore(file),
      () => readUsage(file, EVERY_DAY),
    ]) {
      const error = errorOf(call)
      expect(error.code).toBe('usage-store-invalid')
      expect(error.message).toMatch(message)
      expect(error.hint).toMatch(hint)
    }
    expect(readFileSync(file).equals(before)).toBe(true)
  })

  it('is refused when it has become so', () => {
    const store = UsageFile.open(file)
    store.add([use(ALICE, 1, 1)])
    for (const end of ['', '-wal', '-shm']) rmSync(`${file}${end}`)
    writeFileSync(file, 'no store of anything'.repeat(100))
    expect(errorOf(() => store.add([use(ALICE, 1, 1)])).code).toBe('usage-store-invalid')
    rmSync(file)
    store.add([use(ALICE, 1, 5)])
    expect(store.bytesOf(ALICE, 1)).toBe(5)
    store.close()
  })
})

describe('a place where there can be none', () => {
  it.each([
    ['without its directory', 'no/usage.db', 'its directory is not there'],
    ['in a file', 'file/usage.db', 'its directory is a file'],
  ])('%s', (_what, name, why) => {
    writeFileSync(dir.file('file'), '')
    const error = errorOf(() => UsageFile.open(dir.file(name)))
    expect([error.code, error.message]).toEqual(['file-unusable', `usage.store ${dir.file(name)}: ${why}`])
    expect(error.hint).toContain('paths in a config file are relative to that file')
  })

  it('is said to who asks', () => {
    expect(errorOf(() => readUsage(file, EVERY_DAY)).code).toBe('file-unusable')
    expect(() => checkUsageStore(file)).not.toThrow()
  })
})
