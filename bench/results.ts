// What a run leaves in bench/results: one JSON file, whose shape bench/README.md describes for whoever shows it.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import type { Subject } from './bench.ts'
import { median } from './statistics.ts'

const RESULTS = path.join(import.meta.dirname, 'results')

export interface Measure {
  readonly id: string
  readonly what: string
  readonly unit: string
  readonly better: 'higher' | 'lower'
  readonly digits: number
}

export interface Figures {
  readonly median: number
  readonly low: number
  readonly high: number
  /** One a round, in the order of the rounds. */
  readonly samples: readonly number[]
}

export interface SubjectResult {
  readonly name: string
  readonly family: Subject['family']
  /** Of Sightline's own: `direct`, `http-proxy`, `socks-proxy`, `https-proxy`, `tunnel`; null for others. */
  readonly mode: string | null
  readonly version: string | null
  readonly figures: Readonly<Record<string, Figures>>
}

export interface Missing {
  readonly name: string
  readonly reason: string
}

export interface GoalResult {
  readonly what: string
  readonly subject: string
  /** What it is held against; `link` for the share of a link. */
  readonly against: string
  readonly measure: string
  readonly better: 'higher' | 'lower'
  readonly goal: number
  readonly least: number
  /** Null where one of both was not measured. */
  readonly ratio: number | null
  /** 95 % of 2,000 resamples of the rounds. */
  readonly low: number | null
  readonly high: number | null
  readonly verdict: 'goal' | 'least' | 'missed' | 'not-measured'
}

export interface Results {
  readonly version: 1
  readonly name: string
  readonly startedAt: string
  readonly tookSeconds: number
  readonly machine: {
    readonly cpus: number
    readonly model: string
    readonly memoryGiB: number
    readonly kernel: string
    readonly node: string
    readonly sightline: string
    readonly loadBefore: number
    readonly loadAfter: number
  }
  readonly settings: Readonly<Record<string, string | number>>
  /** Bytes of each subject and direction whose SHA-256 was held against the origin's before anything was timed. */
  readonly hashedBytes: number
  readonly measures: readonly Measure[]
  readonly subjects: readonly SubjectResult[]
  readonly missing: readonly Missing[]
  readonly goals: readonly GoalResult[]
}

export function figuresOf(samples: readonly number[]): Figures {
  // Four figures are more than a run can tell.
  const round = (value: number): number => Number(value.toPrecision(4))
  return {
    median: round(median(samples)),
    low: round(Math.min(...samples)),
    high: round(Math.max(...samples)),
    samples: samples.map(round),
  }
}

export function machineFacts(loadBefore: number): Results['machine'] {
  const cpus = os.cpus()
  const { version } = JSON.parse(readFileSync(path.join(import.meta.dirname, '../package.json'), 'utf8')) as {
    version: string
  }
  return {
    cpus: cpus.length,
    model: cpus[0]?.model ?? 'unknown',
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release()}`,
    node: process.version,
    sightline: version,
    loadBefore: Number(loadBefore.toFixed(2)),
    loadAfter: Number((os.loadavg()[0] ?? 0).toFixed(2)),
  }
}

/** What dpkg or the program itself says. */
export function versionOf({ programs = {}, version }: Subject): string | null {
  try {
    const packages = [...new Set(Object.values(programs))]
    if (packages.length === 0) return null
    const said = execFileSync('dpkg-query', ['-W', '-f', '${Package} ${Version}\n', ...packages], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return said.toString().trim().replaceAll('\n', ', ')
  } catch {
    return version?.join(' ') ?? null
  }
}

export async function save(name: string, text: string): Promise<string> {
  await mkdir(RESULTS, { recursive: true })
  const file = path.join(RESULTS, name)
  await writeFile(file, text)
  return path.relative(process.cwd(), file)
}

export function load(name: string): Results {
  return JSON.parse(readFileSync(path.join(RESULTS, name), 'utf8')) as Results
}
