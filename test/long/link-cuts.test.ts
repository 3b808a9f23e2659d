// The link between a client and its gateway is cut during transfers, in network namespaces that the test makes, and its
// gateway is killed, and stopped. The client recovers by itself within 5 s of the link's return; what a stream carries is
// never short, repeated or in another place, and its loss is a reset within 20 s; who asks meanwhile is told within 5 s;
// and nothing leaves by another way. Needs root. By hand: npx vitest run --config test/long/vitest.config.ts link-cuts
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { isMissing } from '../support/programs.ts'
import { CUTS } from './link-cuts/network.ts'
import { World, type StreamReport } from './link-cuts/world.ts'

const WARM_MS = 6_000
const AFTER_MS = 12_000
const RECOVERS_WITHIN_MS = 5_000
const TOLD_WITHIN_MS = 5_000
const LOST_WITHIN_MS = 20_000
/** A request that was on its way when the link went is neither before nor after. */
const EDGE_MS = 300

const SECONDS = [5, 20, 60] as const
const isRoot = process.getuid?.() === 0
const cannot = !isRoot || isMissing('ip', 'nft', 'tcpdump', 'curl', 'sysctl')

interface Outage {
  readonly fromMs: number
  readonly toMs: number
  /** The gateway's process is gone at once: its kernel ends the connections to origins with a FIN, whatever it was told. */
  readonly killed?: boolean
}

/** Lets traffic run, has `outage` happen, lets it run on, and holds everything that was told against the promises. */
async function expectPromisesKept(name: string, outage: (world: World) => Promise<Outage>): Promise<void> {
  await using world = await World.make()
  await eventually(() => expect(world.requests.some(({ result }) => result === 'ok')).toBe(true))
  await wait(WARM_MS)
  const happened = await outage(world)
  await wait(AFTER_MS)
  world.poke()
  await eventually(() => expect(world.idle.length).toBe(1))
  const stoppedMs = Date.now()
  await world.stop()
  const found = judge(world, happened, stoppedMs)
  console.log(`${name}: ${found}`)
  expect(world.strays).toEqual([])
  await world.leak()
  await eventually(() => expect(world.strays.length).toBeGreaterThan(0))
}

function judge(
  { requests, streams, uploads, idle }: World,
  { fromMs, toMs, killed = false }: Outage,
  stoppedMs: number,
): string {
  const before = requests.filter(({ endedMs }) => endedMs < fromMs)
  expect(before.map(({ result }) => result)).toEqual(before.map(() => 'ok'))

  const during = requests.filter(({ startedMs }) => startedMs > fromMs + EDGE_MS && startedMs < toMs)
  const refused = during.filter(({ result }) => result !== 'ok')
  expect(
    refused.map(({ result }) => result).filter((result) => !/^refused (1|91|50[0-9])$/.test(result)),
  ).toEqual([])
  const slowestMs = Math.max(0, ...during.map(({ startedMs, endedMs }) => endedMs - startedMs))
  const tookLong = during.filter(({ startedMs, endedMs }) => endedMs - startedMs >= TOLD_WITHIN_MS)
  expect(
    tookLong.map(({ startedMs, endedMs, ...rest }) => ({
      ...rest,
      from: startedMs - fromMs,
      to: endedMs - fromMs,
    })),
  ).toEqual([])

  const firstOk = requests.find(({ result, endedMs }) => result === 'ok' && endedMs > toMs)
  const recoveredMs = (firstOk?.endedMs ?? Number.POSITIVE_INFINITY) - toMs
  expect(recoveredMs).toBeLessThan(RECOVERS_WITHIN_MS)
  const after = requests.filter(
    ({ startedMs }) => startedMs > toMs + RECOVERS_WITHIN_MS && startedMs < stoppedMs - 1_000,
  )
  expect(after.length).toBeGreaterThan(5)
  expect(after.map(({ result }) => result)).toEqual(after.map(() => 'ok'))

  expect(streams.filter(({ good }) => !good)).toEqual([])
  expect(streams.filter(({ ending, whole }) => ending === 'end' && !whole)).toEqual([])
  expect(uploads.filter(({ good }) => !good)).toEqual([])
  const whole = Math.max(...streams.map(({ kind, bytes }) => (kind === 'upload' ? bytes : 0)))
  const cutShort = uploads.filter(
    ({ ending, bytes, atMs }) =>
      ending === 'end' && bytes < whole && atMs < stoppedMs && !(killed && Math.abs(atMs - fromMs) < 1_000),
  )
  expect(cutShort).toEqual([])
  expect(uploads.filter(({ bytes }) => bytes === whole).length).toBeGreaterThanOrEqual(
    streams.filter(({ kind, ending }) => kind === 'upload' && ending === 'end').length,
  )

  const crossing = streams.filter(({ startedMs, endedMs }) => startedMs < fromMs && endedMs > fromMs)
  expect(crossing.length).toBeGreaterThan(3)
  const lost = crossing.filter(({ ending }) => ending === 'reset')
  expect(crossing.filter(({ ending }) => ending === 'closed')).toEqual([])
  const lastLostMs = Math.max(0, ...lost.map(({ endedMs }) => endedMs - fromMs))
  expect(lastLostMs).toBeLessThan(LOST_WITHIN_MS)
  const hangs = (stream: StreamReport): boolean =>
    stream.kind !== 'idle' && stream.ending === 'stopped' && stream.lastMs < toMs + RECOVERS_WITHIN_MS
  expect(crossing.filter(hangs)).toEqual([])
  expect(idle).toEqual([lost.some(({ kind }) => kind === 'idle') ? 'ended' : 'alive'])
  return (
    `back after ${Math.round(recoveredMs)} ms; ${crossing.length} streams crossed it, ${lost.length} were reset` +
    `${lost.length === 0 ? '' : ` after ${(lastLostMs / 1000).toFixed(1)} s at most`}; ${refused.length} of ` +
    `${during.length} requests refused meanwhile, after ${(slowestMs / 1000).toFixed(1)} s at most`
  )
}

describe.skipIf(cannot)('the link is cut', () => {
  describe.each(SECONDS)('for %i s', (seconds) => {
    it.concurrent.each(CUTS)('%s', { timeout: 240_000 }, (how) =>
      expectPromisesKept(`${how}, ${seconds} s`, async (world) => {
        const fromMs = Date.now()
        await world.network.cut(how)
        await wait(fromMs + seconds * 1000 - Date.now())
        await world.network.mend(how)
        return { fromMs, toMs: Date.now() }
      }),
    )
  })
})

describe.skipIf(cannot)('the gateway', () => {
  it.concurrent('is killed, and started again 5 s later', { timeout: 240_000 }, () =>
    expectPromisesKept('gateway killed', async (world) => {
      const fromMs = Date.now()
      world.gateway.kill('SIGKILL')
      await wait(5_000)
      await world.restartGateway()
      return { fromMs, toMs: Date.now(), killed: true }
    }),
  )

  it.concurrent('is stopped for 10 s', { timeout: 240_000 }, () =>
    expectPromisesKept('gateway stopped', async (world) => {
      const fromMs = Date.now()
      world.gateway.kill('SIGSTOP')
      await wait(10_000)
      world.gateway.kill('SIGCONT')
      return { fromMs, toMs: Date.now() }
    }),
  )
})
