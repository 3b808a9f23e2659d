// Revocation lists that other replicas gave, kept in a directory, so that a start without the store does not forget them.
// Rule: what lies there counts as little as what the store says; a directory that cannot be used is told, and ends nothing.
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { makeDirectory, writeFileAtomically } from '../pki/disk.ts'

const PUBLIC_MODE = 0o644

export class KeptLists {
  #directory: string | undefined
  #failed: () => void

  /** `failed` is told of each file that cannot be read or written. Without a directory nothing is kept. */
  constructor(directory: string | undefined, failed: () => void) {
    this.#directory = directory
    this.#failed = failed
  }

  /** `name` is of hexadecimal digits. Undefined where nothing is kept under it. */
  async read(name: string): Promise<string | undefined> {
    if (this.#directory === undefined) return undefined
    try {
      return await readFile(path.join(this.#directory, `${name}.crl`), 'latin1')
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') this.#failed()
      return undefined
    }
  }

  async keep(name: string, text: string): Promise<void> {
    if (this.#directory === undefined) return
    try {
      await makeDirectory(this.#directory)
      await writeFileAtomically(path.join(this.#directory, `${name}.crl`), text, PUBLIC_MODE)
    } catch {
      this.#failed()
    }
  }
}
