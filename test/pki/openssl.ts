// Asks the openssl program for a second opinion, in a directory of its own that is removed again.
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const hasOpenssl = spawnSync('openssl', ['version']).status === 0

/** Lays out `files`, runs openssl there and returns its exit code and all that it printed. */
export async function openssl(
  args: string[],
  files: Record<string, string | Uint8Array>,
): Promise<{ status: number | null; output: string }> {
  const cwd = await mkdtemp(join(tmpdir(), 'sightline-openssl-'))
  try {
    for (const [name, content] of Object.entries(files)) await writeFile(join(cwd, name), content)
    const run = spawnSync('openssl', args, { cwd, encoding: 'utf8' })
    return { status: run.status, output: run.stdout + run.stderr }
  } finally {
    await rm(cwd, { recursive: true })
  }
}
