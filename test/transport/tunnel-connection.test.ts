// The tunnel's connection over a real WebSocket on loopback: what a peer that breaks the protocol is told, how one that
// stopped answering is found out, and how little is sent ahead. The clock is the test's own.
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import type { GatewayError } from '../../src/errors.ts'
import { decodeFrame, encodeFrame, MAX_FRAME_BYTES, type Frame } from '../../src/protocol/mux/frame.ts'
import type { MuxStream } from '../../src/protocol/mux/stream.ts'
import { StreamSocket } from '../../src/transport/stream-socket.ts'
import { TunnelConnection, WEBSOCKET_LIMITS } from '../../src/transport/tunnel-connection.ts'
import { eventually } from '../support/eventually.ts'
import { SITE } from '../support/mux-pair.ts'

const TICK_MS = 1_000
const NO_EVENTS = { opened() {}, refused() {}, data() {}, fin() {}, reset() {} }

let nowMs = 0
beforeEach(() => {
  nowMs = 1_000
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs)
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

/** Lets one tick of the connections come, and what is on the way arrive. */
async function tick(ms = TICK_MS): Promise<void> {
  nowMs += ms
  vi.advanceTimersByTime(TICK_MS)
  for (let turn = 0; turn < 20; turn += 1) await setImmediate()
}

const FINAL_BINARY = 0x82

/** A whole message, masked with zeros. */
function masked(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([FINAL_BINARY, 0x80 + payload.length, 0, 0, 0, 0]), payload])
}

interface Link {
  /** Under test. */
  readonly connection: TunnelConnection
  readonly socket: Socket
  readonly ended: Promise<GatewayError>
  readonly closed: GatewayError[]
  readonly opened: MuxStream[]
  /** What was told of its silence. */
  readonly silences: boolean[]
  /** Its peer, by hand. */
  readonly peer: WebSocket
  readonly peerSocket: Socket
  /** What the peer was sent. */
  readonly frames: Frame[]
  readonly say: (frame: Frame) => void
}

/** A gateway's connection and a WebSocket that speaks to it. */
async function connect(options: { readonly autoPong?: boolean } = {}): Promise<Link> {
  const server = http.createServer()
  const webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, ...WEBSOCKET_LIMITS })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const accepted = new Promise<[WebSocket, Socket]>((resolve) => {
    server.on('upgrade', (request, socket, head) => {
      webSockets.handleUpgrade(request, socket, head, (webSocket) => resolve([webSocket, socket as Socket]))
    })
  })
  const { port } = server.address() as AddressInfo
  const frames: Frame[] = []
  const peer = new WebSocket(`ws://127.0.0.1:${port}/`, {
    perMessageDeflate: false,
    autoPong: options.autoPong ?? true,
  })
  peer.on('message', (data: Buffer) => frames.push(decodeFrame(data)))
  peer.on('error', () => {})
  const upgraded = once(peer, 'upgrade') as Promise<[http.IncomingMessage]>
  const [webSocket, socket] = await accepted
  const closed: GatewayError[] = []
  const opened: MuxStream[] = []
  const silences: boolean[] = []
  const over = Promise.withResolvers<GatewayError>()
  const connection = new TunnelConnection(
    webSocket,
    socket,
    { role: 'gateway', maxStreams: 1000 },
    {
      open: (stream) => void opened.push(stream),
      silent: (isSilent) => void silences.push(isSilent),
      closed: (error) => {
        closed.push(error)
        over.resolve(error)
      },
    },
  )
  const [response] = await upgraded
  if (peer.readyState !== WebSocket.OPEN) await once(peer, 'open')
  onTestFinished(() => {
    connection.destroy('shutting-down')
    peer.terminate()
    socket.destroy()
    server.close()
  })
  return {
    connection,
    socket,
    ended: over.promise,
    closed,
    opened,
    silences,
    peer,
    peerSocket: response.socket,
    frames,
    say: (frame) => peer.send(encodeFrame(frame)),
  }
}

