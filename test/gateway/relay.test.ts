// The relay between two real TCP connections on loopback: what one peer does, the other must be able to see.
import net from 'node:net'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { GatewayError } from '../../src/errors.ts'
import { relay } from '../../src/gateway/relay.ts'
import { IdleSweep } from '../../src/transport/deadline.ts'
import { eventually } from '../support/eventually.ts'
import { Wire } from '../support/wire.ts'

/** A TCP connection: the peer's end, and ours as the gateway accepts it. */
async function link(): Promise<{ peer: Wire; ours: net.Socket }> {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve))
  const peer = await Wire.connect((server.address() as net.AddressInfo).port)
  const ours = await accepted
  server.close()
  ours.on('error', () => {})
  onTestFinished(() => {
    peer.socket.destroy()
    ours.destroy()
  })
  return { peer, ours }
}

interface Relayed {
  readonly client: Wire
  readonly upstream: Wire
  /** The gateway's ends. */
  readonly ours: readonly [client: net.Socket, upstream: net.Socket]
  readonly result: Promise<GatewayError | undefined>
  /** Bytes that were told of. */
  readonly moved: { up: number; down: number }
}

async function start(sweep = new IdleSweep(), idleMs = 600_000): Promise<Relayed> {
  const [client, upstream] = [await link(), await link()]
  const moved = { up: 0, down: 0 }
  const result = relay(client.ours, upstream.ours, {
    sweep,
    idleMs,
    moved: (direction, chunk) => {
      moved[direction] += chunk.length
      return 0
    },
  })
  return { client: client.peer, upstream: upstream.peer, ours: [client.ours, upstream.ours], result, moved }
}

afterEach(() => void vi.useRealTimers())

describe('a relay', () => {
  it('moves bytes both ways and tells of each', async () => {
    const { client, upstream, moved } = await start()
    client.send('question')
    await upstream.untilText('question')
    upstream.send('the answer')
    await client.untilText('the answer')
    expect(moved).toEqual({ up: 8, down: 10 })
  })

  it("keeps the client's half-close: the answer still comes", async () => {
    const { client, upstream, result } = await start()
    client.send('question')
    client.socket.end()
    expect(await upstream.ended()).toBe('end')
    expect(upstream.text).toBe('question')
    upstream.send('answer')
    await client.untilText('answer')
    upstream.socket.end()
    expect(await client.ended()).toBe('end')
    expect(await result).toBe(undefined)
  })

  it("keeps the upstream's half-close: the client may go on", async () => {
    const { client, upstream, result } = await start()
    upstream.socket.end('greeting')
    expect(await client.ended()).toBe('end')
    expect(client.text).toBe('greeting')
    client.send('a long upload')
    await upstream.untilText('a long upload')
    client.socket.end()
    expect(await upstream.ended()).toBe('end')
    expect(await result).toBe(undefined)
  })

  it.each([
    ['client', 'upstream'],
    ['upstream', 'client'],
  ] as const)('a reset of the %s is a reset at the %s', async (breaking, hearing) => {
    const relayed = await start()
    relayed[breaking].send('half a fi')
    await relayed[hearing].untilText('half a fi')
    relayed[breaking].reset()
    expect(await relayed[hearing].ended()).toBe('reset')
    expect(await relayed.result).toMatchObject({ code: 'connection-reset', side: breaking })
  })

  it('a reset after one direction has ended is one too', async () => {
    const { client, upstream, result } = await start()
    client.socket.end()
    expect(await upstream.ended()).toBe('end')
    upstream.send('half a fi')
    await client.untilText('half a fi')
    upstream.reset()
    expect(await client.ended()).toBe('reset')
    expect(await result).toMatchObject({ code: 'connection-reset', side: 'upstream' })
  })

  it('of a side that is gone already breaks the other off', async () => {
    const [client, upstream] = [await link(), await link()]
    upstream.ours.destroy()
    const result = await relay(client.ours, upstream.ours, {
      sweep: new IdleSweep(),
      idleMs: 1_000,
      moved: () => 0,
    })
    expect(result).toMatchObject({ code: 'connection-reset', side: 'upstream' })
    expect(await client.peer.ended()).toBe('reset')
  })

  it('that is idle is reset on both sides, to the second', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
    const { client, upstream, result } = await start(new IdleSweep(), 60_000)
    vi.advanceTimersByTime(50_000)
    client.send('still here')
    await upstream.untilText('still here')
    vi.advanceTimersByTime(59_000)
    expect(client.ending).toBe(undefined)
    vi.advanceTimersByTime(1_000)
    expect([await client.ended(), await upstream.ended()]).toEqual(['reset', 'reset'])
    expect(await result).toMatchObject({ code: 'idle-timeout' })
  })

  it('stops a sender whose reader stands still, and holds little meanwhile', async () => {
    const { client, upstream, ours, result } = await start()
    client.socket.pause()
    const chunk = Buffer.alloc(1024 * 1024)
    let flushed = 0
    const total = 32
    for (let count = 0; count < total; count += 1) upstream.socket.write(chunk, () => (flushed += 1))
    let held = -1
    await eventually(() => {
      const before = held
      held = ours[0].bytesWritten
      expect(held).toBe(before)
    })
    expect(flushed).toBeLessThan(total)
    expect(ours[0].writableLength + ours[1].readableLength).toBeLessThanOrEqual(256 * 1024)
    let received = client.received.length
    client.socket.removeAllListeners('data')
    client.socket.on('data', (bytes: Buffer) => (received += bytes.length))
    client.socket.resume()
    upstream.socket.end()
    expect(await client.ended()).toBe('end')
    expect(received).toBe(total * chunk.length)
    client.socket.end()
    expect(await result).toBe(undefined)
  })

  it('leaves no listener of its sweep behind', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
    const { client, upstream, result } = await start()
    expect(vi.getTimerCount()).toBe(1)
    client.socket.end()
    upstream.socket.end()
    await result
    expect(vi.getTimerCount()).toBe(0)
  })
})
