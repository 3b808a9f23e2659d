// Mux frames as WebSocket messages: read by another implementation of RFC 6455, cut where TLS records end, and never
// over bytes that are not sent yet.
import { randomBytes } from 'node:crypto'
import type { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import * as ws from 'ws'
import { BufferBudget } from '../../src/transport/buffer-budget.ts'
import { MessageWriter } from '../../src/transport/message-writer.ts'

const RECORD = 16 * 1024

interface Written {
  readonly bytes: Buffer
  readonly sent: () => void
}

function start(isClient: boolean): { writer: MessageWriter; written: Written[] } {
  const written: Written[] = []
  const writer = new MessageWriter(new BufferBudget(), isClient, (bytes, sent) =>
    written.push({ bytes, sent }),
  )
  return { writer, written }
}

/** What `ws` makes of it, as the end that `isServer` says. */
async function read(bytes: Buffer, isServer: boolean): Promise<Buffer[]> {
  const messages: Buffer[] = []
  // Exported, and missing in its types.
  const { Receiver } = ws as unknown as { Receiver: new (options: object) => Writable }
  const receiver = new Receiver({ isServer, allowSynchronousEvents: true, binaryType: 'nodebuffer' })
  receiver.on('message', (data: Buffer) => messages.push(data))
  await new Promise<void>((resolve, reject) => {
    receiver.on('error', reject)
    receiver.write(bytes, () => resolve())
  })
  return messages
}

describe('a message writer', () => {
  it('writes an unmasked message as RFC 6455 section 5.7 has it', () => {
    const { writer, written } = start(false)
    writer.add({ head: Buffer.from('48', 'hex'), payload: Buffer.from('656c6c6f', 'hex') })
    writer.add({ head: Buffer.alloc(126, 1) })
    writer.flush()
    expect(written.map(({ bytes }) => bytes.toString('hex'))).toEqual([
      `820548656c6c6f827e007e${'01'.repeat(126)}`,
    ])
  })

  it.each([
    { name: 'gateway', isClient: false },
    { name: 'client', isClient: true },
  ])('is understood by ws, whatever the lengths: $name', async ({ isClient }) => {
    const { writer, written } = start(isClient)
    const frames = [0, 1, 2, 3, 4, 5, 120, 121, 122, 1_000, 16_371, 16_375, 65_536, 7].map((length) => ({
      head: randomBytes(5),
      payload: randomBytes(length),
    }))
    for (const frame of frames) writer.add(frame)
    writer.flush()
    const bytes = Buffer.concat(written.map((write) => write.bytes))
    const expected = frames.map(({ head, payload }) => Buffer.concat([head, payload]).toString('hex'))
    expect((await read(bytes, isClient)).map((message) => message.toString('hex'))).toEqual(expected)
  })

  it.each([false, true])(
    'lets a full frame end where its record does, whatever went before (client: %s)',
    (isClient) => {
      const { writer, written } = start(isClient)
      for (let turn = 0; turn < 8; turn += 1) {
        writer.add({ head: Buffer.alloc(13) })
        for (let count = 0; count < 40; count += 1) {
          writer.add({ head: Buffer.alloc(5), payload: Buffer.alloc(writer.room - 5) })
        }
        writer.flush()
        for (const { sent } of written) sent()
      }
      const last = written.at(-1)?.bytes.length ?? 0
      expect(last % RECORD).toBe(0)
      expect(last).toBeGreaterThanOrEqual(8 * RECORD)
    },
  )

  it('masks each message with a key of its own', () => {
    const { writer, written } = start(true)
    for (let count = 0; count < 2_000; count += 1) writer.add({ head: Buffer.alloc(1) })
    writer.flush()
    const bytes = Buffer.concat(written.map((write) => write.bytes))
    const keys = Array.from({ length: 2_000 }, (_, index) => bytes.readUInt32BE(index * 7 + 2))
    expect(new Set(keys).size).toBeGreaterThan(1_990)
  })

  it('writes over nothing that is not sent yet', () => {
    const { writer, written } = start(false)
    const turn = (mark: number): void => {
      writer.add({ head: Buffer.alloc(5, mark), payload: Buffer.alloc(9_000, mark) })
      writer.flush()
    }
    for (let mark = 1; mark < 20; mark += 1) {
      turn(mark)
      if (mark % 3 === 0) written[mark - 1]?.sent()
    }
    const waiting = written.filter((_, index) => (index + 1) % 3 !== 0)
    const marks = waiting.map(({ bytes }) => new Set(bytes.subarray(4)))
    expect(marks).toEqual([1, 2, 4, 5, 7, 8, 10, 11, 13, 14, 16, 17, 19].map((mark) => new Set([mark])))
  })

  it('goes on where the budget is short, and gives back what it took', () => {
    const budget = new BufferBudget(1)
    const before = budget.leftBytes
    const sizes: number[] = []
    const writer = new MessageWriter(budget, false, (bytes, sent) => {
      sizes.push(bytes.length)
      sent()
    })
    for (let count = 0; count < 50; count += 1)
      writer.add({ head: Buffer.alloc(5), payload: Buffer.alloc(16_375) })
    writer.flush()
    expect([sizes.reduce((sum, size) => sum + size), budget.leftBytes]).toEqual([50 * 16_384, before])
  })
})