describe('a peer that breaks the protocol', () => {
  it.each([
    ['a text message', (peer: WebSocket) => peer.send('hello'), 'frame-malformed', 34],
    ['an empty message', (peer: WebSocket) => peer.send(Buffer.alloc(0)), 'frame-malformed', 34],
    [
      'a frame of an unknown type',
      (peer: WebSocket) => peer.send(Buffer.from([9, 0, 0, 0, 1])),
      'frame-unknown',
      35,
    ],
    [
      'a stream that cannot be',
      (peer: WebSocket) => peer.send(Buffer.from([6, 0, 0, 0, 3])),
      'stream-id-invalid',
      37,
    ],
  ])('%s: GOAWAY with the code, then close 1002', async (_name, breakIt, code, number) => {
    const { peer, ended, frames, connection } = await connect()
    const close = once(peer, 'close') as Promise<[number]>
    breakIt(peer)
    expect((await ended).code).toBe(code)
    expect((await close)[0]).toBe(1002)
    expect(frames).toEqual([{ type: 'goaway', stream: 0, error: number }])
    expect(connection.closed).toBe(true)
  })

  it('a message larger than any frame ends the connection before it is in memory', async () => {
    const { peer, ended, connection } = await connect()
    const close = once(peer, 'close') as Promise<[number]>
    peer.send(Buffer.alloc(MAX_FRAME_BYTES + 1))
    expect((await ended).code).toBe('frame-too-large')
    expect((await close)[0]).toBe(1009)
    expect(connection.closed).toBe(true)
  })

  it('ends every stream of its session with the code', async () => {
    const { peer, opened, say, ended } = await connect()
    say({ type: 'open', stream: 1, kind: 'tcp', destination: SITE })
    await eventually(() => expect(opened.length).toBe(1))
    const socket = new StreamSocket(opened[0]!)
    const error = once(socket, 'error') as Promise<[GatewayError]>
    peer.send('hello')
    await ended
    expect((await error)[0].code).toBe('frame-malformed')
  })
})

describe('a peer with a WebSocket of its own making', () => {
  const open: Frame = { type: 'open', stream: 1, kind: 'tcp', destination: SITE }
  const next: Frame = { ...open, stream: 3 }

  it('may send fragments, with a ping between them', async () => {
    const { peer, opened, connection, frames } = await connect()
    const bytes = encodeFrame(open)
    const pong = once(peer, 'pong') as Promise<[Buffer]>
    peer.send(bytes.subarray(0, 3), { fin: false })
    peer.ping('between')
    peer.send(bytes.subarray(3, 9), { fin: false })
    peer.send(bytes.subarray(9))
    peer.send(encodeFrame(next))
    await eventually(() => expect(opened.map(({ id }) => id)).toEqual([1, 3]))
    expect((await pong)[0].toString()).toBe('between')
    connection.session.accept(opened[0]!, { address: '127.0.0.1', port: 1 })
    await eventually(() => expect(frames.map(({ type }) => type)).toEqual(['opened']))
  })

  it('may send a byte at a time', async () => {
    const { peerSocket, opened } = await connect()
    for (const byte of Buffer.concat([masked(encodeFrame(open)), masked(encodeFrame(next))])) {
      peerSocket.write(Buffer.from([byte]))
      await setImmediate()
    }
    await eventually(() => expect(opened.map(({ id }) => id)).toEqual([1, 3]))
  })

  it('is heard up to what breaks the protocol, and no further', async () => {
    const { peerSocket, opened, ended } = await connect()
    const broken = masked(encodeFrame(next))
    broken[0]! |= 0x40
    peerSocket.write(Buffer.concat([masked(encodeFrame(open)), broken, masked(encodeFrame(next))]))
    expect((await ended).code).toBe('frame-malformed')
    expect(opened.map(({ id }) => id)).toEqual([1])
  })

  it('says nothing more behind its close', async () => {
    const { peerSocket, opened, ended } = await connect()
    const close = Buffer.from([0x88, 0x80, 0, 0, 0, 0])
    peerSocket.write(Buffer.concat([masked(encodeFrame(open)), close, masked(encodeFrame(next))]))
    peerSocket.write(masked(Buffer.from('neither is this heard, nor a mistake')))
    expect((await ended).code).toBe('connection-reset')
    expect(opened.map(({ id }) => id)).toEqual([1])
  })
})

describe('a connection that ends', () => {
  it('on purpose says why, and closes in order', async () => {
    const { peer, frames, connection, closed } = await connect()
    const close = once(peer, 'close') as Promise<[number]>
    connection.destroy('shutting-down')
    connection.destroy('internal-error')
    expect((await close)[0]).toBe(1000)
    expect(frames).toEqual([{ type: 'goaway', stream: 0, error: 23 }])
    expect(closed.map(({ code }) => code)).toEqual(['shutting-down'])
  })

  it('by the peer is told once, and its timer is gone', async () => {
    const { peerSocket, ended, closed } = await connect()
    expect(vi.getTimerCount()).toBe(1)
    peerSocket.resetAndDestroy()
    expect((await ended).code).toBe('connection-reset')
    await tick()
    expect([closed.length, vi.getTimerCount()]).toEqual([1, 0])
  })

  it('is deaf afterwards', async () => {
    const { peer, opened, connection, say } = await connect()
    connection.destroy('shutting-down')
    if (peer.readyState === WebSocket.OPEN) say({ type: 'open', stream: 1, kind: 'tcp', destination: SITE })
    await tick()
    expect(opened).toEqual([])
  })
})

