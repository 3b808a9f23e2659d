// How turns of the event loop are shared out: alone, and by relays between real connections, in which what one moved between
// two looks of the event loop is counted.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type net from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { GatewayError } from '../../src/errors.ts'
import { relay } from '../../src/gateway/relay.ts'
import { Mover, TURN_BYTES, Turns, TURNS_IN_A_ROW } from '../../src/gateway/turns.ts'
import { IdleSweep } from '../../src/transport/deadline.ts'
import { MOST_BYTES } from '../../src/transport/read-buffer.ts'
import { eventually } from '../support/eventually.ts'
import { tcpPair } from '../support/tcp-pair.ts'

const BODY = randomBytes(24 * 1024 * 1024 + 345)
const HASH = createHash('sha256').update(BODY).digest('hex')

interface Download {
  readonly origin: net.Socket
  readonly reader: net.Socket
  /** The relay's ends. */
  readonly ours: { readonly client: net.Socket; readonly upstream: net.Socket }
  readonly result: Promise<GatewayError | undefined>
}

/** A relay of BODY, all of which its kernel takes before anything is read; `moved` is told of each chunk. */
async function download(moved: (bytes: number) => void): Promise<Download> {
  const [client, upstream] = [await tcpPair(), await tcpPair()]
  upstream.ours.pause()
  upstream.peer.end(BODY)
  await filled(upstream.peer)
  const result = relay(client.peer, upstream.ours, {
    sweep: new IdleSweep(),
    idleMs: 600_000,
    moved: (_direction, chunk) => {
      moved(chunk.length)
      return 0
    },
  })
  const ours = { client: client.peer, upstream: upstream.ours }
  return { origin: upstream.peer, reader: client.ours, ours, result }
}

/** Until the kernel takes nothing more of what was written to `socket`. */
async function filled(socket: net.Socket): Promise<void> {
  for (let before = -1; before !== socket.bytesWritten - socket.writableLength;) {
    before = socket.bytesWritten - socket.writableLength
    for (let turn = 0; turn < 20; turn += 1) await setImmediate()
  }
}

interface CountedTurns {
  readonly add: (bytes: number) => void
  /** Of this turn, of the turn with most, and of all. */
  readonly bytes: number
  readonly most: number
  readonly sum: number
}

function countedTurns(): CountedTurns {
  const counted = {
    bytes: 0,
    most: 0,
    sum: 0,
    add: (bytes: number): void => {
      if (counted.bytes === 0) void setImmediate().then(() => (counted.bytes = 0))
      counted.bytes += bytes
      counted.most = Math.max(counted.most, counted.bytes)
      counted.sum += bytes
    },
  }
  return counted
}

async function hashOf(socket: net.Socket): Promise<string> {
  const sum = createHash('sha256')
  socket.on('data', (chunk: Buffer) => sum.update(chunk))
  await once(socket, 'end')
  return sum.digest('hex')
}

describe('turns', () => {
  it('let whoever has moved its bytes wait for another turn', async () => {
    const called: string[] = []
    const turns = new Turns()
    const mover = new Mover(() => called.push('it'), turns)
    mover.moved(TURN_BYTES - 1)
    expect(mover.waits).toBe(false)
    mover.moved(1)
    expect([mover.waits, called]).toEqual([true, []])
    await setImmediate()
    expect([mover.waits, called]).toEqual([false, ['it']])
  })

  it('count what was moved in each turn alone', async () => {
    const mover = new Mover(() => {}, new Turns())
    for (let turn = 0; turn < 4; turn += 1) {
      mover.moved(TURN_BYTES / 2)
      await setImmediate()
    }
    expect(mover.waits).toBe(false)
  })

  it('call one of those who wait in each turn, the first to wait first', async () => {
    const called: string[] = []
    const turns = new Turns()
    for (const name of ['a', 'b', 'c']) new Mover(() => called.push(name), turns).moved(TURN_BYTES)
    const seen: string[] = []
    for (let turn = 0; turn < 3; turn += 1) {
      await setImmediate()
      seen.push(called.join(''))
    }
    expect(seen).toEqual(['a', 'ab', 'abc'])
  })

  it('call the same one so often in a row, and then the others', async () => {
    const called: string[] = []
    const turns = new Turns()
    for (const name of ['a', 'b']) {
      const mover: Mover = new Mover(() => {
        called.push(name)
        mover.moved(TURN_BYTES)
      }, turns)
      mover.moved(TURN_BYTES)
    }
    for (let turn = 0; turn < 3 * TURNS_IN_A_ROW; turn += 1) await setImmediate()
    const inARow = (name: string): string => name.repeat(TURNS_IN_A_ROW)
    expect(called.join('')).toBe(`${inARow('a')}${inARow('b')}${inARow('a')}`)
  })
})

describe('a relay of much', () => {
  it('moves no more between two looks at everyone else than its bytes and one read, and all that there is', async () => {
    const relays = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const counted = countedTurns()
        return { counted, ...(await download(counted.add)) }
      }),
    )
    const hashes = await Promise.all(relays.map(({ reader }) => hashOf(reader)))
    expect(hashes).toEqual(relays.map(() => HASH))
    for (const { reader, result, counted } of relays) {
      expect(counted.most).toBeGreaterThanOrEqual(TURN_BYTES)
      expect(counted.most).toBeLessThan(TURN_BYTES + MOST_BYTES)
      reader.end()
      expect(await result).toBe(undefined)
    }
  })

  it('stays where its receiver takes nothing more, also once its turn has come', async () => {
    const counted = countedTurns()
    let stoppedAt = -1
    const { reader, ours, result } = await download((bytes) => {
      counted.add(bytes)
      if (stoppedAt !== -1 || counted.bytes < TURN_BYTES) return
      stoppedAt = counted.sum
      ours.client.cork()
    })
    await eventually(() => expect(stoppedAt).toBeGreaterThan(0))
    for (let turn = 0; turn < 20; turn += 1) await setImmediate()
    expect(counted.sum).toBe(stoppedAt)
    ours.client.uncork()
    expect(await hashOf(reader)).toBe(HASH)
    reader.end()
    expect(await result).toBe(undefined)
  })

  it('does not go on before its turn because its receiver takes more', async () => {
    const counted = countedTurns()
    const { reader, ours } = await download((bytes) => {
      counted.add(bytes)
      if (counted.bytes >= TURN_BYTES) process.nextTick(() => ours.client.emit('drain'))
    })
    expect(await hashOf(reader)).toBe(HASH)
    expect(counted.most).toBeLessThan(TURN_BYTES + MOST_BYTES)
  })

  it.each(['upstream', 'client'] as const)(
    'is over where the %s goes while it waits for its turn',
    async (side) => {
      const counted = countedTurns()
      let isGone = false
      const { reader, ours, result } = await download((bytes) => {
        counted.add(bytes)
        if (isGone || counted.bytes < TURN_BYTES) return
        isGone = true
        // Once this chunk has been written on, and before anything else is looked at.
        process.nextTick(() => ours[side].destroy())
      })
      reader.resume()
      expect(await result).toMatchObject({ code: 'connection-reset', side })
      const { sum } = counted
      for (let turn = 0; turn < 20; turn += 1) await setImmediate()
      expect([counted.sum, ours.upstream.destroyed, ours.client.destroyed]).toEqual([sum, true, true])
    },
  )
})
