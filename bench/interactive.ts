// npm run bench -- interactive: what a stream that answers key by key feels of its neighbours on the same tunnel session, and
// what one bulk stream makes of a long link. One stream stops reading, one floods, one plays ping-pong with 64 bytes; on
// loopback, and over bench/link.ts. Each table's loaded figures stand beside the idle ones of the same run.
import type { Socket } from 'node:net'
import { parseArgs } from 'node:util'
import { Bench, type Link } from './bench.ts'
import { LoadProcess } from './load-process.ts'
import { downloads, uploads, wait, type Flow, type Latency } from './load.ts'
import { sightline } from './sightline.ts'
import { towards, type Way } from './way.ts'

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    /** Of ping-pong on loopback; five times as many over the link. */
    'ping-ms': { type: 'string', default: '4000' },
    seconds: { type: 'string', default: '10' },
    megabits: { type: 'string', default: '100' },
  },
})
const PING_MS = Number(values['ping-ms'])
const BULK_MS = Number(values.seconds) * 1000
const MEGABITS = Number(values.megabits)
/** A process of its own: what it costs to read a flood is not what its neighbour waits for. */
const player = new LoadProcess()
/** What flow control gets to find its size. */
const SETTLE_MS = 3_000

const floodDown = (way: Way): Promise<Flow> => downloads(way, 1)
const floodUp = (way: Way): Promise<Flow> => uploads(way, 1)

/** A download of which nothing more is read: its window fills and stays full. */
async function stall(way: Way): Promise<readonly Socket[]> {
  const { sockets } = await downloads(way, 1)
  for (const socket of sockets) socket.pause()
  return sockets
}

/** To the origin of what is bulk, and to that of ping-pong; `beside`: to the second, past the tunnel. */
interface Ways {
  readonly way: Way
  readonly echo: Way
  readonly beside: Way
}

async function withTunnel<T>(link: Link | undefined, run: (ways: Ways) => Promise<T>): Promise<T> {
  const bench = await Bench.start({ link })
  try {
    const ways: Way[] = []
    for (const wanted of ['tunnel', 'socks-proxy']) {
      const subject = sightline({ connections: 1 }).find(({ name }) => name === wanted)
      if (subject !== undefined) ways.push((await subject.start(bench)).way)
    }
    const [way, beside] = ways
    if (way === undefined || beside === undefined) throw new Error('no ways')
    return await run({ way, echo: towards(bench.echo, way), beside: towards(bench.echo, beside) })
  } finally {
    await bench.stop()
  }
}

async function loaded(
  way: Way,
  flood: typeof floodDown,
  ms: number,
  played: Way,
): Promise<Latency & { readonly megabits: number }> {
  const stalled = await stall(way)
  const flooding = await flood(way)
  await wait(SETTLE_MS)
  const before = flooding.arrived()
  const latency = await player.call('pingPong', played, { ms })
  const after = flooding.arrived()
  const megabits = ((after.bytes - before.bytes) * 8) / 1000 / (after.atMs - before.atMs)
  for (const socket of [...stalled, ...flooding.sockets]) socket.destroy()
  return { ...latency, megabits }
}

const LINKS: ReadonlyArray<readonly [name: string, link: Link | undefined]> = [
  ['loopback', undefined],
  [`50 ms, ${MEGABITS} Mbit/s`, { roundTripMs: 50, megabits: MEGABITS }],
]

console.log('| link | load on the same session | p50 ms | p99 ms | p99 of idle | flood, Mbit/s |')
console.log('| --- | --- | --- | --- | --- | --- |')
for (const [name, link] of LINKS) {
  await withTunnel(link, async ({ way, echo, beside }) => {
    await player.call('pingPong', echo, { ms: 300 })
    const ms = link === undefined ? PING_MS : PING_MS * 5
    const idle = await player.call('pingPong', echo, { ms })
    const row = (load: string, { p50Ms, p99Ms }: Latency, flood = ''): void =>
      console.log(
        `| ${name} | ${load} | ${p50Ms.toFixed(1)} | ${p99Ms.toFixed(1)} | ${(p99Ms / idle.p99Ms).toFixed(2)} | ${flood} |`,
      )
    row('idle', idle)
    const down = await loaded(way, floodDown, ms, echo)
    row('one that stopped reading, one that floods down', down, down.megabits.toFixed(0))
    const up = await loaded(way, floodUp, ms, echo)
    row('one that stopped reading, one that floods up', up, up.megabits.toFixed(0))
    if (link !== undefined) return
    // No link to wait for, but processors: what the same load does to somebody who is not on the session at all.
    const other = await loaded(way, floodDown, ms, beside)
    row(
      'the same flood down, but ping-pong past the tunnel, through `socks-proxy`',
      other,
      other.megabits.toFixed(0),
    )
  })
}

console.log('\n| link | direction | one stream, Mbit/s | of the link | of it in the first second |')
console.log('| --- | --- | --- | --- | --- |')
for (const roundTripMs of [50, 200]) {
  for (const [direction, flood] of [
    ['down', floodDown],
    ['up', floodUp],
  ] as const) {
    await withTunnel({ roundTripMs, megabits: MEGABITS }, async ({ way }) => {
      const { sockets, arrived } = await flood(way)
      const start = arrived()
      const megabitsSince = (): number => {
        const { bytes, atMs } = arrived()
        return ((bytes - start.bytes) * 8) / 1000 / (atMs - start.atMs)
      }
      await wait(1_000)
      const first = megabitsSince()
      await wait(BULK_MS - 1_000)
      const megabits = megabitsSince()
      for (const socket of sockets) socket.destroy()
      const shares = [megabits / MEGABITS, first / MEGABITS].map((share) => share.toFixed(2))
      console.log(
        `| ${roundTripMs} ms, ${MEGABITS} Mbit/s | ${direction} | ${megabits.toFixed(1)} | ${shares.join(' | ')} |`,
      )
    })
  }
}
player.end()
