// A drain begins when an answer has left its origin and its client is slow to read it: the last bytes are in this
// process by then, where no relay counts them any more. They arrive all the same, within the time that the drain has.
import http2 from 'node:http2'
import { duplexPair, type Duplex, type Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { describe, expect, it } from 'vitest'
import { startStack, type Stack } from '../support/stacks.ts'
import { reach } from '../support/through.ts'
import { startRawOrigin, Wire, type RawOrigin } from '../support/wire.ts'

/** More than the sockets of both links hold, so that the process has something left of it. */
const BODY = Buffer.alloc(12 * 1024 * 1024, 'sightline')
const PIECE_BYTES = 64 * 1024
const HEAD = `HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\nConnection: close\r\n\r\n`

interface SlowReader extends Disposable {
  /** What the client's socket brings, of which little has been read yet. */
  readonly socket: Duplex
  /** The same as bytes of the answer. */
  readonly answer: Readable
}

const KINDS = [
  { name: 'HTTP/1.1', reader: (stack: Stack, port: number) => overHttp1(stack, 'http', port) },
  { name: 'HTTP/1.1 on TLS', reader: (stack: Stack, port: number) => overHttp1(stack, 'https', port) },
  { name: 'HTTP/2', reader: overHttp2 },
  { name: 'the tunnel', reader: (stack: Stack, port: number) => overHttp1(stack, 'client', port) },
]

async function overHttp1(
  stack: Stack,
  listener: 'http' | 'https' | 'client',
  port: number,
): Promise<SlowReader> {
  const wire = await reach(stack, listener)
  wire.send(`GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  const received = await wire.untilText('\r\n\r\n')
  wire.socket.pause()
  wire.socket.removeAllListeners('data')
  wire.socket.unshift(received.subarray(received.indexOf('\r\n\r\n') + 4))
  return { socket: wire.socket, answer: wire.socket, [Symbol.dispose]: () => wire.socket.destroy() }
}

/** Slow below HTTP/2: what has come to Node's client and is not read is gone with its connection. */
async function overHttp2(stack: Stack, port: number): Promise<SlowReader> {
  const { socket } = await Wire.connectTls(stack.ports.https, { ca: stack.authority, ALPNProtocols: ['h2'] })
  const [near, far] = duplexPair()
  near.pipe(socket)
  socket.removeAllListeners('data')
  socket.on('data', (chunk) => near.write(chunk))
  socket.on('end', () => near.end())
  const session = http2.connect('https://localhost', { createConnection: () => far })
  session.on('error', () => {})
  const answer = session.request({ ':scheme': 'http', ':authority': `127.0.0.1:${port}`, ':path': '/' })
  await new Promise((resolve) => answer.once('response', resolve))
  socket.pause()
  return { socket, answer, [Symbol.dispose]: () => session.destroy() }
}

/** Reads to the end, a piece each turn of the clock; gives how many bytes came. */
async function readSlowly({ socket, answer }: SlowReader): Promise<number> {
  let bytes = 0
  let rested = 0
  answer.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes - rested < PIECE_BYTES) return
    rested = bytes
    socket.pause()
    setTimeout(() => socket.resume(), 5)
  })
  socket.resume()
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
