// Two ends in one process that stand for two sockets: what a relay does with sockets must be right with them.
import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import type { Duplex } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { linkedPair } from '../../src/transport/linked-pair.ts'

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await setImmediate()
}

function quietPair(): [Duplex, Duplex] {
  const pair = linkedPair()
  for (const end of pair) end.on('error', () => {})
  return pair
}

describe('a linked pair', () => {
  it('gives at one end what was written at the other', async () => {
    const [near, far] = quietPair()
    near.write('up')
    far.write('down')
    await turns()
    expect([String(near.read()), String(far.read())]).toEqual(['down', 'up'])
  })

  it('keeps a writer waiting for a reader, and holds one chunk', async () => {
    const [near, far] = quietPair()
    let done = 0
    for (let count = 0; count < 100; count += 1) near.write(Buffer.alloc(16 * 1024), () => (done += 1))
    await turns()
    expect(near.writableNeedDrain).toBe(true)
    expect([far.readableLength, done]).toEqual([16 * 1024, 0])
    let received = 0
    far.on('data', (chunk: Buffer) => (received += chunk.length))
    await turns()
    expect([done, received]).toEqual([100, 1600 * 1024])
  })

  it('keeps half-close: the other direction goes on', async () => {
    const [near, far] = quietPair()
    far.resume()
    near.end('question')
    await once(far, 'end')
    far.write('answer')
    await turns()
    expect(String(near.read())).toBe('answer')
    expect([near.destroyed, far.destroyed]).toEqual([false, false])
    near.resume()
    far.end()
    await turns()
    expect([near.destroyed, far.destroyed]).toEqual([true, true])
    expect([near.errored, far.errored]).toEqual([null, null])
  })

  it('an end that was cut off is cut off for the other too, never ended', async () => {
    const [near, far] = quietPair()
    let ended = false
    far.on('end', () => (ended = true)).resume()
    near.write('half a fi')
    await turns()
    near.destroy()
    await turns()
    expect([far.destroyed, ended]).toEqual([true, false])
    expect(far.errored).toBeInstanceOf(Error)
  })

  it('hands an error over as it is', async () => {
    const [near, far] = quietPair()
    const cause = new Error('upstream broke off')
    near.destroy(cause)
    await turns()
    expect(far.errored).toBe(cause)
  })

  it('a cut after one direction has ended is seen', async () => {
    const [near, far] = quietPair()
    far.resume()
    near.end('question')
    await once(far, 'end')
    near.destroy()
    await turns()
    expect(far.errored).toBeInstanceOf(Error)
  })

  it('a writer that waits is let go when the reader is destroyed', async () => {
    const [near, far] = quietPair()
    near.write(Buffer.alloc(64 * 1024))
    near.write(Buffer.alloc(64 * 1024))
    await turns()
    far.destroy()
    await turns()
    expect(near.destroyed).toBe(true)
    expect(near.errored).toBeInstanceOf(Error)
  })
})
