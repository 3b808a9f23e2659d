// node bench/ab.ts --other DIR: this checkout beside others, of which each has its own gateway, tunnel client and origin.
// Rounds are interleaved and begin with another tree each, so that a machine whose speed drifts is unfair to all alike;
// CPU seconds are those of the gateway and the client together, which other work on the machine changes least.
import { readFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { bulk, downloadHash, fresh, upload } from './load.ts'
import { patternHash } from './pattern.ts'
import { startStack, type Stack } from './stack.ts'

const { values } = parseArgs({
  options: {
    /** Checkouts with their dependencies installed. */
    other: { type: 'string', multiple: true, default: [] },
    /** As the table of `npm run bench` names them. */
    mode: { type: 'string', default: 'tunnel' },
    rounds: { type: 'string', default: '5' },
    megabytes: { type: 'string', default: '256' },
    connections: { type: 'string', default: '500' },
  },
})
const ROUNDS = Number(values.rounds)
const BULK_BYTES = Number(values.megabytes) * 1024 * 1024
const CONNECTIONS = Number(values.connections)
const HASHED_BYTES = 32 * 1024 * 1024 + 12_345
const IN_FLIGHT = 32
/** Of /proc/PID/stat: USER_HZ, the same on every machine that Node runs on. */
const TICKS_A_SECOND = 100

interface Tree {
  readonly name: string
  readonly stack: Stack
  readonly samples: Map<string, number[]>
}

/** Seconds of processor time that `pids` have used so far (proc_pid_stat(5), fields 14 and 15). */
async function cpuSeconds(pids: readonly number[]): Promise<number> {
  let ticks = 0
  for (const pid of pids) {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1')
    // The second field may hold spaces, and ends with the last parenthesis.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    ticks += Number(fields[11]) + Number(fields[12])
  }
  return ticks / TICKS_A_SECOND
}

async function measure({ stack, samples }: Tree): Promise<void> {
  const way = stack.ways.find(({ name }) => name === values.mode)
  if (way === undefined) throw new Error(`--mode is one of ${stack.ways.map(({ name }) => name).join(', ')}`)
  const note = (name: string, value: number): void =>
    void samples.set(name, [...(samples.get(name) ?? []), value])
  const timed = async (
    name: string,
    unit: string,
    work: () => Promise<number>,
    amount: number,
  ): Promise<void> => {
    const before = await cpuSeconds(stack.measured)
    note(`${name}, ${unit}`, await work())
    const used = (await cpuSeconds(stack.measured)) - before
    if (unit === 'MB/s') note(`${name}, CPU s/GB`, used / (amount / 1e9))
    else note(`${name}, CPU ms each`, (used * 1000) / amount)
  }
  await timed('8 down', 'MB/s', () => bulk(way, 8, BULK_BYTES), BULK_BYTES)
  await timed('1 down', 'MB/s', () => bulk(way, 1, BULK_BYTES), BULK_BYTES)
  await timed('1 up', 'MB/s', () => upload(way, BULK_BYTES), BULK_BYTES)
  const connect = async (): Promise<number> => (await fresh(way, CONNECTIONS, IN_FLIGHT)).perSecond
  await timed('fresh', 'a second', connect, CONNECTIONS)
}

const sorted = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b)
const median = (numbers: readonly number[]): number => sorted(numbers)[Math.floor(numbers.length / 2)] ?? 0
const short = (value: number): string => (value < 20 ? value.toFixed(2) : value.toFixed(0))

const trees: Tree[] = []
try {
  for (const directory of [path.join(import.meta.dirname, '..'), ...values.other]) {
    const tree = path.resolve(directory)
    trees.push({ name: path.basename(tree), stack: await startStack({ tree }), samples: new Map() })
  }
  const loadBefore = os.loadavg()[0] ?? 0
  for (const { name, stack } of trees) {
    const way = stack.ways.find((entry) => entry.name === values.mode)
    if (way !== undefined && (await downloadHash(way, HASHED_BYTES)) !== patternHash(HASHED_BYTES))
      throw new Error(`${name}: the bytes are not those of the origin`)
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let turn = 0; turn < trees.length; turn += 1) {
      const tree = trees[(round + turn) % trees.length]
      if (tree !== undefined) await measure(tree)
    }
  }

  const cpus = os.cpus()
  console.log(
    `Node ${process.version}, ${os.type()} ${os.release()}, ${cpus.length} × ${cpus[0]?.model ?? 'unknown'}; load, origin, gateway and client on the same cores`,
  )
  console.log(
    `load average ${loadBefore.toFixed(1)} before, ${(os.loadavg()[0] ?? 0).toFixed(1)} after; ${values.mode}, ${ROUNDS} interleaved rounds of ${values.megabytes} MiB and ${CONNECTIONS} connections`,
  )
  console.log(
    `medians (and ranges); beside others their share of the first tree's in the same round: its median, and in how many rounds it was more\n`,
  )
  console.log(`| | ${trees.map(({ name }) => name).join(' | ')} |`)
  console.log(`| --- |${' --- |'.repeat(trees.length)}`)
  for (const [what, base] of trees[0]?.samples ?? []) {
    const cells = trees.map(({ samples }, index) => {
      const mine = samples.get(what) ?? []
      const numbers = sorted(mine)
      const range = `${short(median(mine))} (${short(numbers[0] ?? 0)}–${short(numbers.at(-1) ?? 0)})`
      if (index === 0) return range
      const shares = mine.map((value, round) => value / (base[round] ?? 0))
      const more = shares.filter((share) => share > 1).length
      return `${range}; ${median(shares).toFixed(2)}, ${more} of ${shares.length}`
    })
    console.log(`| ${what} | ${cells.join(' | ')} |`)
  }
} finally {
  for (const { stack } of trees) await stack.stop()
}
