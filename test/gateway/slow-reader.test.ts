// A reader that stands still for a while and then goes on, through every way: the sender is stopped meanwhile, and
// then every byte comes. What a window does that was full then stands in test/transport/stream-socket.test.ts.
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { open, WAYS } from '../support/through.ts'
import { startRawOrigin, type RawOrigin } from '../support/wire.ts'

const CHUNK = Buffer.alloc(1024 * 1024, 'sightline')
/** More than the sockets of both links and every buffer between them hold. */
const CHUNKS = 24

let stack: Stack
let origin: RawOrigin
beforeAll(async () => {
  stack = await startStack()
  origin = await startRawOrigin((wire) => {
    for (let count = 0; count < CHUNKS; count += 1) wire.send(CHUNK)
    wire.socket.end()
  })
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
  await origin[Symbol.asyncDispose]()
})

describe('a reader that stands still', () => {
  it.each(WAYS.filter(({ name }) => /^(http-proxy|https-proxy|tunnel by SOCKS5)$/.test(name)))(
    'stops its sender, and gets every byte when it goes on: $name',
    async (way) => {
      const before = origin.wires.length
      using wire = await open(stack, way, '127.0.0.1', origin.port)
      wire.socket.pause()
      const { socket: sender } = await origin.wire(before)
      // Still: nothing has moved between two looks.
      let written = -1
      await eventually(() => {
        const now = sender.bytesWritten - sender.writableLength
        const moved = now !== written
        written = now
        expect(moved).toBe(false)
      })
      expect(sender.writableLength).toBeGreaterThan(0)
      const hash = createHash('sha256').update(wire.received)
      let bytes = wire.received.length
      wire.socket.removeAllListeners('data')
      wire.socket.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        hash.update(chunk)
      })
      wire.socket.resume()
      expect(await wire.ended()).toBe('end')
      expect(bytes).toBe(CHUNKS * CHUNK.length)
      const expected = createHash('sha256')
      for (let count = 0; count < CHUNKS; count += 1) expected.update(CHUNK)
      expect(hash.digest('hex')).toBe(expected.digest('hex'))
    },
  )
})
