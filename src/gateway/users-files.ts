// The users files that a config names: read at start and on reload, and read again by themselves when they change
// (file-watch.ts). Rule: a file that is no longer good changes nothing.
import { readText } from '../config/load.ts'
import { parseUsers, Users } from './users.ts'

export class UsersFiles {
  #users: Map<string, Users>

  private constructor(users: Map<string, Users>) {
    this.#users = users
  }

  /** Reads them all. Errors: `file-unusable`, `config-invalid`. */
  static read(files: readonly string[]): UsersFiles {
    return new UsersFiles(new Map(files.map((file) => [file, readUsers(file)])))
  }

  get files(): string[] {
    return [...this.#users.keys()]
  }

  /** Whether somebody whom `before` knew by this file has gone since, or has another password. */
  hasLost(file: string, name: string, before: Users): boolean {
    return this.#users.get(file)?.isSame(name, before) === false
  }

  get(file: string): Users | undefined {
    return this.#users.get(file)
  }

  /** Errors as for `read`; nothing is changed then. */
  readAgain(file: string): void {
    this.#users.set(file, readUsers(file))
  }
}

function readUsers(file: string): Users {
  return new Users(parseUsers(readText(file, 'auth.users'), file))
}
