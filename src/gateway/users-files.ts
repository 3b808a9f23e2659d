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

  /**
   * By which file somebody is known now whom `before` knew by this one; undefined who has gone since, or has another
   * password. Where this file is not named any more another one may know them; where none is, nobody is asked.
   */
  fileNow(file: string, name: string, before: Users): string | undefined {
    if (this.#users.size === 0) return file
    const files = this.#users.has(file) ? [file] : this.files
    return files.find((one) => this.#users.get(one)?.isSame(name, before))
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
