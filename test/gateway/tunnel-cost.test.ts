// What a MiB and a stream cost in the tunnel, counted from end to end: messages, writes, buffers, masked bytes and the memory
// they are masked in, never seconds. A gateway's connection and a client's over a real WebSocket; whoever makes a count
// smaller lowers its limit.
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { relay } from '../../src/gateway/relay.ts'
import type { MuxStream } from '../../src/protocol/mux/stream.ts'
import { IdleSweep } from '../../src/transport/deadline.ts'
import { StreamSocket } from '../../src/transport/stream-socket.ts'
import { TunnelConnection, WEBSOCKET_LIMITS } from '../../src/transport/tunnel-connection.ts'
import { SITE } from '../support/mux-pair.ts'
import { tcpPair } from '../support/tcp-pair.ts'

const masked = vi.hoisted(() => ({ bytes: 0, inResizable: 0 }))
vi.mock('../../src/protocol/websocket-mask.ts', async (original) => {
  const real = await original<typeof import('../../src/protocol/websocket-mask.ts')>()
  const xor: typeof real.xor = (bytes, start, end, key) => {
    masked.bytes += end - start
    if (bytes.buffer instanceof ArrayBuffer && bytes.buffer.resizable) masked.inResizable += end - start
    real.xor(bytes, start, end, key)
  }
  return { xor }
})

const MIB = 1024 * 1024
const MIBS = 32
const NO_EVENTS = { opened() {}, refused() {}, data() {}, fin() {}, reset() {} }
const options = { sweep: new IdleSweep(), idleMs: 600_000, moved: () => 0 }

interface Tunnel {
  readonly gateway: TunnelConnection
  readonly client: TunnelConnection
  /** Under the WebSockets. */
  readonly gatewaySocket: Socket
  readonly clientSocket: Socket
  /** What the client opened, at the gateway. */
  readonly opened: MuxStream[]
}

async function tunnel(): Promise<Tunnel> {
  const server = http.createServer()
  const webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, ...WEBSOCKET_LIMITS })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const accepted = new Promise<[WebSocket, Socket]>((resolve) => {
    server.on('upgrade', (request, socket, head) => {
      webSockets.handleUpgrade(request, socket, head, (accept) => resolve([accept, socket as Socket]))
    })
  })
  const { port } = server.address() as AddressInfo
  const webSocket = new WebSocket(`ws://127.0.0.1:${port}/`, {
    perMessageDeflate: false,
    ...WEBSOCKET_LIMITS,
  })
  const upgraded = once(webSocket, 'upgrade') as Promise<[http.IncomingMessage]>
  const open = once(webSocket, 'open')
  const [theirs, gatewaySocket] = await accepted
  const [{ socket: clientSocket }] = await upgraded
  await open
  const opened: MuxStream[] = []
  const gateway = new TunnelConnection(
    theirs,
    gatewaySocket,
    { role: 'gateway', maxStreams: 1_000 },
    { open: (asked) => void opened.push(asked), closed: () => {} },
  )
  const client = new TunnelConnection(
    webSocket,
    clientSocket,
    { role: 'client', maxStreams: 1_000 },
    { closed: () => {} },
  )
  onTestFinished(() => {
    for (const socket of [gatewaySocket, clientSocket]) socket.destroy()
    server.close()
  })
  return { gateway, client, gatewaySocket, clientSocket, opened }
}

/** Counts the writes of `socket`, and the buffers that they were made from. */
function countWrites(socket: Socket): { readonly writes: number; readonly buffers: number } {
  const write = vi.spyOn(socket, 'write')
  return {
    get writes(): number {
      return write.mock.calls.length
    },
    get buffers(): number {
      return new Set(write.mock.calls.map(([bytes]) => (bytes as Buffer).buffer)).size
    },
  }
}

/** One stream of `made`, joined to a relay at both ends. */
async function stream(made: Tunnel): Promise<{ application: Socket; origin: Socket; local: Socket }> {
  const [local, far] = [await tcpPair(), await tcpPair()]
  const muxed = made.client.session.open('tcp', SITE, NO_EVENTS)
  const answered = Promise.withResolvers<void>()
  const near = new StreamSocket(muxed, { opened: () => answered.resolve(), refused: answered.reject })
  await vi.waitFor(() => expect(made.opened).toHaveLength(1), { timeout: 10_000 })
  const [theirs] = made.opened
  if (theirs === undefined) throw new Error('no stream')
  const farEnd = new StreamSocket(theirs)
  made.gateway.session.accept(theirs, { address: '127.0.0.1', port: 1 })
  void relay(farEnd, far.ours, options)
  await answered.promise
  void relay(local.ours, near, options)
  return { application: local.peer, origin: far.peer, local: local.ours }
}

async function send(from: Socket, to: Socket): Promise<void> {
  let left = MIBS * MIB
  const whole = Promise.withResolvers<void>()
  to.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left <= 0) whole.resolve()
  })
  const block = Buffer.alloc(MIB, 'x')
  for (let count = 0; count < MIBS; count += 1) {
    if (!from.write(block)) await once(from, 'drain')
  }
  await whole.promise
  expect(left).toBe(0)
}

describe('what it costs', () => {
  it('to download a MiB: at most 70 messages, 12 writes into the tunnel and 12 out of it, in memory used again', async () => {
    const made = await tunnel()
    const { application, origin, local } = await stream(made)
    const tunnelled = countWrites(made.gatewaySocket)
    const received = vi.spyOn(made.client.session, 'receive')
    const out = countWrites(local)
    await send(origin, application)
    expect(received.mock.calls.length / MIBS).toBeLessThan(70)
    expect(tunnelled.writes / MIBS).toBeLessThan(12)
    expect(out.writes / MIBS).toBeLessThan(12)
    expect(out.buffers / MIBS).toBeLessThan(1)
  })

  it('to upload a MiB: each byte is masked once and unmasked once, in no memory that may be resized', async () => {
    const made = await tunnel()
    const { application, origin } = await stream(made)
    const before = { ...masked }
    const tunnelled = countWrites(made.clientSocket)
    await send(application, origin)
    expect((masked.bytes - before.bytes) / MIBS / MIB).toBeLessThan(2.01)
    expect(masked.inResizable).toBe(0)
    expect(tunnelled.writes / MIBS).toBeLessThan(30)
  })

  it('to open 16 streams in one turn: one write', async () => {
    const made = await tunnel()
    // What a connection says at first has been said.
    for (let turn = 0; turn < 5; turn += 1) await setImmediate()
    const tunnelled = countWrites(made.clientSocket)
    // Each for itself, as sockets that are read one after the other do it.
    const opening = Array.from({ length: 16 }, async () => {
      await setImmediate()
      made.client.session.open('tcp', SITE, NO_EVENTS)
    })
    await Promise.all(opening)
    await vi.waitFor(() => expect(made.opened).toHaveLength(16), { timeout: 10_000 })
    expect(tunnelled.writes).toBe(1)
  })
})
