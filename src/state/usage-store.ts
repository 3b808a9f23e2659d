// How much each identity moved on each day, in a file of SQLite. Rules: what is added is added whole or not at all, so that
// nothing is counted twice or in part whenever the process ends; the file is for its owner alone, holds names and sums and
// nothing else, and what is deleted of it is overwritten; a file that is damaged, newer or somebody else's is never
// written to; and several processes may add to one file.
import { chmodSync, closeSync, existsSync, openSync, statSync } from 'node:fs'
import path from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { GatewayError, type ErrorCode } from '../errors.ts'
import type { Identity } from '../protocol/request.ts'

/** What one identity moved on a day since 1970 (UTC). */
export interface UseOfDay {
  readonly identity: Identity
  readonly day: number
  readonly up: number
  readonly down: number
  readonly streams: number
}

/** Where counts are kept. Calls return when it is done. Errors of all: `usage-store-unavailable`, `usage-store-invalid`. */
export interface UsageStore {
  /** Adds all of it or, where it throws, nothing. */
  add(uses: readonly UseOfDay[]): void
  /** In both directions. */
  bytesOf(identity: Identity, day: number): number
  /** Forgets the oldest day, where it is before `day`. */
  forget(day: number): void
  close(): void
}

/** What somebody is told. */
export interface UsageObserver {
  /** How each write to the store went; undefined where nothing is kept any more. */
  usageStore(outcome: ErrorCode | 'ok' | undefined): void
  /** Bytes that the store will never know of: it was away for too long. */
  usageLost(bytes: number): void
}

const VERSION = 1
/** "SlUs": no other program's file is taken for one of these. */
const APPLICATION = 0x53_6c_55_73
const SCHEMA = `
CREATE TABLE uses (
  day INTEGER NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  up INTEGER NOT NULL,
  down INTEGER NOT NULL,
  streams INTEGER NOT NULL,
  PRIMARY KEY (day, kind, name)
) STRICT, WITHOUT ROWID;
PRAGMA application_id = ${APPLICATION};
PRAGMA user_version = ${VERSION};`
const ADD = `
INSERT INTO uses (day, kind, name, up, down, streams) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (day, kind, name) DO UPDATE SET
  up = up + excluded.up, down = down + excluded.down, streams = streams + excluded.streams`
const BYTES = 'SELECT up + down AS bytes FROM uses WHERE day = ? AND kind = ? AND name = ?'
const FORGET = 'DELETE FROM uses WHERE day = (SELECT min(day) FROM uses) AND day < ?'

/** Nothing else runs meanwhile: it is only ever another process that writes for a moment. */
const BUSY_MS = 200
const PRIVATE_MODE = 0o600

interface Open {
  readonly database: DatabaseSync
  readonly inode: number
  readonly add: StatementSync
  readonly bytes: StatementSync
  readonly forget: StatementSync
}

export class UsageFile implements UsageStore {
  #file: string
  #open: Open | undefined

  private constructor(file: string) {
    this.#file = file
  }

  /**
   * Opens it, and makes it where there is none. A disk that is full or read-only is no failure yet: it is tried again at
   * each call. Errors: `file-unusable` where there can be none, `usage-store-invalid`.
   */
  static open(file: string): UsageFile {
    const store = new UsageFile(file)
    try {
      store.#database()
    } catch (thrown) {
      if (!(thrown instanceof GatewayError) || thrown.code !== 'usage-store-unavailable') throw thrown
    }
    return store
  }

  add(uses: readonly UseOfDay[]): void {
    this.#write(({ add }) => {
      for (const { day, identity, up, down, streams } of uses)
        add.run(day, identity.kind, identity.name, up, down, streams)
    })
  }

  bytesOf({ kind, name }: Identity, day: number): number {
    return this.#guarded(() => Number(this.#database().bytes.get(day, kind, name)?.['bytes'] ?? 0))
  }

  forget(day: number): void {
    this.#write(({ forget }) => void forget.run(day))
  }

  close(): void {
    try {
      this.#open?.database.close()
    } catch {
      // What was written is written; a close only tidies up.
    }
    this.#open = undefined
  }

  #write(what: (open: Open) => void): void {
    this.#guarded(() => {
      const open = this.#database()
      open.database.exec('BEGIN IMMEDIATE')
      what(open)
      open.database.exec('COMMIT')
    })
  }

  /** After a failure nothing of a transaction is left; but for a lack of room or patience the next call opens the file anew. */
  #guarded<T>(call: () => T): T {
    try {
      return call()
    } catch (thrown) {
      try {
        if (this.#open?.database.isTransaction === true) this.#open.database.exec('ROLLBACK')
        if (!PASSING.has(codeOf(thrown))) this.close()
      } catch {
        this.close()
      }
      throw toStoreError(thrown, this.#file)
    }
  }

  #database(): Open {
    // Somebody may have moved the file away: what is written to it then would be lost.
    if (this.#open !== undefined && inodeOf(this.#file) !== this.#open.inode) this.close()
    this.#open ??= openFile(this.#file)
    return this.#open
  }
}

function inodeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.ino ?? 0
}

