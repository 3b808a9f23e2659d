// Run as a process by usage-killed.ts, which kills it: counts for many identities and writes as fast as it can. Says on
// standard output, a line each and at once, what it is about to count and what the store has taken.
// node usage-writer.ts FILE IDENTITIES
import { writeSync } from 'node:fs'
import { Ledger } from '../../src/gateway/ledger.ts'

const [file = '', count = ''] = process.argv.slice(2)
const say = (line: string): void => void writeSync(1, `${line}\n`)

const ledger = new Ledger({ observer: { usageStore: () => {}, usageLost: () => {} }, epochMs: Date.now })
ledger.prepare({ store: file, keepDays: 1 }).commit()
const accounts = Array.from({ length: Number(count) }, (_, index) =>
  ledger.enter({ kind: 'user', name: `user-${index}` }),
)
for (let round = 1; ; round += 1) {
  say(`counting ${round}`)
  for (const account of accounts) account?.count('up', 1)
  ledger.write()
  say(`written ${round}`)
}
