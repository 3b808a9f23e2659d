// Twenty pages and their loads: what the user reads while somebody watches the link. Each page is a document and some
// things in it, of sizes that follow from the seed, and each load of it differs a little, as pages do that are made anew
// for each reader. Rule: no size comes from chance, so that a seed repeats a measurement.
import { createHmac } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { GatewayError } from '../errors.ts'
import { openStream, requestHead, type Visit } from './application.ts'
import type { CapturedConnection } from './capture.ts'

export const PAGES = 20
/** Of each page: loads that the watcher learns from, and loads that are then told apart. */
const LEARNED = 2
const TOLD = 1
const MOST_PARTS = 4
const LEAST_BYTES = 600
const SPREAD_BYTES = 5_400
/** Share of a part's size by which one load of it differs from another. */
const VARIATION = 0.3
const PATH = /^\/pages\/(\d+)\/(\d+)\/(\d+)$/
const TIMEOUT_MS = 5_000

/** One load, and when it was on its way, of this process's clock. */
export interface PageLoad {
  readonly page: number
  readonly isLearned: boolean
  readonly startedMs: number
  readonly endedMs: number
}

/** What passed on the link to the gateway, or to the site, while the pages were loaded. */
export interface PageLoads {
  readonly connections: readonly CapturedConnection[]
  readonly loads: readonly PageLoad[]
}

/** The site's answer for a path of a page's load; undefined for any other path. */
export function pagePart(seed: string, path: string): string | undefined {
  const [, page, load, part] = PATH.exec(path) ?? []
  if (page === undefined) return undefined
  const size = LEAST_BYTES + SPREAD_BYTES * share(seed, `size of ${page} ${part}`)
  const differs = 1 + VARIATION * (2 * share(seed, `load ${load} of ${page} ${part}`) - 1)
  return '.'.repeat(Math.round(size * differs))
}

/** Loads each page as often as is needed, one load after the other. Errors: `dial-failed`, those of Node. */
export async function loadPages(seed: string, options: Visit): Promise<PageLoad[]> {
  const loads: PageLoad[] = []
  for (let load = 0; load < LEARNED + TOLD; load += 1) {
    for (let page = 0; page < PAGES; page += 1) {
      const parts = 1 + Math.floor((MOST_PARTS + 1) * share(seed, `parts of ${page}`))
      const startedMs = performance.now()
      await loadOne(
        options,
        Array.from({ length: parts }, (_, part) => `/pages/${page}/${load}/${part}`),
      )
      loads.push({ page, isLearned: load < LEARNED, startedMs, endedMs: performance.now() })
    }
  }
  return loads
}

/** One connection, and one request after the other, as a browser with one connection makes them. */
async function loadOne(options: Visit, paths: readonly string[]): Promise<void> {
  const stream = await openStream(options)
  try {
    for (const path of paths) await getPart(stream, requestHead(options, path))
  } finally {
    stream.destroy()
  }
}

async function getPart(stream: Duplex, head: string): Promise<void> {
  stream.write(head)
  let held: Buffer = Buffer.alloc(0)
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => done(new GatewayError('dial-timeout')), TIMEOUT_MS)
    const done = (error?: Error): void => {
      clearTimeout(timer)
      stream.off('data', read).off('close', closed).off('error', done)
      if (error === undefined) resolve()
      else reject(error)
    }
    const closed = (): void => done(new GatewayError('dial-failed', { detail: 'a page was cut short' }))
    const read = (chunk: Buffer): void => {
      held = Buffer.concat([held, chunk])
      const end = held.indexOf('\r\n\r\n')
      const length = /content-length: (\d+)/i.exec(held.toString('latin1', 0, Math.max(0, end)))?.[1]
      if (end === -1 || length === undefined) return
      if (held.length >= end + 4 + Number(length)) done()
    }
    stream.on('data', read).on('close', closed).on('error', done)
  })
}

/** From 0 to 1, the same for the same words. */
function share(seed: string, what: string): number {
  return createHmac('sha256', seed).update(what).digest().readUInt32BE(0) / 2 ** 32
}
