// Runs a table: each case against every program of its family, and one test a case that holds the outcomes against
// each other. Rules: the programs are measured at each run; cases run side by side, a few at a time, since most of
// their time is waiting; a case whose programs are not installed is skipped by name.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isMissing } from '../support/programs.ts'
import { judge } from './compare.ts'
import { programOf, startPeer, type Peer } from './peers.ts'
import { play } from './player.ts'
import type { Case, Outcome, PeerName } from './script.ts'
import { startSightline, type Family, type Sightline } from './sightline.ts'
import type { Table } from './tables.ts'

const PEERS: Readonly<Record<Family, readonly PeerName[]>> = {
  socks: ['dante', 'microsocks'],
  http: ['squid', 'tinyproxy'],
}
const AT_ONCE = 12
/** All cases of a table share the time. */
const TIMEOUT_MS = 60_000

interface Programs extends AsyncDisposable {
  readonly sightline: Sightline
  readonly peers: readonly Peer[]
}

/** The programs of a family are started once for all its tables. */
export function describeTables(tables: readonly Table[]): void {
  const measured = new Map<Case, Promise<ReadonlyMap<string, Outcome>>>()
  const started: Programs[] = []
  const rows = tables.flatMap(({ family, cases }) => cases.map((row) => ({ row, family })))

  beforeAll(async () => {
    const turns = new Turns(AT_ONCE)
    for (const family of new Set(tables.map((table) => table.family))) {
      for (const auth of [false, true]) {
        const asked = rows.filter((row) => row.family === family && (row.row.auth ?? false) === auth)
        const runnable = asked.filter(({ row }) => !isSkipped(row, family))
        if (runnable.length === 0) continue
        const programs = startPrograms(family, auth)
        // It is each case's own test that fails.
        await programs.then((running) => started.push(running)).catch(() => {})
        for (const { row } of runnable) {
          const outcomes = turns.run(async () => measure(row, family, await programs))
          outcomes.catch(() => {})
          measured.set(row, outcomes)
        }
      }
    }
  }, TIMEOUT_MS)
  afterAll(async () => {
    await Promise.allSettled(measured.values())
    for (const programs of started) await programs[Symbol.asyncDispose]()
  }, TIMEOUT_MS)

  for (const { title, family, cases } of tables) {
    describe(`${title}, by ${family}`, () => {
      for (const row of cases) {
        const needs = peersOf(row, family).map((name) => programOf(name).package)
        it.skipIf(isSkipped(row, family))(
          `${row.name} (needs ${needs.join(' and ')})`,
          { timeout: TIMEOUT_MS },
          async () => {
            expect(judge(row, (await measured.get(row)) ?? new Map<string, Outcome>())).toEqual([])
          },
        )
      }
    })
  }
}

function isSkipped(row: Case, family: Family): boolean {
  return isMissing(...peersOf(row, family).map((name) => programOf(name).program))
}

function peersOf(row: Case, family: Family): readonly PeerName[] {
  return row.peers ?? PEERS[family]
}

/** Every program of a family. Whoever starts them ends them. */
async function startPrograms(family: Family, auth: boolean): Promise<Programs> {
  const sightline = await startSightline(family, auth)
  const peers: Peer[] = []
  const dispose = async (): Promise<void> => {
    await Promise.all(peers.map((peer) => peer[Symbol.asyncDispose]()))
    await sightline[Symbol.asyncDispose]()
  }
  const installed = PEERS[family].filter((name) => !isMissing(programOf(name).program))
  const results = await Promise.allSettled(
    installed.map(async (name) => void peers.push(await startPeer(name, auth))),
  )
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) {
    await dispose()
    throw failed.reason
  }
  return { sightline, peers, [Symbol.asyncDispose]: dispose }
}

/** What each program did with one case, Sightline's plain listener first. */
async function measure(
  row: Case,
  family: Family,
  { sightline, peers }: Programs,
): Promise<ReadonlyMap<string, Outcome>> {
  const asked = peers.filter(({ name }) => peersOf(row, family).includes(name))
  const subjects = [...sightline.subjects, ...asked]
  const outcomes = await Promise.all(subjects.map((subject) => play(row, subject)))
  return new Map(subjects.map(({ name }, index) => [name, outcomes[index] ?? {}]))
}

/** Lets a number of tasks run at once; the others wait, in their order. */
class Turns {
  #free: number
  #waiting: Array<() => void> = []

  constructor(atOnce: number) {
    this.#free = atOnce
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await task()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free += 1
      else next()
    }
  }
}