describe('liveness', () => {
  it('a peer that answers lives, silent as it is', async () => {
    const { closed, peer } = await connect()
    let pings = 0
    peer.on('ping', () => (pings += 1))
    for (let count = 0; count < 40; count += 1) await tick()
    expect(closed).toEqual([])
    expect(pings).toBeGreaterThan(5)
  })

  it('a peer that stopped answering is dead within 15 s of its last byte', async () => {
    const { closed, peerSocket, connection } = await connect()
    await tick()
    peerSocket.pause()
    await tick()
    const lastLifeMs = nowMs
    while (closed.length === 0 && nowMs < lastLifeMs + 60_000) await tick()
    expect(closed.map(({ code, side }) => [code, side])).toEqual([['tunnel-dead', 'upstream']])
    // A life is noticed at the tick after it.
    expect(nowMs - lastLifeMs).toBeGreaterThanOrEqual(12_000)
    expect(nowMs - lastLifeMs).toBeLessThanOrEqual(15_000)
    expect(connection.closed).toBe(true)
  })

  it('a peer that does not answer a ping is silent 2 s later, and is not dead when it is heard again', async () => {
    const { closed, peer, peerSocket, connection, silences } = await connect()
    await tick()
    peerSocket.pause()
    const unheard: string[] = []
    onTestFinished(connection.watch(() => unheard.push('told'), 60_000))
    for (let count = 0; count < 9; count += 1) await tick()
    expect([silences, unheard, connection.silent]).toEqual([[true], ['told'], true])
    peerSocket.resume()
    peer.pong()
    await eventually(() => expect(silences).toEqual([true, false]))
    for (let count = 0; count < 20; count += 1) await tick()
    expect([closed, silences, unheard]).toEqual([[], [true, false], ['told']])
  })

  it('any byte is a sign of life, though no pong ever comes', async () => {
    const { closed, say } = await connect({ autoPong: false })
    say({ type: 'open', stream: 1, kind: 'tcp', destination: SITE })
    for (let count = 0; count < 20; count += 1) {
      say({ type: 'credit', stream: 1, offset: 100_000 + count })
      await tick()
    }
    expect(closed).toEqual([])
    for (let count = 0; count < 16; count += 1) await tick()
    expect(closed.map(({ code }) => code)).toEqual(['tunnel-dead'])
  })

  it('a process that stood still does not blame its peer', async () => {
    const { closed, peerSocket } = await connect()
    await tick()
    peerSocket.pause()
    await tick()
    await tick(600_000)
    expect(closed).toEqual([])
    for (let count = 0; count < 10; count += 1) await tick()
    expect(closed).toEqual([])
  })

  it('the round trip is the smallest that was seen', async () => {
    const { connection, peer } = await connect({ autoPong: false })
    const pong = async (afterMs: number): Promise<void> => {
      nowMs += afterMs
      peer.pong()
      await eventually(() => expect(peer.bufferedAmount).toBe(0))
      for (let turn = 0; turn < 20; turn += 1) await setImmediate()
    }
    await pong(40)
    expect(connection.session.roundTripMs).toBe(40)
    const nextPing = once(peer, 'ping')
    for (let count = 0; count < 10; count += 1) await tick()
    await nextPing
    const sent = nowMs
    await pong(20)
    expect(connection.session.roundTripMs).toBeLessThanOrEqual(40)
    expect(connection.session.roundTripMs).toBeGreaterThanOrEqual(nowMs - sent)
  })
})

/** Holds back what `socket` is given to write of mux frames, until it is let go. */
function holdWrites(socket: Socket): { readonly held: Array<() => void>; readonly letGo: () => void } {
  const held: Array<() => void> = []
  const write = socket.write.bind(socket) as (bytes: Uint8Array, sent?: () => void) => boolean
  const spy = vi.spyOn(socket, 'write').mockImplementation(((bytes: Uint8Array, sent?: () => void) => {
    if (bytes[0] !== FINAL_BINARY) return write(bytes, sent)
    held.push(() => void write(bytes, sent))
    return true
  }) as typeof socket.write)
  return {
    held,
    letGo: () => {
      spy.mockRestore()
      for (const go of held.splice(0)) go()
    },
  }
}

