// Kills a writer of the store of usage (usage-writer.ts) in the middle of its work, again and again on the same file. What
// it said was written is there, nothing is there twice, and each transaction is there whole.
import { once } from 'node:events'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import { readUsage } from '../../src/state/usage-reader.ts'
import { UsageFile } from '../../src/state/usage-store.ts'
import { Lines } from '../support/gateway-process.ts'
import { start } from '../support/programs.ts'
import { tempDir } from '../support/temp-dir.ts'

/** As many as one transaction takes. */
const IDENTITIES = 1_000
const MAX_MS = 150

/** Gives the number of transactions that were taken, and of kills between one that was begun and its answer. */
export async function killWriters(kills: number): Promise<{ taken: number; amidst: number }> {
  await using dir = await tempDir()
  const file = dir.file('usage.db')
  let total = 0
  let amidst = 0
  for (let kill = 0; kill < kills; kill += 1) {
    const writer = start(process.execPath, [
      path.join(import.meta.dirname, 'usage-writer.ts'),
      file,
      String(IDENTITIES),
    ])
    const lines = new Lines(writer.stdout)
    const ended = once(writer, 'close')
    await lines.line(/^counting 2$/)
    await wait(Math.random() * MAX_MS)
    writer.kill('SIGKILL')
    await ended
    const last = (what: string): number =>
      Number(lines.all.findLast((line) => line.startsWith(what))?.split(' ')[1])
    if (last('counting') > last('written')) amidst += 1

    // Opened as a gateway would, which mends what is left of the last one, and as who asks does.
    UsageFile.open(file).close()
    const sums = readUsage(file, { since: 0, until: 100_000 })
    const perName = new Map<string, number>()
    for (const { identity, up } of sums) perName.set(identity.name, (perName.get(identity.name) ?? 0) + up)
    expect(perName.size).toBe(IDENTITIES)
    const values = new Set(perName.values())
    expect(values.size).toBe(1)
    const [now = 0] = values
    expect(now).toBeGreaterThanOrEqual(total + last('written'))
    expect(now).toBeLessThanOrEqual(total + last('counting'))
    total = now
  }
  return { taken: total, amidst }
}
