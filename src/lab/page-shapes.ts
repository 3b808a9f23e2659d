// Tells which of twenty pages was loaded from the sizes, order and times of TLS records alone, as whoever watches a link
// can: it learns from some loads, and is then held to others. Pure; no key is used. Rule: what it says is what it told
// right of loads that it had not seen, beside what chance would have.
import { attempt } from './layer.ts'
import { peelConnection } from './layers.ts'
import type { CapturedConnection, Direction } from './capture.ts'
import { CONTENT_TYPE, RECORD_HEADER_BYTES, tlsRecords } from './dissect/tls-records.ts'
import type { Procedure } from './model.ts'
import { PAGES, type PageLoad, type PageLoads } from './page-loads.ts'

/** A record as it passed: which way, how long, when. */
interface Passed {
  readonly direction: Direction
  readonly bytes: number
  readonly atMs: number
}

/** Bytes down between one request and the next, in order. */
type Shape = readonly number[]

/** So much counts a request more or less, in bytes. */
const TURN_BYTES = 3_000
/** A record up that is shorter is an acknowledgement of the tunnel or an end, not a request. */
const LEAST_REQUEST_BYTES = 60
/** One in a hundred: what was told right is not chance. */
const SIGNIFICANCE = 0.01

export function tellPages({ connections, loads }: PageLoads): Procedure {
  const records = connections.flatMap(recordsOf).toSorted((a, b) => a.atMs - b.atMs)
  const shapes = loads.map((load) => ({ load, shape: shapeOf(records, load) }))
  const learned = shapes.filter(({ load }) => load.isLearned)
  const told = shapes.filter(({ load }) => !load.isLearned)
  const right = told.filter(({ load, shape }) => nearest(learned, shape)?.load.page === load.page).length
  return { name: 'page-of-20', right, of: told.length, chance: 1 / PAGES }
}

/** Whether so many right are more than chance gives once in a hundred times (one-sided binomial). */
export function isMoreThanChance({ right, of, chance }: Procedure): boolean {
  let tail = 0
  for (let count = right; count <= of; count += 1) tail += binomial(of, count, chance)
  return of > 0 && tail < SIGNIFICANCE
}

function binomial(of: number, count: number, chance: number): number {
  let probability = (1 - chance) ** (of - count)
  for (let index = 1; index <= count; index += 1) probability *= ((of - count + index) / index) * chance
  return probability
}

/** Encrypted records of a connection, whatever stands before its TLS. */
function recordsOf(connection: CapturedConnection): Passed[] {
  return peelConnection(connection, []).layers.flatMap(({ direction, bytes, place }) => {
    if (bytes[0] !== CONTENT_TYPE.handshake) return []
    const records = attempt(() => [...tlsRecords(bytes)]) ?? []
    return records
      .filter(({ type }) => type === CONTENT_TYPE.applicationData)
      .flatMap(({ offset, fragment }): Passed[] => {
        const at = place(offset + RECORD_HEADER_BYTES, fragment.length)
        const frame = connection.frames.find(
          (one) =>
            one.direction === direction &&
            at !== undefined &&
            one.streamOffset <= at.offset &&
            at.offset < one.streamOffset + one.bytes.length,
        )
        return frame === undefined ? [] : [{ direction, bytes: fragment.length, atMs: frame.atMs }]
      })
  })
}

function shapeOf(records: readonly Passed[], { startedMs, endedMs }: PageLoad): Shape {
  const shape: number[] = []
  let down = 0
  for (const { direction, bytes, atMs } of records) {
    if (atMs < startedMs || atMs > endedMs) continue
    if (direction === 'down') down += bytes
    else if (bytes >= LEAST_REQUEST_BYTES) {
      shape.push(down)
      down = 0
    }
  }
  return [...shape, down]
}

function nearest(
  learned: ReadonlyArray<{ readonly load: PageLoad; readonly shape: Shape }>,
  shape: Shape,
): { readonly load: PageLoad } | undefined {
  return learned.reduce<(typeof learned)[number] | undefined>(
    (best, one) =>
      best === undefined || distance(one.shape, shape) < distance(best.shape, shape) ? one : best,
    undefined,
  )
}

/** From the end on, for what stands before the first request differs from way to way. */
function distance(one: Shape, other: Shape): number {
  const turns = Math.max(one.length, other.length)
  let sum = TURN_BYTES * Math.abs(one.length - other.length)
  for (let index = 1; index <= turns; index += 1)
    sum += Math.abs((one.at(-index) ?? 0) - (other.at(-index) ?? 0))
  return sum
}
