// Memory that is used again on the whole way, TLS under the tunnel and beside it: many downloads and uploads over one session, of
// which some are read at once, some slowly and some stand still for a while. Each gets its own bytes, and when all is over
// the budget that all share is what it was.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { BUFFERS } from '../../src/transport/buffer-budget.ts'
import { eventually } from '../support/eventually.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { open, WAYS } from '../support/through.ts'
import { startRawOrigin, type RawOrigin, type Wire } from '../support/wire.ts'

const BODY_BYTES = 6 * 1024 * 1024
const WAYS_USED = WAYS.filter(({ name }) => /^(https-proxy|tunnel by SOCKS5)$/.test(name))
/** How long a reader stands still before it takes its next chunk. */
type Pace = (index: number) => Promise<unknown>
const PACES: readonly Pace[] = [
  () => Promise.resolve(),
  () => setImmediate(),
  (index) => (index % 40 === 5 ? setTimeout(60) : Promise.resolve()),
]
const paceOf = (number: number): Pace => PACES[number % PACES.length]!

let stack: Stack
let origin: RawOrigin
/** Told apart by the byte that a client says first. */
const bodies = Array.from({ length: 9 }, () => randomBytes(BODY_BYTES))
const uploaded = new Map<number, string>()

/** Pieces of many sizes, some of them in one turn. */
async function send(to: Socket, body: Buffer): Promise<void> {
  const sizes = [3, 1_000, 16_384, 40_001, 200_000]
  let index = 0
  for (let at = 0; at < body.length; index += 1) {
    const end = at + (sizes[index % sizes.length] ?? 1)
    if (!to.write(body.subarray(at, end))) await once(to, 'drain')
    if (index % 3 === 0) await setImmediate()
    at = end
  }
  to.end()
}

/** All of it, at a pace. */
function hashOf(from: Socket, first: Buffer, pace: Pace): Promise<string> {
  const hash = createHash('sha256').update(first)
  let index = 0
  return new Promise((resolve, reject) => {
    from.on('data', (chunk: Buffer) => {
      hash.update(chunk)
      from.pause()
      index += 1
      void pace(index).then(() => from.resume())
    })
    from.on('end', () => resolve(hash.digest('hex')))
    from.on('error', reject)
    from.resume()
  })
}

/** Sends the body that is asked for, and keeps the hash of what comes meanwhile. */
async function serve({ socket, received }: Wire): Promise<void> {
  const first = received.length > 0 ? received : ((await once(socket, 'data')) as [Buffer])[0]
  socket.pause()
  socket.removeAllListeners('data')
  const number = first[0] ?? 0
  void send(socket, bodies[number]!)
  uploaded.set(number, await hashOf(socket, first.subarray(1), paceOf(number)))
}

beforeAll(async () => {
  stack = await startStack()
  origin = await startRawOrigin((wire) => void serve(wire))
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
  await origin[Symbol.asyncDispose]()
})

it.each(WAYS_USED)(
  'every reader gets its own bytes both ways, and all memory comes back: $name',
  async (way) => {
    uploaded.clear()
    const whole = BUFFERS.leftBytes
    let least = whole
    const watch = setInterval(() => (least = Math.min(least, BUFFERS.leftBytes)), 1)
    const hashes = await Promise.all(
      bodies.map(async (_, number) => {
        using wire = await open(stack, way, '127.0.0.1', origin.port)
        const { socket } = wire
        socket.pause()
        socket.removeAllListeners('data')
        socket.write(Buffer.from([number]))
        // Up goes what another comes down with.
        void send(socket, bodies[(number + 1) % bodies.length]!)
        const hash = await hashOf(socket, wire.received, paceOf(number))
        await eventually(() => expect(uploaded.has(number)).toBe(true))
        return hash
      }),
    )
    clearInterval(watch)
    const expected = bodies.map((body) => createHash('sha256').update(body).digest('hex'))
    expect(hashes).toEqual(expected)
    const sentUp = bodies.map((_, number) => uploaded.get(number))
    expect(sentUp).toEqual([...expected.slice(1), expected[0]])
    expect(least).toBeLessThan(whole)
    await eventually(() => expect(BUFFERS.leftBytes).toBe(whole))
  },
  120_000,
)
