// A directory of a test's own, removed with all that is in it when its scope ends.
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'

export interface TempDir extends AsyncDisposable {
  readonly path: string
  /** The absolute path of something in it. */
  file(name: string): string
}

/** Makes one, readable by this user alone. */
export async function tempDir(): Promise<TempDir> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'sightline-test-'))
  return {
    path: directory,
    file: (name) => path.join(directory, name),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true, maxRetries: 5 }),
  }
}
