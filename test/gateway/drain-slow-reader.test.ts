// A drain begins when an answer has left its origin and its client is slow to read it: the last bytes are in this
// process by then, where no relay counts them any more. They arrive all the same, within the time that the drain has.
import http2 from 'node:http2'
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { describe, expect, it } from 'vitest'
import { startStack, type Stack } from '../support/stacks.ts'
import { reach } from '../support/through.ts'
import { startRawOrigin, type RawOrigin } from '../support/wire.ts'

/** More than the sockets of both links hold, so that the process has something left of it. */
const BODY = Buffer.alloc(12 * 1024 * 1024, 'sightline')
const PIECE_BYTES = 64 * 1024
const HEAD = `HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\nConnection: close\r\n\r\n`

interface SlowReader extends Disposable {
  /** The answer, of which nothing has been read. */
  readonly answer: Readable
}

const KINDS = [
  { name: 'HTTP/1.1', reader: (stack: Stack, port: number) => overHttp1(stack, 'http', port) },
  { name: 'HTTP/1.1 on TLS', reader: (stack: Stack, port: number) => overHttp1(stack, 'https', port) },
  { name: 'HTTP/2', reader: overHttp2 },
]

async function overHttp1(stack: Stack, listener: 'http' | 'https', port: number): Promise<SlowReader> {
  const wire = await reach(stack, listener)
  wire.send(`GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`)
  const received = await wire.untilText('\r\n\r\n')
  wire.socket.pause()
  wire.socket.removeAllListeners('data')
  wire.socket.unshift(received.subarray(received.indexOf('\r\n\r\n') + 4))
  return { answer: wire.socket, [Symbol.dispose]: () => wire.socket.destroy() }
}

async function overHttp2(stack: Stack, port: number): Promise<SlowReader> {
  const session = http2.connect(`https://localhost:${stack.ports.https}`, { ca: stack.authority })
  session.on('error', () => {})
  const answer = session.request({ ':scheme': 'http', ':authority': `127.0.0.1:${port}`, ':path': '/' })
  await new Promise((resolve) => answer.once('response', resolve))
  return { answer, [Symbol.dispose]: () => session.destroy() }
}

/** Reads to the end, a piece each turn of the clock; gives how many bytes came. */
async function readSlowly({ answer }: SlowReader): Promise<number> {
  let bytes = 0
  let rested = 0
  answer.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes - rested < PIECE_BYTES) return
    rested = bytes
    answer.pause()
    setTimeout(() => answer.resume(), 1)
  })
  answer.resume()
  await finished(answer, { writable: false }).catch(() => {})
  return bytes
}

function startAnswering(): Promise<RawOrigin> {
  return startRawOrigin((wire) => {
    wire.send(HEAD)
    wire.send(BODY)
    wire.socket.end()
  })
}

describe('a drain while a slow reader has not read its answer', () => {
  it.each(KINDS)('lets every byte arrive, and then is over: $name', async ({ reader }) => {
    await using origin = await startAnswering()
    await using stack = await startStack()
    using slow = await reader(stack, origin.port)
    const read = readSlowly(slow)
    await finished((await origin.wire()).socket, { readable: false })
    const drained = stack.gateway.drain(30_000)
    expect(await read).toBe(BODY.length)
    expect(await drained).toBe(true)
  })

  it.each(KINDS)('is over in its time where nothing is read, and says so: $name', async ({ reader }) => {
    await using origin = await startAnswering()
    await using stack = await startStack()
    using slow = await reader(stack, origin.port)
    expect(await stack.gateway.drain(100)).toBe(false)
    slow.answer.on('error', () => {})
  })
})
