// A socket that reads into memory of ours, relayed to readers that keep up, dawdle, or stop: each gets its own bytes,
// and all of them.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { relay } from '../../src/gateway/relay.ts'
import { IdleSweep } from '../../src/transport/deadline.ts'
import { connectTcp, type TcpSocket } from '../../src/transport/tcp-socket.ts'
import { eventually } from '../support/eventually.ts'

const HOST = '127.0.0.1'
const BYTES = 8 * 1024 * 1024 + 345

async function listening(onConnection: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    onTestFinished(() => void socket.destroy())
    onConnection(socket)
  })
  server.listen(0, HOST)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as net.AddressInfo).port
}

async function connect(port: number): Promise<TcpSocket> {
  const socket = connectTcp({ host: HOST, port, allowHalfOpen: true })
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** Pieces that a socket takes as written though they wait in it, and larger ones. */
async function sendInPieces(socket: net.Socket, body: Buffer): Promise<void> {
  for (let at = 0; at < body.length;) {
    const bytes = at % 5 === 0 ? 90_001 : 3_001
    if (!socket.write(body.subarray(at, at + bytes))) await once(socket, 'drain')
    await setImmediate()
    at += bytes
  }
  socket.end()
}

/** A relay whose upstream sends `body`; gives the client's end of it. */
async function download(body: Buffer): Promise<net.Socket> {
  const origin = await listening((socket) => void sendInPieces(socket, body))
  const proxy = await listening(
    (client) =>
      void connect(origin).then((upstream) =>
        relay(client, upstream, { sweep: new IdleSweep(), idleMs: 60_000, moved: () => 0 }),
      ),
  )
  const client = net.connect({ host: HOST, port: proxy, allowHalfOpen: true })
  onTestFinished(() => void client.destroy())
  return client
}

/** Reads to the end; after each chunk waits for as many turns of the loop as `dawdle` says. */
async function readHash(socket: net.Socket, dawdle: (index: number) => number): Promise<string> {
  const hash = createHash('sha256')
  let index = 0
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    hash.update(chunk)
    for (let turns = dawdle(index); turns > 0; turns -= 1) await setImmediate()
    index += 1
  }
  return hash.digest('hex')
}

describe('a TCP socket', () => {
  it('gives each of many readers its own bytes, however they read', async () => {
    const paces = [() => 0, () => 3, (index: number) => (index === 0 ? 4_000 : 0)]
    const readers = await Promise.all(
      Array.from({ length: 9 }, async (_, index) => {
        const body = randomBytes(BYTES)
        const expected = createHash('sha256').update(body).digest('hex')
        return { socket: await download(body), expected, pace: paces[index % paces.length] ?? (() => 0) }
      }),
    )
    const hashes = await Promise.all(readers.map(({ socket, pace }) => readHash(socket, pace)))
    expect(hashes).toEqual(readers.map(({ expected }) => expected))
  })

  it('reads nothing more once it is paused', async () => {
    const port = await listening((socket) => socket.write(randomBytes(BYTES)))
    const socket = await connect(port)
    socket.once('data', () => socket.pause())
    await once(socket, 'pause')
    const { bytesRead } = socket
    for (let turn = 0; turn < 50; turn += 1) await setImmediate()
    expect([socket.bytesRead, socket.readableLength]).toEqual([bytesRead, 0])
  })

  it('keeps what came before anyone listened, whoever frees what comes next', async () => {
    const bodies = [Buffer.alloc(500, 'a'), Buffer.alloc(500, 'b')]
    let peer: net.Socket | undefined
    const port = await listening((socket) => {
      peer = socket
      socket.write(bodies[0] ?? '')
    })
    const socket = await connect(port)
    await eventually(() => expect(socket.readableLength).toBe(500))
    const kept: Buffer[] = []
    socket.on('data', (chunk: Buffer) => {
      kept.push(chunk)
      // For the first this comes too late: its read is over.
      if (kept.length === 1) socket.recycle()
    })
    await eventually(() => expect(kept.length).toBe(1))
    for (let count = 2; count < 5; count += 1) {
      peer?.write(bodies[1] ?? '')
      await eventually(() => expect(Buffer.concat(kept).length).toBe(500 * count))
    }
    expect(Buffer.concat(kept).toString()).toBe(`${'a'.repeat(500)}${'b'.repeat(1500)}`)
  })
})
