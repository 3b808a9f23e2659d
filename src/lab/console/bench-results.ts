// What a run of the bench left in bench/results (bench/README.md describes the shape), as the page's cost shows it. Rules:
// Sightline's own modes alone; a mode without both figures is left out; and a file that is not there, or that cannot be
// read as what it says it is, is no results, so that the quick run takes its place.
import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { hidesOf } from './cost.ts'
import type { Choice, Measured } from './wire.ts'

/** Beside the program in a checkout; a package has no bench. */
const BENCH_RESULTS = path.join(import.meta.dirname, '../../../bench/results')

/** The run of Sightline's modes says more of them than the one beside other programs. */
const FILES = ['modes.json', 'compare.json'] as const
const MAX_BYTES = 4 * 1024 * 1024
/** A request on a fresh connection, one at a time; and one download. */
const LATENCY = 'fresh-1-p50'
const SPEED = 'down-1'
/** The bench goes through each as the console does: names are looked up by the proxy. */
const CHOICES: readonly Choice[] = [
  { mode: 'direct', variant: null },
  { mode: 'http-proxy', variant: null },
  { mode: 'socks-proxy', variant: 'socks5h' },
  { mode: 'https-proxy', variant: null },
  { mode: 'tunnel', variant: null },
]

const figures = z.object({ median: z.number(), low: z.number(), high: z.number() })
const shape = z.object({
  version: z.literal(1),
  startedAt: z.iso.datetime(),
  machine: z.object({
    cpus: z.number(),
    model: z.string(),
    node: z.string(),
    sightline: z.string(),
    loadBefore: z.number(),
  }),
  subjects: z.array(
    z.object({ name: z.string(), mode: z.string().nullable(), figures: z.record(z.string(), figures) }),
  ),
})

export function readBenchResults(folder: string = BENCH_RESULTS): Measured | undefined {
  for (const file of FILES) {
    const measured = read(path.join(folder, file))
    if (measured !== undefined) return measured
  }
  return undefined
}

function read(file: string): Measured | undefined {
  const parsed = shape.safeParse(parseFile(file))
  if (!parsed.success) return undefined
  const { startedAt, machine, subjects } = parsed.data
  const costs = CHOICES.flatMap(({ mode, variant }) => {
    // Several subjects may share a mode; the one whose name is the mode stands for it.
    const found = subjects.find((subject) => subject.mode === mode && subject.name === mode)?.figures
    const [latency, speed] = [found?.[LATENCY], found?.[SPEED]]
    if (latency === undefined || speed === undefined) return []
    return {
      mode,
      variant,
      latencyMs: latency.median,
      megabytesPerSecond: speed.median,
      ranges: {
        latencyMs: [latency.low, latency.high],
        megabytesPerSecond: [speed.low, speed.high],
      },
      hides: hidesOf({ mode, variant }),
    } as const
  })
  return costs.length === 0 ? undefined : { startedAt, machine, costs }
}

function parseFile(file: string): unknown {
  try {
    if (statSync(file).size > MAX_BYTES) return undefined
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
