// The interactive stream of interactive.ts, as a process of its own: 64 bytes there and back through a SOCKS5 proxy, one after
// the other. `node bench/player.ts JSON` prints what they took, as JSON.
import { once } from 'node:events'
import { socks5, type Place } from './clients.ts'

export interface Latency {
  readonly p50Ms: number
  readonly p99Ms: number
}

interface Game {
  readonly proxy: Place
  readonly origin: Place
  readonly rounds: number
}

const PING = Buffer.alloc(64, 'p')
/** Its first rounds are its own start: not counted. */
const WARM_UP = 20

const { proxy, origin, rounds } = JSON.parse(process.argv[2] ?? '') as Game
const { socket } = await socks5('player', proxy, origin).open('/')
socket.write('GET /echo HTTP/1.1\r\nHost: origin\r\n\r\n')
socket.resume()
const [head] = (await once(socket, 'data')) as [Buffer]
if (!head.toString('latin1').startsWith('HTTP/1.1 200')) throw new Error('no echo')
const timesMs: number[] = []
let got = 0
let back = (): void => {}
socket.on('data', (chunk: Buffer) => {
  got += chunk.length
  if (got === PING.length) back()
})
for (let round = 0; round < WARM_UP + rounds; round += 1) {
  got = 0
  const startedMs = performance.now()
  const answered = new Promise<void>((resolve) => (back = resolve))
  socket.write(PING)
  await answered
  if (round >= WARM_UP) timesMs.push(performance.now() - startedMs)
}
socket.destroy()
timesMs.sort((one, other) => one - other)
const at = (share: number): number => timesMs[Math.floor(timesMs.length * share)] ?? Number.NaN
process.stdout.write(JSON.stringify({ p50Ms: at(0.5), p99Ms: at(0.99) } satisfies Latency))