/** Opens a stream and writes to it, and holds that write back; gives what lets it go. */
async function holdOneWrite({ socket, opened, say }: Link): Promise<() => void> {
  const { held, letGo } = holdWrites(socket)
  say({ type: 'open', stream: 1, kind: 'tcp', destination: SITE })
  await eventually(() => expect(opened.length).toBe(1))
  const [stream] = opened
  stream!.events = NO_EVENTS
  stream!.write(Buffer.alloc(1_000), () => {})
  await eventually(() => expect(held.length).toBe(1))
  return letGo
}

describe('what waits in the socket', () => {
  it('is one flush of 256 KiB at most, though streams have far more', async () => {
    const { connection, socket, peerSocket, opened, say } = await connect()
    peerSocket.pause()
    const streams = 400
    for (let count = 0; count < streams; count += 1) {
      say({ type: 'open', stream: 1 + 2 * count, kind: 'tcp', destination: SITE })
    }
    await eventually(() => expect(opened.length).toBe(streams))
    const write = socket.write.bind(socket) as (bytes: Uint8Array, sent?: () => void) => boolean
    /** The sizes of those that are not done. */
    const underWay: number[] = []
    let [most, mostWaiting] = [0, 0]
    vi.spyOn(socket, 'write').mockImplementation(((bytes: Uint8Array, sent?: () => void) => {
      if (bytes[0] !== FINAL_BINARY) return write(bytes, sent)
      underWay.push(bytes.length)
      most = Math.max(
        most,
        underWay.reduce((sum, length) => sum + length, 0),
      )
      return write(bytes, () => {
        underWay.shift()
        sent?.()
      })
    }) as typeof socket.write)
    const window = Buffer.alloc(64 * 1024)
    for (const stream of opened) {
      stream.events = NO_EVENTS
      stream.write(window, () => {})
    }
    for (let turn = 0; turn < 100; turn += 1) {
      await setImmediate()
      mostWaiting = Math.max(mostWaiting, socket.writableLength)
    }
    expect(connection.session.hasFrames).toBe(true)
    expect(connection.blocked).toBe(true)
    // Not the first ones: buffers grow while they are filled.
    expect(underWay.length).toBe(1)
    expect(most).toBeGreaterThan(200 * 1024)
    expect(most).toBeLessThanOrEqual(256 * 1024)
    expect(mostWaiting).toBeGreaterThan(0)
    expect(mostWaiting).toBeLessThanOrEqual(256 * 1024)
  })

  it('a peer that makes it answer and does not read is not read either', async () => {
    const { connection, socket, frames, peerSocket } = await connect()
    const { held, letGo } = holdWrites(socket)
    // Streams past the thousandth are refused: each costs an answer of seven bytes, more of them than one flush takes.
    const opens = 80_000
    const asked = Array.from({ length: opens }, (_, count) =>
      masked(encodeFrame({ type: 'open', stream: 1 + 2 * count, kind: 'tcp', destination: SITE })),
    )
    peerSocket.write(Buffer.concat(asked))
    await eventually(() => expect(connection.session.congested).toBe(true))
    const writes = held.length
    expect(socket.isPaused()).toBe(true)
    // What Node had under way when it was paused.
    for (let turn = 0; turn < 50; turn += 1) await setImmediate()
    const { bytesRead } = socket
    for (let turn = 0; turn < 50; turn += 1) await setImmediate()
    expect([socket.bytesRead, frames.length, held.length]).toEqual([bytesRead, 0, writes])
    letGo()
    await eventually(() => expect(frames.length).toBe(opens - 1000))
    expect(connection.session.congested).toBe(false)
  })

  it('keeps no pong from a peer that asks while a write is under way', async () => {
    const link = await connect()
    const { peer } = link
    const letGo = await holdOneWrite(link)
    const pongs: string[] = []
    peer.on('pong', (data: Buffer) => pongs.push(data.toString()))
    peer.ping('are you there?')
    for (let turn = 0; turn < 20; turn += 1) await setImmediate()
    letGo()
    await eventually(() => expect(pongs).toEqual(['are you there?']))
  })

  it('keeps from a peer not why the connection ends', async () => {
    const link = await connect()
    const { connection, peer, frames } = link
    const letGo = await holdOneWrite(link)
    letGo()
    const close = once(peer, 'close')
    // In the same turn: the write before is still under way.
    connection.destroy('shutting-down')
    await close
    expect(frames.map(({ type }) => type)).toEqual(['data', 'goaway'])
  })
})
