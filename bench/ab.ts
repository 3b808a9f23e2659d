// node bench/ab.ts --other DIR: this checkout beside others, of which each has its own gateway, tunnel client and origin.
// Rounds are interleaved and begin with another tree each, so that a machine whose speed drifts is unfair to all alike;
// CPU seconds are those of the gateway and the client together, which other work on the machine changes least.
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { Bench, type Running } from './bench.ts'
import { LoadProcess } from './load-process.ts'
import { breakOff, bulk, checkBytes, downloads, fresh } from './load.ts'
import { sightline } from './sightline.ts'
import { median } from './statistics.ts'
import { towards } from './way.ts'

const { values } = parseArgs({
  options: {
    /** Checkouts with their dependencies installed. */
    other: { type: 'string', multiple: true, default: [] },
    /** As the table of `npm run bench` names them. */
    mode: { type: 'string', default: 'tunnel' },
    rounds: { type: 'string', default: '5' },
    /** Of each transfer, and of the fresh connections. */
    ms: { type: 'string', default: '800' },
    /** What is measured, more than once; all where nothing is said. */
    only: { type: 'string', multiple: true, default: [] },
    /** Worker processes of the first tree's gateway, and of each other's. */
    workers: { type: 'string', multiple: true, default: [] },
    /** Arguments of Node for the first tree and for each other, such as `--max-semi-space-size=32`. */
    node: { type: 'string', multiple: true, default: [] },
  },
})
const ROUNDS = Number(values.rounds)
const MS = Number(values.ms)
const HASHED_BYTES = 32 * 1024 * 1024 + 12_345

interface Tree {
  readonly name: string
  readonly bench: Bench
  readonly running: Running
  readonly samples: Map<string, number[]>
}

const player = new LoadProcess()

type Note = (name: string, value: number) => void

const transfer =
  (name: string, streams: number, up: boolean) =>
  async ({ running: { way, pids } }: Tree, note: Note): Promise<void> => {
    const { perSecond, cpuPerGB } = await bulk(way, { streams, up, ms: MS, pids })
    note(`${name}, MB/s`, perSecond)
    note(`${name}, CPU s/GB`, cpuPerGB)
  }

async function connections({ running: { way, pids } }: Tree, note: Note): Promise<void> {
  const many = await fresh(way, { inFlight: 32, ms: MS, pids })
  note('fresh, a second', many.perSecond)
  note('fresh, CPU ms each', many.cpuMsEach)
  const alone = await fresh(way, { inFlight: 1, ms: MS, pids: [] })
  note('fresh alone, p50 ms', alone.p50Ms)
  note('fresh alone, p99 ms', alone.p99Ms)
}

async function pingPong({ bench, running: { way } }: Tree, note: Note): Promise<void> {
  const { sockets } = await downloads(way, 8)
  const { p50Ms, p99Ms } = await player.call('pingPong', towards(bench.echo, way), { ms: MS })
  for (const socket of sockets) breakOff(socket)
  note('ping-pong under 8 down, p50 ms', p50Ms)
  note('ping-pong under 8 down, p99 ms', p99Ms)
}

const MEASURES: Readonly<Record<string, (tree: Tree, note: Note) => Promise<void>>> = {
  'down-8': transfer('8 down', 8, false),
  'down-1': transfer('1 down', 1, false),
  'up-1': transfer('1 up', 1, true),
  fresh: connections,
  'ping-pong': pingPong,
}

async function measure(tree: Tree): Promise<void> {
  const note: Note = (name, value) => void tree.samples.set(name, [...(tree.samples.get(name) ?? []), value])
  for (const [name, take] of Object.entries(MEASURES)) {
    if (values.only.length === 0 || values.only.includes(name)) await take(tree, note)
  }
}

const sorted = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b)
const short = (value: number): string => (value < 20 ? value.toFixed(2) : value.toFixed(0))

const trees: Tree[] = []
const benches: Bench[] = []
try {
  for (const [index, directory] of [path.join(import.meta.dirname, '..'), ...values.other].entries()) {
    const tree = path.resolve(directory)
    const subject = sightline({ tree, node: values.node[index], workers: values.workers[index] }).find(
      ({ name }) => name === values.mode,
    )
    if (subject === undefined)
      throw new Error(
        `--mode is one of ${sightline()
          .map(({ name }) => name)
          .join(', ')}`,
      )
    const bench = await Bench.start()
    benches.push(bench)
    const running = await subject.start(bench)
    await checkBytes(running.way, HASHED_BYTES)
    trees.push({ name: path.basename(tree), bench, running, samples: new Map() })
  }
  const loadBefore = os.loadavg()[0] ?? 0
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
    `load average ${loadBefore.toFixed(1)} before, ${(os.loadavg()[0] ?? 0).toFixed(1)} after; ${values.mode}, ${ROUNDS} interleaved rounds of ${MS} ms`,
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
  player.end()
  for (const bench of benches) await bench.stop()
}
