// Kills a writer of an authority's directory, again and again and at any moment, and looks at what it left: nothing that
// it said was done may be lost, nothing may be half there, and the next command has to work at once.
import { once } from 'node:events'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import { parseIndex } from '../../src/pki/index-file.ts'
import { readRevocationLists } from '../../src/pki/revocation-list-reader.ts'
import { initAuthority, list, refreshRevocationList } from '../../src/pki/store.ts'
import { start } from '../support/programs.ts'
import { tempDir } from '../support/temp-dir.ts'

const WRITER = path.join(import.meta.dirname, 'crash-writer.ts')
/** Said to be done before the kill, and how long after the last of it: about what the next thing takes. */
const THINGS = 3
const AFTER_MS = 60

/** Gives how many things the writers had said were done. */
export async function killWriters(rounds: number, random: () => number = Math.random): Promise<number> {
  await using directory = await tempDir()
  const dir = directory.path
  await initAuthority(dir)
  const done = new Set<string>()
  for (let round = 0; round < rounds; round++) {
    for (const line of await liveAndDie(dir, 1 + Math.floor(random() * THINGS), random() * AFTER_MS))
      done.add(line)
    await checkWhole(dir, done)
  }
  return done.size
}

async function liveAndDie(dir: string, things: number, afterMs: number): Promise<string[]> {
  const child = start(process.execPath, [WRITER, dir])
  const said: string[] = []
  const closed = once(child, 'close')
  let rest = ''
  child.stdout?.setEncoding('utf8')
  const enough = new Promise<void>((resolve) =>
    child.stdout?.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      said.push(...lines)
      if (said.length >= things) resolve()
    }),
  )
  await Promise.race([enough, closed])
  await wait(afterMs)
  child.kill('SIGKILL')
  const [code, signal] = (await closed) as [number | null, NodeJS.Signals | null]
  expect({ code, signal }, 'how the writer ended').toEqual({ code: null, signal: 'SIGKILL' })
  return said
}

async function checkWhole(dir: string, done: ReadonlySet<string>): Promise<void> {
  const before = parseIndex(await readFile(path.join(dir, 'index.json'), 'utf8'))
  const [list0] = readRevocationLists(await readFile(path.join(dir, 'ca.crl'), 'utf8'))
  expect(list0?.number).toBeLessThanOrEqual(before.revocationListNumber)

  // The lock of the dead holds nobody up, and what he left undone is made good.
  await refreshRevocationList(dir, { lockWaitMs: 0 })
  const index = parseIndex(await readFile(path.join(dir, 'index.json'), 'utf8'))
  const [revocations] = readRevocationLists(await readFile(path.join(dir, 'ca.crl'), 'utf8'))
  expect(index.certificates).toEqual(before.certificates)
  expect(revocations?.number).toBe(index.revocationListNumber)
  const revoked = index.certificates.filter(({ revokedAt }) => revokedAt !== undefined)
  expect([...(revocations?.serials ?? [])].toSorted()).toEqual(revoked.map(({ serial }) => serial).toSorted())
  for (const line of done) {
    const [what, name] = line.split(' ')
    const entries = index.certificates.filter((entry) => entry.name === name)
    expect(entries.length, line).toBeGreaterThan(0)
    if (what === 'revoked')
      expect(
        entries.every(({ revokedAt }) => revokedAt !== undefined),
        line,
      ).toBe(true)
  }

  const serials = new Set(index.certificates.map(({ serial }) => serial))
  for (const file of await readdir(dir)) {
    // Of somebody who died before he had the lock; it says nothing, and goes in a while.
    if (/^\.lock\.[0-9a-f]{12}$/.test(file)) continue
    expect(file, 'left behind').not.toMatch(/^\./)
    const text = await readFile(path.join(dir, file), 'utf8')
    if (file.endsWith('.key')) {
      expect((await stat(path.join(dir, file))).mode & 0o777, file).toBe(0o600)
      createPrivateKey(text)
    }
    if (file.endsWith('.crt') && file !== 'ca.crt') {
      const serial = new X509Certificate(text).serialNumber.toLowerCase().replace(/^0+/, '')
      expect(serials.has(serial), `${file} can be revoked`).toBe(true)
    }
  }
  await list(dir)
}
