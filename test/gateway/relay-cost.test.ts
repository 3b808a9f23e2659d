// What a MiB and a connection cost, counted: reads, writes, buffers, listeners and timers, never seconds, so that a
// change that makes the relaying slower is seen on a busy machine too. Whoever makes a count smaller lowers its limit.
import { once } from 'node:events'
import type net from 'node:net'
import { describe, expect, it } from 'vitest'
import { relay } from '../../src/gateway/relay.ts'
import { BufferBudget } from '../../src/transport/buffer-budget.ts'
import { IdleSweep } from '../../src/transport/deadline.ts'
import { MessageWriter } from '../../src/transport/message-writer.ts'
import { tcpPair } from '../support/tcp-pair.ts'

const MIB = 1024 * 1024
const MIBS = 64
const SMALL_READS = { highWaterMark: 16 * 1024 }

const options = { sweep: new IdleSweep(), idleMs: 600_000, moved: () => 0 }
const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
const listeners = (socket: net.Socket): number =>
  socket.eventNames().reduce((sum, name) => sum + socket.listenerCount(name), 0)

describe('what it costs', () => {
  it('to relay a MiB: at most 24 writes, none of them of a copy, and no buffer of its own', async () => {
    const [client, upstream] = [await tcpPair(SMALL_READS), await tcpPair(SMALL_READS)]
    let writes = 0
    let copies = 0
    const buffers = new Set<ArrayBufferLike>()
    const read = new Set<ArrayBufferLike>()
    upstream.ours.on('data', (chunk: Buffer) => read.add(chunk.buffer))
    // The client's side is the one that was accepted.
    const write = client.peer.write.bind(client.peer)
    client.peer.write = (chunk: Buffer) => {
      writes += 1
      buffers.add(chunk.buffer)
      if (!read.has(chunk.buffer)) copies += 1
      return write(chunk)
    }
    const over = relay(client.peer, upstream.ours, options)
    let received = 0
    client.ours.on('data', (chunk: Buffer) => (received += chunk.length))
    client.ours.end()
    const block = Buffer.alloc(MIB, 'x')
    for (let count = 0; count < MIBS; count += 1) {
      if (!upstream.peer.write(block)) await once(upstream.peer, 'drain')
    }
    upstream.peer.end()
    upstream.peer.resume()
    await over
    await once(client.ours, 'close')
    expect(received).toBe(MIBS * MIB)
    expect(copies).toBe(0)
    expect(writes / MIBS).toBeLessThan(24)
    expect(buffers.size / MIBS).toBeLessThan(1)
  })

  it('to send a MiB through a tunnel: 4 writes and 65 messages, one copy, and no buffer of its own', () => {
    const buffers = new Set<ArrayBufferLike>()
    let writes = 0
    let bytes = 0
    let messages = 0
    const writer = new MessageWriter(new BufferBudget(), false, (written, sent) => {
      writes += 1
      bytes += written.length
      buffers.add(written.buffer)
      sent()
    })
    const payload = Buffer.alloc(16 * 1024)
    for (let turn = 0; turn < MIBS * 4; turn += 1) {
      for (let made = 0; made < 256 * 1024 - 16; messages += 1) {
        made += writer.add({ head: payload.subarray(0, 5), payload: payload.subarray(0, writer.room - 5) })
      }
      writer.flush()
    }
    expect(messages).toBe(MIBS * 64)
    expect(bytes).toBe(MIBS * MIB)
    expect(writes).toBeLessThan(MIBS * 4 + 10)
    expect(buffers.size).toBeLessThan(10)
  })

  it('to have a relay open: 12 listeners on both sides together, and no timer', async () => {
    const links = await Promise.all(Array.from({ length: 20 }, () => tcpPair(SMALL_READS)))
    const [first, second, ...others] = links.map(({ ours }) => ours)
    if (first === undefined || second === undefined) throw new Error('no links')
    const before = listeners(first) + listeners(second)
    void relay(first, second, options)
    expect(listeners(first) + listeners(second) - before).toBeLessThanOrEqual(12)
    // The one timer of all.
    const timersBefore = timers()
    while (others.length > 1) {
      const [one, other] = others.splice(0, 2)
      if (one !== undefined && other !== undefined) void relay(one, other, options)
    }
    expect(timers()).toBe(timersBefore)
  })
})
