// npm run bench -- interactive: what a stream that answers key by key feels of its neighbours on the same tunnel session, and
// what one bulk stream makes of a long link. One stream stops reading, one floods, one plays ping-pong with 64 bytes; on
// loopback, and over bench/link.ts. Each table's loaded figures stand beside the idle ones of the same run.
import { execFile } from 'node:child_process'
import type { Socket } from 'node:net'
import path from 'node:path'
import { parseArgs, promisify } from 'node:util'
import type { Way } from './clients.ts'
import { PATTERN } from './pattern.ts'
import type { Latency } from './player.ts'
import { startStack, type StackOptions } from './stack.ts'

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    rounds: { type: 'string', default: '400' },
    seconds: { type: 'string', default: '10' },
    megabits: { type: 'string', default: '100' },
  },
})
const ROUNDS = Number(values.rounds)
const BULK_MS = Number(values.seconds) * 1000
const MEGABITS = Number(values.megabits)
const ENDLESS_BYTES = 1_000_000_000_000
/** What flow control gets to find its size. */
const SETTLE_MS = 3_000

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Opens a stream and asks; what comes is counted, or not read at all. */
async function ask(way: Way, head: string): Promise<Socket> {
  const { socket } = await way.open('/')
  socket.on('error', () => {})
  socket.write(`${head} HTTP/1.1\r\nHost: origin\r\n\r\n`)
  return socket
}

/** A download that is read as fast as it comes. */
async function floodDown(way: Way): Promise<{ socket: Socket; got: () => number }> {
  const socket = await ask(way, `GET /bytes/${ENDLESS_BYTES}`)
  let bytes = 0
  socket.on('data', (chunk: Buffer) => (bytes += chunk.length)).resume()
  return { socket, got: () => bytes }
}

/** An upload that never ends. The origin says how much of it has come. */
async function floodUp(way: Way): Promise<{ socket: Socket; got: () => number }> {
  const socket = await ask(way, 'POST /sink')
  const more = (): void => {
    while (!socket.destroyed && socket.write(PATTERN)) continue
  }
  socket.on('drain', more)
  more()
  let said = ''
  socket.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString('latin1')}`.slice(-64))).resume()
  return { socket, got: () => Number(said.split('\n').at(-2) ?? 0) }
}

/** A download of which nothing is read: its window fills and stays full. */
async function stall(way: Way): Promise<Socket> {
  const socket = await ask(way, `GET /bytes/${ENDLESS_BYTES}`)
  socket.pause()
  return socket
}

/** The player is a process of its own: what it costs to read a flood is not what its neighbour waits for. */
async function pingPong({ places }: Way, rounds: number): Promise<Latency> {
  const words = [path.join(import.meta.dirname, 'player.ts'), JSON.stringify({ ...places, rounds })]
  const { stdout } = await promisify(execFile)(process.execPath, words)
  return JSON.parse(stdout) as Latency
}

/** `beside`: another way to the same origin, past the tunnel. */
async function withTunnel<T>(
  link: StackOptions['link'],
  run: (way: Way, beside: Way) => Promise<T>,
): Promise<T> {
  const stack = await startStack({ link, connections: 1 })
  try {
    const find = (wanted: string): Way => {
      const way = stack.ways.find(({ name }) => name === wanted)
      if (way === undefined) throw new Error(`no ${wanted}`)
      return way
    }
    return await run(find('tunnel'), find('socks-proxy'))
  } finally {
    await stack.stop()
  }
}

async function loaded(
  way: Way,
  flood: typeof floodDown,
  rounds: number,
  player = way,
): Promise<Latency & { readonly megabits: number }> {
  const stalled = await stall(way)
  const flooding = await flood(way)
  await wait(SETTLE_MS)
  const before = flooding.got()
  const startedMs = performance.now()
  const latency = await pingPong(player, rounds)
  const megabits = ((flooding.got() - before) * 8) / 1000 / (performance.now() - startedMs)
  stalled.destroy()
  flooding.socket.destroy()
  return { ...latency, megabits }
}

const LINKS: ReadonlyArray<readonly [name: string, link: StackOptions['link']]> = [
  ['loopback', undefined],
  [`50 ms, ${MEGABITS} Mbit/s`, { roundTripMs: 50, megabits: MEGABITS }],
]

console.log('| link | load on the same session | p50 ms | p99 ms | p99 of idle | flood, Mbit/s |')
console.log('| --- | --- | --- | --- | --- | --- |')
for (const [name, link] of LINKS) {
  await withTunnel(link, async (way, beside) => {
    await pingPong(way, Math.min(ROUNDS, 100))
    const rounds = link === undefined ? ROUNDS * 10 : ROUNDS
    const idle = await pingPong(way, rounds)
    const row = (load: string, { p50Ms, p99Ms }: Latency, flood = ''): void =>
      console.log(
        `| ${name} | ${load} | ${p50Ms.toFixed(1)} | ${p99Ms.toFixed(1)} | ${(p99Ms / idle.p99Ms).toFixed(2)} | ${flood} |`,
      )
    row('idle', idle)
    const down = await loaded(way, floodDown, rounds)
    row('one that stopped reading, one that floods down', down, down.megabits.toFixed(0))
    const up = await loaded(way, floodUp, rounds)
    row('one that stopped reading, one that floods up', up, up.megabits.toFixed(0))
    if (link !== undefined) return
    // No link to wait for, but processors: what the same load does to somebody who is not on the session at all.
    const other = await loaded(way, floodDown, rounds, beside)
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
    await withTunnel({ roundTripMs, megabits: MEGABITS }, async (way) => {
      const { socket, got } = await flood(way)
      const startedMs = performance.now()
      await wait(1_000)
      const first = got()
      await wait(BULK_MS - 1_000)
      const megabits = (got() * 8) / 1000 / (performance.now() - startedMs)
      socket.destroy()
      const shares = [megabits / MEGABITS, (first * 8) / 1e6 / MEGABITS].map((share) => share.toFixed(2))
      console.log(
        `| ${roundTripMs} ms, ${MEGABITS} Mbit/s | ${direction} | ${megabits.toFixed(1)} | ${shares.join(' | ')} |`,
      )
    })
  }
}
