// npm run bench: what each of Sightline's modes costs beside a direct connection, and how that grows with streams, sessions and the
// size of what is asked for. Rounds are interleaved; the bytes of every mode are hashed first. Writes bench/results/modes.json.
import os from 'node:os'
import { parseArgs } from 'node:util'
import { HASHED_BYTES, Measuring, say, type Started } from './measure.ts'
import { machineFacts, save, type Measure } from './results.ts'
import { sightline } from './sightline.ts'
import { comparison, markdown } from './table.ts'

// A scenario of its own, in a file of its own.
if (process.argv[2] === 'interactive') {
  await import('./interactive.ts')
  process.exit()
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    /** Of each bulk transfer. */
    ms: { type: 'string', default: '500' },
    /** Without what takes long: links, 8,000 connections. */
    quick: { type: 'boolean', default: false },
    /** Only modes whose name holds one of these. */
    only: { type: 'string', multiple: true, default: [] },
    name: { type: 'string', default: 'modes' },
  },
})
const ROUNDS = Number(values.rounds)
const BULK_MS = Number(values.ms)
const LINK_MS = 10_000
const SESSIONS = [1, 2, 4]
const PAYLOADS = [1_024, 65_536, 1_048_576]
const LINKS = [
  { roundTripMs: 50, megabits: 100 },
  { roundTripMs: 200, megabits: 100 },
]

const higher = (id: string, what: string, unit = 'MB/s', digits = 0): Measure => ({
  id,
  what,
  unit,
  better: 'higher',
  digits,
})
const lower = (id: string, what: string, unit = 'ms', digits = 2): Measure => ({
  id,
  what,
  unit,
  better: 'lower',
  digits,
})

/** A table each. */
const TABLES: ReadonlyArray<readonly [title: string, measures: readonly Measure[]]> = [
  [
    'Bulk',
    [
      ...[1, 8, 64].map((streams) => higher(`down-${streams}`, `${streams} down`)),
      ...[1, 8, 64].map((streams) => higher(`up-${streams}`, `${streams} up`)),
      lower('cpu-per-gb', 'CPU, 8 down', 's/GB'),
      lower('cpu-per-gb-up', 'CPU, 8 up', 's/GB'),
    ],
  ],
  [
    'Fresh connections',
    [
      higher('fresh-32', '32 in flight', 'a second'),
      lower('fresh-cpu', 'CPU of each'),
      lower('fresh-32-p50', 'p50'),
      lower('fresh-32-p99', 'p99'),
      lower('fresh-1-p50', 'alone, p50'),
      lower('fresh-1-p99', 'alone, p99'),
      lower('fresh-1-p999', 'alone, p99.9'),
      lower('load-cpus', 'processors that the load took', 'of one'),
    ],
  ],
  [
    'Ping-pong of 64 bytes on an open connection, idle and while 8 others download',
    [
      ...['p50', 'p99', 'p999'].map((id) => lower(`ping-${id}`, `idle, ${id.replace('999', '99.9')}`)),
      ...['p50', 'p99', 'p999'].map((id) => lower(`loaded-${id}`, `loaded, ${id.replace('999', '99.9')}`)),
    ],
  ],
  [
    'Requests a second by the size of the answer, 8 in flight, each on a fresh connection',
    PAYLOADS.map((bytes) => higher(`payload-${bytes}`, `${bytes / 1024} KiB`, 'a second')),
  ],
  [
    'Memory of the gateway for each idle connection, and start',
    [
      lower('idle-kib', 'of 1,000', 'KiB', 1),
      lower('idle-kib-8000', 'of 8,000', 'KiB', 1),
      lower('start-ms', 'from start until it accepts', 'ms', 0),
    ],
  ],
  [
    'One download over a long link, ten seconds from its first byte: share of it',
    LINKS.map(({ roundTripMs, megabits }) =>
      higher(`link-${roundTripMs}`, `${roundTripMs} ms, ${megabits} Mbit/s`, '', 2),
    ),
  ],
]
const MEASURES = TABLES.flatMap(([, measures]) => measures)

const measuring = new Measuring()

async function measure(started: Started): Promise<void> {
  for (const streams of [1, 8, 64]) {
    await measuring.bulk(started, streams, BULK_MS, streams === 8 ? { cpu: 'cpu-per-gb' } : {})
    await measuring.bulk(started, streams, BULK_MS, {
      up: true,
      ...(streams === 8 && { cpu: 'cpu-per-gb-up' }),
    })
  }
  await measuring.fresh(started)
  await measuring.pingPong(started, true)
  const { subject, running, load } = started
  for (const bytes of PAYLOADS) {
    const asked = { inFlight: 8, ms: BULK_MS, bytes, pids: running.pids }
    measuring.note(subject.name, `payload-${bytes}`, (await load.call('fresh', running.way, asked)).perSecond)
  }
}

async function run(): Promise<void> {
  const loadBefore = os.loadavg()[0] ?? 0
  const startedAt = new Date().toISOString()
  const isWanted = ({ name }: { readonly name: string }): boolean =>
    values.only.length === 0 || values.only.some((part) => name.includes(part))
  const modes = sightline().filter(isWanted)
  const sessions = SESSIONS.flatMap((connections) =>
    sightline({ connections })
      .filter(({ name }) => name === 'tunnel')
      .map((subject) => ({
        ...subject,
        name: `tunnel, ${connections} session${connections === 1 ? '' : 's'}`,
      })),
  )
  const relays = modes.filter(({ name, family }) => family !== 'none' && !name.includes('absolute'))
  for (const subject of relays) {
    await measuring.memory(subject, 1_000, 'idle-kib')
    if (!values.quick) await measuring.memory(subject, 8_000, 'idle-kib-8000')
    say(`memory: ${subject.name}`)
  }
  if (!values.quick) {
    for (const link of LINKS) await measuring.longLinks(relays, link, LINK_MS, `link-${link.roundTripMs}`)
    say('long links')
  }
  const subjects = [...modes, ...sessions.filter(isWanted)]
  await measuring.inRounds(subjects, { rounds: ROUNDS, turn: 2 }, measure)
  const measured = subjects.map((subject) => measuring.resultOf(subject))
  const results = {
    version: 1 as const,
    name: values.name,
    startedAt,
    tookSeconds: Math.round(performance.now() / 1000),
    machine: machineFacts(loadBefore),
    settings: { rounds: ROUNDS, 'ms of each transfer': BULK_MS },
    hashedBytes: HASHED_BYTES,
    measures: MEASURES,
    subjects: measured,
    missing: [...measuring.failed].map(([{ name }, reason]) => ({ name, reason })),
    goals: [],
  }
  const facts = markdown({ ...results, measures: [], subjects: [] }).split('\n')[0] ?? ''
  const tables = TABLES.map(([title, measures]) => {
    const rows = measured.filter(({ figures }) => measures.some(({ id }) => figures[id] !== undefined))
    return `### ${title}\n\n${comparison({ measures, subjects: rows })}`
  })
  const text = `${[facts, ...tables].join('\n\n')}\n`
  await save(`${values.name}.json`, `${JSON.stringify(results, null, 1)}\n`)
  say(`written: ${await save(`${values.name}.md`, text)}`)
  console.log(text)
}

try {
  await run()
} finally {
  await measuring.stop()
}