function openFile(file: string): Open {
  makePrivate(file)
  let database
  try {
    database = new DatabaseSync(file, { timeout: BUSY_MS })
    database.exec('PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON')
    prepareSchema(database, file)
    return {
      database,
      inode: inodeOf(file),
      add: database.prepare(ADD),
      bytes: database.prepare(BYTES),
      forget: database.prepare(FORGET),
    }
  } catch (thrown) {
    database?.close()
    throw toStoreError(thrown, file)
  }
}

function prepareSchema(database: DatabaseSync, file: string): void {
  if (isEmpty(database)) {
    database.exec('PRAGMA journal_mode = WAL; BEGIN IMMEDIATE')
    // Another process may have been first.
    if (isEmpty(database)) database.exec(SCHEMA)
    database.exec('COMMIT')
  }
  checkStore(database, file)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 4194304')
}

function isEmpty(database: DatabaseSync): boolean {
  return database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.['tables'] === 0
}

/** Errors: `usage-store-invalid`. */
export function checkStore(database: DatabaseSync, file: string): void {
  const number = (pragma: string): number => Number(database.prepare(`PRAGMA ${pragma}`).get()?.[pragma])
  if (number('application_id') !== APPLICATION)
    throw new GatewayError('usage-store-invalid', {
      detail: `${file} is a database of something else`,
      hint: 'name another file in usage.store: it is made where there is none',
    })
  const version = number('user_version')
  if (version !== VERSION)
    throw new GatewayError('usage-store-invalid', {
      detail: `${file} is a store of version ${version}, and this program knows version ${VERSION}`,
      hint: 'start the version that wrote it, or move the file away: a new one is made',
    })
  const found = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check']
  if (found !== 'ok') throw damaged(file)
}

/** Makes the file where there is none, and keeps others from reading it. Never opens one that is there: SQLite's locks would go. */
function makePrivate(file: string): void {
  try {
    if (!existsSync(file)) closeSync(openSync(file, 'wx', PRIVATE_MODE))
    else if ((statSync(file).mode & 0o077) !== 0) chmodSync(file, PRIVATE_MODE)
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown'
    // Somebody else was first, or it cannot be changed, which its first write will say.
    if (errno === 'EEXIST' || (errno === 'EROFS' && existsSync(file))) return
    if (errno === 'ENOSPC' || errno === 'EDQUOT' || errno === 'EIO')
      throw new GatewayError('usage-store-unavailable', {
        cause,
        detail: `${file}: ${FULL}`,
        hint: MAKE_ROOM,
      })
    const [why, hint] = MAKE_FAILURES[errno] ?? [errno, 'check the owner and mode of its directory']
    throw new GatewayError('file-unusable', { cause, detail: `usage.store ${file}: ${why}`, hint })
  }
}

const FULL = 'the disk is full'
const MAKE_ROOM = 'make room; until then it is counted in memory'
const MAKE_FAILURES: Readonly<Record<string, readonly [why: string, hint: string]>> = {
  ENOENT: ['its directory is not there', 'make it; paths in a config file are relative to that file'],
  ENOTDIR: ['its directory is a file', 'check the path; paths in a config file are relative to that file'],
  EACCES: ['this user may not write there', 'check the owner and mode of its directory'],
  EPERM: ['it belongs to somebody else, and others may read it', 'chown it to the user of the gateway'],
  EROFS: ['the file system is read-only', 'put it where the gateway may write; in a container, on a volume'],
}

/** SQLite's primary result codes (sqlite.org/rescode.html). */
const CORRUPT = new Set([11, 26])
const PASSING = new Set([5, 6, 13])
const REASONS: Readonly<Record<number, readonly [why: string, hint: string]>> = {
  5: ['another process holds it', 'wait until that has finished'],
  6: ['another process holds it', 'wait until that has finished'],
  8: ['it cannot be written', 'check its owner and mode, and whether the file system is read-only'],
  10: ['the disk does not answer as it should', 'check the disk; until then it is counted in memory'],
  13: [FULL, MAKE_ROOM],
  14: ['it cannot be opened', 'check the owner and mode of its directory'],
}

function codeOf(thrown: unknown): number {
  return typeof thrown === 'object' && thrown !== null && 'errcode' in thrown
    ? Number(thrown.errcode) & 0xff
    : 0
}

/** Gives what SQLite has thrown a code; leaves what has one. */
export function toStoreError(thrown: unknown, file: string): GatewayError {
  if (thrown instanceof GatewayError) return thrown
  const code = codeOf(thrown)
  if (CORRUPT.has(code)) return damaged(file, thrown)
  const [why, hint] = REASONS[code] ?? ['it cannot be used', 'check the file and its directory']
  return new GatewayError('usage-store-unavailable', { cause: thrown, detail: `${file}: ${why}`, hint })
}

function damaged(file: string, cause?: unknown): GatewayError {
  const { dir, name, ext } = path.parse(file)
  return new GatewayError('usage-store-invalid', {
    cause,
    detail: `${file} is damaged, or is no store of usage`,
    hint: `move it away with ${name}${ext}-wal and ${name}${ext}-shm in ${dir}: a new one is made; sqlite3 FILE .recover saves what can be read`,
  })
}
