// npm run bench:compare: Sightline's modes and other programs, all started here, measured in interleaved rounds in one run. Each round
// begins with another subject, so that a machine whose speed drifts is unfair to all alike. Writes bench/results/compare.json, the
// table and the plots. Rules: a program that is missing is named, and bytes are hashed before anything is timed.
import os from 'node:os'
import { parseArgs } from 'node:util'
import type { Subject } from './bench.ts'
import { judgeGoals } from './goals.ts'
import { HASHED_BYTES, Measuring, say, type Started } from './measure.ts'
import { ENCRYPTED_PEERS } from './peers/encrypted.ts'
import { OPENVPN } from './peers/openvpn.ts'
import { PLAIN_PEERS } from './peers/plain.ts'
import { bars } from './plot.ts'
import { findProgram } from '../test/support/programs.ts'
import { machineFacts, save, type Measure, type Missing } from './results.ts'
import { sightline } from './sightline.ts'
import { markdown } from './table.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    /** Of each bulk transfer. */
    ms: { type: 'string', default: '600' },
    'memory-rounds': { type: 'string', default: '3' },
    'link-seconds': { type: 'string', default: '12' },
    /** Only subjects whose name holds one of these. */
    only: { type: 'string', multiple: true, default: [] },
    /** Of the files that are written. */
    name: { type: 'string', default: 'compare' },
  },
})
const ROUNDS = Number(values.rounds)
const BULK_MS = Number(values.ms)
const MEMORY_ROUNDS = Number(values['memory-rounds'])
const LINK_MS = Number(values['link-seconds']) * 1000
const LINK = { roundTripMs: 200, megabits: 100 }
const IDLE_CONNECTIONS = 1_000
/** How far the next round begins in the row of subjects. */
const TURN = 5

const MEASURES: readonly Measure[] = [
  { id: 'down-1', what: '1 download', unit: 'MB/s', better: 'higher', digits: 0 },
  { id: 'down-8', what: '8 downloads', unit: 'MB/s', better: 'higher', digits: 0 },
  { id: 'up-1', what: '1 upload', unit: 'MB/s', better: 'higher', digits: 0 },
  { id: 'cpu-per-gb', what: 'CPU of 8 downloads', unit: 's/GB', better: 'lower', digits: 2 },
  { id: 'fresh-32', what: 'fresh connections, 32 in flight', unit: 'a second', better: 'higher', digits: 0 },
  { id: 'fresh-cpu', what: 'CPU of a fresh connection', unit: 'ms', better: 'lower', digits: 2 },
  { id: 'fresh-1-p50', what: 'fresh request alone, p50', unit: 'ms', better: 'lower', digits: 2 },
  { id: 'fresh-1-p99', what: 'fresh request alone, p99', unit: 'ms', better: 'lower', digits: 2 },
  { id: 'loaded-p99', what: 'ping-pong under 8 downloads, p99', unit: 'ms', better: 'lower', digits: 1 },
  { id: 'idle-kib', what: 'idle connection on the gateway', unit: 'KiB', better: 'lower', digits: 1 },
  {
    id: 'link-share',
    what: 'share of a link of 200 ms and 100 Mbit/s',
    unit: '',
    better: 'higher',
    digits: 2,
  },
]
const UNPLOTTED = new Set(['fresh-cpu', 'fresh-1-p50', 'link-share'])
/** What has a goal on a long link. A link takes little of a processor, so that they run beside each other. */
const ON_LINKS = new Set(['socks-proxy', 'tunnel', 'ssh -D', 'shadowsocks-libev'])

const missing: Missing[] = []

function isThere({ name, programs = {}, needsRoot = false }: Subject): boolean {
  const absent = Object.keys(programs).filter((program) => findProgram(program) === undefined)
  const reason =
    absent.length > 0
      ? `${absent.map((program) => `${program} of the package ${programs[program]}`).join(', ')} is not installed`
      : needsRoot && process.getuid?.() !== 0
        ? 'needs root'
        : undefined
  if (reason !== undefined) missing.push({ name, reason })
  return reason === undefined
}

const measuring = new Measuring()

async function measure(started: Started): Promise<void> {
  await measuring.bulk(started, 1, BULK_MS)
  await measuring.bulk(started, 8, BULK_MS, { cpu: 'cpu-per-gb' })
  await measuring.bulk(started, 1, BULK_MS, { up: true })
  await measuring.fresh(started)
  await measuring.pingPong(started, false)
}

async function run(): Promise<void> {
  const loadBefore = os.loadavg()[0] ?? 0
  const startedAt = new Date().toISOString()
  const all = [...sightline(), ...PLAIN_PEERS, ...ENCRYPTED_PEERS, OPENVPN]
  const subjects = all
    .filter(({ name }) => values.only.length === 0 || values.only.some((part) => name.includes(part)))
    .filter(isThere)
  for (const { name, reason } of missing) say(`not measured: ${name}: ${reason}`)
  for (let round = 0; round < MEMORY_ROUNDS; round += 1) {
    for (const subject of subjects) {
      if (subject.family === 'none' || subject.name.includes('absolute')) continue
      await measuring.attempt(subject, () => measuring.memory(subject, IDLE_CONNECTIONS, 'idle-kib'))
    }
    say(`memory, ${round + 1} of ${MEMORY_ROUNDS}`)
  }
  const linked = subjects.filter(({ name }) => ON_LINKS.has(name))
  for (let round = 0; round < ROUNDS; round += 1)
    await measuring.longLinks(linked, LINK, LINK_MS, 'link-share')
  say(`long links, ${ROUNDS} rounds`)
  await measuring.inRounds(subjects, { rounds: ROUNDS, turn: TURN }, measure)
  for (const [{ name }, reason] of measuring.failed) missing.push({ name, reason })
  const measured = subjects.map((subject) => measuring.resultOf(subject))
  const results = {
    version: 1 as const,
    name: values.name,
    startedAt,
    tookSeconds: Math.round(performance.now() / 1000),
    machine: machineFacts(loadBefore),
    settings: {
      rounds: ROUNDS,
      'ms of each transfer': BULK_MS,
      'rounds of memory': MEMORY_ROUNDS,
      'seconds on the link': LINK_MS / 1000,
    },
    hashedBytes: HASHED_BYTES,
    measures: MEASURES,
    subjects: measured,
    missing,
    goals: judgeGoals(measured),
  }
  const files = [await save(`${values.name}.json`, `${JSON.stringify(results, null, 1)}\n`)]
  files.push(await save(`${values.name}.md`, `${markdown(results)}\n`))
  for (const plotted of MEASURES.filter(({ id }) => !UNPLOTTED.has(id))) {
    files.push(await save(`${values.name}-${plotted.id}.svg`, bars(plotted, measured)))
  }
  console.log(markdown(results))
  say(`written: ${files.join(', ')}`)
}

try {
  await run()
} finally {
  await measuring.stop()
}
