// Reads a store of usage while a gateway writes to it. Rule: the connection is read-only, and sees one moment of the store.
import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { GatewayError } from '../errors.ts'
import { checkStore, toStoreError, type UseOfDay } from './usage-store.ts'

export interface UsageQuestion {
  /** Days since 1970 (UTC), both included. */
  readonly since: number
  readonly until: number
  readonly name?: string | undefined
}

const SELECT = `
SELECT day, kind, name, up, down, streams FROM uses
WHERE day BETWEEN ? AND ? AND (? IS NULL OR name = ?)
ORDER BY day, kind, name`
const BUSY_MS = 2_000

/** Errors: `file-unusable` where there is none, `usage-store-unavailable`, `usage-store-invalid`. */
export function readUsage(file: string, { since, until, name }: UsageQuestion): UseOfDay[] {
  return read(file, (database) =>
    database
      .prepare(SELECT)
      .all(since, until, name ?? null, name ?? null)
      .map((row) => {
        if (row['kind'] !== 'user' && row['kind'] !== 'certificate')
          throw new GatewayError('usage-store-invalid', { detail: `${file} holds something of another kind` })
        return {
          identity: { kind: row['kind'], name: String(row['name']) },
          day: Number(row['day']),
          up: Number(row['up']),
          down: Number(row['down']),
          streams: Number(row['streams']),
        }
      }),
  )
}

/** Looks whether a gateway could go on with it. Errors: as above, but for a file that is not there. */
export function checkUsageStore(file: string): void {
  if (existsSync(file)) read(file, () => {})
}

function read<T>(file: string, what: (database: DatabaseSync) => T): T {
  if (!existsSync(file))
    throw new GatewayError('file-unusable', {
      detail: `${file}: there is no such file`,
      hint: 'check the path; a gateway with usage.store makes it when it starts',
    })
  let database
  try {
    database = new DatabaseSync(file, { readOnly: true, timeout: BUSY_MS })
    database.exec('BEGIN')
    checkStore(database, file)
    return what(database)
  } catch (thrown) {
    throw toStoreError(thrown, file)
  } finally {
    database?.close()
  }
}
