// The users files that a config names: read at start and on reload, and read again by themselves when they change.
// Rules: a file that is no longer good changes nothing, and no request ever waits for a look at the disk.
import { unwatchFile, watchFile } from 'node:fs'
import { readText } from '../config/load.ts'
import { toGatewayError, type ErrorCode } from '../errors.ts'
import { parseUsers, Users } from './users.ts'

const LOOK_EVERY_MS = 1_000

export class UsersFiles {
  #users: Map<string, Users>
  #watchers = new Map<string, () => void>()

  private constructor(users: Map<string, Users>) {
    this.#users = users
  }

  /** Reads them all. Errors: `file-unusable`, `config-invalid`. */
  static read(files: readonly string[]): UsersFiles {
    return new UsersFiles(new Map(files.map((file) => [file, readUsers(file)])))
  }

  get(file: string): Users | undefined {
    return this.#users.get(file)
  }

  /** Reads a file again whenever it has changed, and says how that went. */
  watch(reloaded: (outcome: ErrorCode | 'ok') => void, everyMs: number = LOOK_EVERY_MS): void {
    for (const file of this.#users.keys()) {
      let timer: NodeJS.Timeout | undefined
      // A moment later: an editor empties a file before it fills it, and an empty one would shut everybody out.
      const look = (): void => {
        clearTimeout(timer)
        timer = setTimeout(() => this.#watchers.has(file) && reloaded(this.#readAgain(file)), everyMs).unref()
      }
      this.#watchers.set(file, look)
      watchFile(file, { interval: everyMs, persistent: false }, look)
    }
  }

  /** Stops looking. */
  close(): void {
    for (const [file, look] of this.#watchers) unwatchFile(file, look)
    this.#watchers.clear()
  }

  #readAgain(file: string): ErrorCode | 'ok' {
    try {
      this.#users.set(file, readUsers(file))
      return 'ok'
    } catch (thrown) {
      return toGatewayError(thrown, 'self', 'file-unusable').code
    }
  }
}

function readUsers(file: string): Users {
  return new Users(parseUsers(readText(file, 'auth.users'), file))
}
