// npm run bench: what each mode costs beside a direct connection. Rounds are interleaved, so that a machine whose
// speed drifts is unfair to all alike; medians and ranges are printed, and every mode's bytes are hash-checked first.
import os from 'node:os'
import { parseArgs } from 'node:util'
import { bulk, downloadHash, fresh, type FreshResult } from './load.ts'
import { patternHash } from './pattern.ts'
import { startStack } from './stack.ts'

// A scenario of its own, in a file of its own.
if (process.argv[2] === 'interactive') {
  await import('./interactive.ts')
  process.exit()
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    megabytes: { type: 'string', default: '256' },
    connections: { type: 'string', default: '1000' },
  },
})
const ROUNDS = Number(values.rounds)
const BULK_BYTES = Number(values.megabytes) * 1024 * 1024
const CONNECTIONS = Number(values.connections)
const HASHED_BYTES = 32 * 1024 * 1024 + 12_345
const IN_FLIGHT = 32

interface Samples {
  readonly one: number[]
  readonly eight: number[]
  readonly fresh: FreshResult[]
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
const range = (numbers: readonly number[]): string =>
  `${median(numbers).toFixed(0)} (${Math.min(...numbers).toFixed(0)}–${Math.max(...numbers).toFixed(0)})`

const stack = await startStack()
try {
  for (const way of stack.ways) {
    const hash = await downloadHash(way, HASHED_BYTES)
    if (hash !== patternHash(HASHED_BYTES))
      throw new Error(`${way.name}: the bytes are not those of the origin`)
  }
  console.error(
    `integrity: ${HASHED_BYTES} bytes, SHA-256 equal in ${stack.ways.length} of ${stack.ways.length} modes`,
  )

  const samples = new Map<string, Samples>(
    stack.ways.map(({ name }) => [name, { one: [], eight: [], fresh: [] }]),
  )
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const way of stack.ways) {
      if (process.stderr.isTTY) console.error(`round ${round} of ${ROUNDS}: ${way.name}`)
      const into = samples.get(way.name)
      into?.one.push(await bulk(way, 1, BULK_BYTES))
      into?.eight.push(await bulk(way, 8, BULK_BYTES))
      into?.fresh.push(await fresh(way, CONNECTIONS, IN_FLIGHT))
    }
  }

  const cpus = os.cpus()
  console.log(
    `Node ${process.version}, ${os.type()} ${os.release()}, ${cpus.length} × ${cpus[0]?.model ?? 'unknown'}; load, origin and gateway on the same cores`,
  )
  console.log(
    `medians (and ranges) of ${ROUNDS} interleaved rounds; bulk ${values.megabytes} MiB; ${CONNECTIONS} fresh connections, ${IN_FLIGHT} in flight\n`,
  )
  console.log(
    '| mode | 1 download, MB/s | 8 downloads, MB/s | of direct | connections/s | of direct | p50 / p99 ms |',
  )
  console.log('| --- | --- | --- | --- | --- | --- | --- |')
  const base = samples.get('direct')
  const share = (mine: readonly number[], its: readonly number[] = []): string =>
    (median(mine) / median(its)).toFixed(2)
  const rate = (results: readonly FreshResult[] = []): number[] => results.map(({ perSecond }) => perSecond)
  for (const [name, { one, eight, fresh: connections }] of samples) {
    const p50 = median(connections.map(({ p50Ms }) => p50Ms)).toFixed(1)
    const p99 = median(connections.map(({ p99Ms }) => p99Ms)).toFixed(1)
    const cells = [
      range(one),
      range(eight),
      share(eight, base?.eight),
      range(rate(connections)),
      share(rate(connections), rate(base?.fresh)),
      `${p50} / ${p99}`,
    ]
    console.log(`| ${name} | ${cells.join(' | ')} |`)
  }
} finally {
  await stack.stop()
}
