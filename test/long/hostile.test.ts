// A hostile client and a hostile gateway in full, against the other end as a process of its own: floods of OPEN, of RESET, of
// one-byte messages, of pings and of fragments, peers that never read and never grant credit, and all of a window filled on every
// stream. The process stays up, serves the next one, and never has more than 300 MiB resident.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { encodeFrame } from '../../src/protocol/mux/frame.ts'
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { eventually } from '../support/eventually.ts'
import { serve, startSightline, type SightlineProcess } from '../support/gateway-process.ts'
import { frameHead, RawTunnel } from '../support/raw-tunnel.ts'
import { everyInbound, LOOPBACK_EGRESS } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { encodeAsk } from '../support/through.ts'

const LIMIT_MIB = 300
const MESSAGES = 1_000_000
const BATCH = 1_000

let pki: TempDir
/** Accepts, and reads nothing. */
let deaf: net.Server
let port: number
/** Sees the end of a connection, as a paused socket does not. */
let reading: net.Server
let readingPort: number
const accepted = new Set<net.Socket>()

beforeAll(async () => {
  pki = await tempDir()
  await ensureDevelopmentPki(pki.path)
  deaf = net.createServer({ pauseOnConnect: true }, (socket) => {
    accepted.add(socket)
    socket.on('close', () => accepted.delete(socket)).on('error', () => {})
  })
  await new Promise<void>((resolve) => deaf.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 }, resolve))
  port = (deaf.address() as AddressInfo).port
  reading = net.createServer((socket) => socket.on('error', () => {}).resume())
  await new Promise<void>((resolve) =>
    reading.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 }, resolve),
  )
  readingPort = (reading.address() as AddressInfo).port
})
afterAll(async () => {
  for (const socket of accepted) socket.destroy()
  await new Promise((resolve) => deaf.close(resolve))
  await new Promise((resolve) => reading.close(resolve))
  await pki[Symbol.asyncDispose]()
})

const read = (name: string): Promise<string> => readFile(pki.file(name), 'utf8')

async function connect(gateway: SightlineProcess): Promise<RawTunnel> {
  const [certificate, key, authority] = await Promise.all(['client.crt', 'client.key', 'ca.crt'].map(read))
  return RawTunnel.connect({
    port: gateway.port('tunnel'),
    certificate: certificate ?? '',
    key: key ?? '',
    authority: authority ?? '',
  })
}

/** Says `count` times what `say` says, in batches, as fast as the other end takes it. */
async function storm(tunnel: RawTunnel, count: number, say: (index: number) => void): Promise<number> {
  let said = 0
  while (said < count && (await tunnel.drained())) {
    for (const end = Math.min(count, said + BATCH); said < end; said += 1) say(said)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return said
}

const ONE_BYTE = (stream: number): Buffer => encodeFrame({ type: 'data', stream, payload: Buffer.from('x') })

describe('a hostile client', () => {
  it.each<[string, (tunnel: RawTunnel) => Promise<unknown>]>([
    [
      'OPEN by the 200,000, to a port that accepts',
      (tunnel) => storm(tunnel, 200_000, (at) => tunnel.open(2 * at + 1, port)),
    ],
    [
      'OPEN and RESET by the 100,000',
      (tunnel) =>
        storm(tunnel, 100_000, (at) => {
          tunnel.open(2 * at + 1, readingPort)
          tunnel.say({ type: 'reset', stream: 2 * at + 1, error: 40 })
        }),
    ],
    [
      'one-byte messages by the million, to streams that nobody reads',
      async (tunnel) => {
        for (let at = 0; at < 1_000; at += 1) tunnel.open(2 * at + 1, port)
        // 1,000 bytes on each of 1,000 streams; every one is a message.
        await storm(tunnel, MESSAGES, (at) => tunnel.webSocket.send(ONE_BYTE(2 * (at % 1_000) + 1)))
      },
    ],
    [
      'one-byte messages that fill one window, each behind a large one that is dropped',
      async (tunnel) => {
        tunnel.open(1, port)
        tunnel.open(3, port)
        tunnel.say({ type: 'reset', stream: 3, error: 40 })
        // Frames for a stream that is over are ignored, but each stands in a record with a byte that is kept.
        const ignored = encodeFrame({ type: 'data', stream: 3, payload: Buffer.alloc(16_000) })
        await storm(tunnel, 20_000, () => {
          tunnel.webSocket.send(ONE_BYTE(1))
          tunnel.webSocket.send(ignored)
        })
      },
    ],
    [
      'a whole window on each of 1,024 streams that nobody reads',
      async (tunnel) => {
        for (let at = 0; at < 1_024; at += 1) tunnel.open(2 * at + 1, port)
        const piece = (stream: number): Buffer =>
          encodeFrame({ type: 'data', stream, payload: Buffer.alloc(16_384) })
        await storm(tunnel, 4_096, (at) => tunnel.webSocket.send(piece(2 * (at % 1_024) + 1)))
      },
    ],
    [
      'pings by the million, no pong read',
      async (tunnel) => {
        tunnel.webSocket.pause()
        const ping = Buffer.concat([frameHead(0x89, 100), Buffer.alloc(100)])
        const pings = Buffer.concat(Array<Buffer>(BATCH).fill(ping))
        for (let sent = 0; sent < MESSAGES && (await tunnel.drained()); sent += BATCH) {
          tunnel.socket.write(pings)
          await new Promise((resolve) => setImmediate(resolve))
        }
      },
    ],
    [
      'OPEN by the 100,000 to a closed port, no answer read',
      async (tunnel) => {
        tunnel.webSocket.pause()
        const until = Date.now() + 5_000
        for (let at = 0; at < 100_000 && Date.now() < until; at += 1) {
          tunnel.open(2 * at + 1, 1)
          if (at % BATCH === 0) await new Promise((resolve) => setImmediate(resolve))
        }
      },
    ],
    [
      'messages in one-byte fragments, each with pings between',
      async (tunnel) => {
        const piece = Buffer.concat([frameHead(0x00, 1), Buffer.from('x'), frameHead(0x89, 0)])
        tunnel.socket.write(Buffer.concat([frameHead(0x02, 0), ...Array<Buffer>(60).fill(piece)]))
        await tunnel.drained()
        tunnel.socket.write(Buffer.concat(Array<Buffer>(10_000).fill(piece)))
        await tunnel.closed
      },
    ],
    ['4 GiB in a WebSocket header', async (tunnel) => void tunnel.socket.write(frameHead(0x82, 2n ** 32n))],
    [
      'CREDIT by the million, one byte at a time',
      async (tunnel) => {
        tunnel.open(1, port)
        await storm(tunnel, MESSAGES, (at) => tunnel.say({ type: 'credit', stream: 1, offset: 70_000 + at }))
      },
    ],
  ])('%s', async (name, attack) => {
    await using gateway = await serve(pki.file('gateway.json'), {
      inbounds: everyInbound(pki),
      egress: LOOPBACK_EGRESS,
      log: { level: 'silent' },
    })
    const startedMs = performance.now()
    const startMiB = await gateway.memoryMiB()
    {
      using tunnel = await connect(gateway)
      await attack(tunnel)
      // Whatever was said has been taken, or the session is over, once another client is served.
      using other = await connect(gateway)
      other.open(1, port)
      await eventually(() => expect(other.heard).toEqual(['opened 1']))
      await eventually(() =>
        expect(
          tunnel.socket.writableLength === 0 || tunnel.webSocket.isPaused || tunnel.socket.destroyed,
        ).toBe(true),
      )
    }
    const peakMiB = await gateway.peakMemoryMiB()
    console.log(
      `hostile client, ${name}: ${((performance.now() - startedMs) / 1000).toFixed(1)} s, ` +
        `${startMiB.toFixed(0)} MiB before, ${peakMiB.toFixed(0)} MiB at most`,
    )
    for (const socket of accepted) socket.destroy()
    expect(peakMiB).toBeLessThan(LIMIT_MIB)
  })
})

/** A gateway by hand: takes the tunnel client's connection, and says what it likes. */
class RawGateway implements AsyncDisposable {
  readonly server: https.Server
  readonly tunnels: WebSocket[] = []
  #next: Array<(webSocket: WebSocket) => void> = []

  constructor(cert: string, key: string) {
    this.server = https.createServer({
      cert,
      key,
      minVersion: 'TLSv1.3',
      requestCert: true,
      rejectUnauthorized: false,
    })
    const webSockets = new WebSocketServer({ server: this.server, perMessageDeflate: false, autoPong: false })
    webSockets.on('connection', (webSocket) => {
      webSocket.on('error', () => {})
      this.tunnels.push(webSocket)
      this.#next.shift()?.(webSocket)
    })
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    return (this.server.address() as AddressInfo).port
  }

  next(): Promise<WebSocket> {
    return new Promise((resolve) => this.#next.push(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const tunnel of this.tunnels) tunnel.terminate()
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

describe('a hostile gateway', () => {
  const OPENED = (stream: number): Buffer =>
    encodeFrame({ type: 'opened', stream, bound: { address: '192.0.2.1', port: 9 } })

  it.each<[string, (webSocket: WebSocket, open: () => void) => Promise<void>]>([
    [
      'frames out of order',
      async (webSocket) => {
        webSocket.send(OPENED(9))
      },
    ],
    ['an unknown type', async (webSocket) => webSocket.send(Buffer.from('0a00000000', 'hex'))],
    [
      'OPEN',
      async (webSocket) =>
        webSocket.send(
          encodeFrame({ type: 'open', stream: 1, kind: 'tcp', destination: { host: 'a', port: 1 } }),
        ),
    ],
    [
      'data past the credit',
      async (webSocket, open) => {
        const asked = once(webSocket, 'message')
        open()
        await asked
        webSocket.send(OPENED(1))
        for (let at = 0; at < 200; at += 1)
          webSocket.send(encodeFrame({ type: 'data', stream: 1, payload: Buffer.alloc(65_536) }))
      },
    ],
    [
      'a window of one-byte messages to a program that does not read',
      async (webSocket, open) => {
        const asked = once(webSocket, 'message')
        open()
        await asked
        webSocket.send(OPENED(1))
        for (let at = 0; at < 65_000; at += 1) {
          webSocket.send(ONE_BYTE(1))
          if (at % BATCH === 0) await new Promise((resolve) => setImmediate(resolve))
        }
        webSocket.send(encodeFrame({ type: 'data', stream: 1, payload: Buffer.alloc(65_536) }))
        for (let at = 0; at < 200; at += 1)
          webSocket.send(encodeFrame({ type: 'data', stream: 1, payload: Buffer.alloc(65_536) }))
      },
    ],
    [
      'pings by the million',
      async (webSocket) => {
        const socket = Reflect.get(webSocket, '_socket') as net.Socket
        const pings = Buffer.concat(
          Array<Buffer>(BATCH).fill(Buffer.concat([frameHead(0x89, 100, false), Buffer.alloc(100)])),
        )
        webSocket.pause()
        for (let sent = 0; sent < MESSAGES && !socket.destroyed; sent += BATCH) {
          if (!socket.write(pings)) await Promise.race([once(socket, 'drain'), once(socket, 'close')])
        }
        webSocket.send(Buffer.from('0a00000000', 'hex'))
        webSocket.resume()
      },
    ],
    [
      '4 GiB in a WebSocket header',
      async (webSocket) => {
        const socket = Reflect.get(webSocket, '_socket') as net.Socket
        socket.write(frameHead(0x82, 2n ** 32n, false))
      },
    ],
  ])('%s: the client ends the session, connects again and stays small', async (name, attack) => {
    await using gateway = new RawGateway(await read('gateway.crt'), await read('gateway.key'))
    const first = gateway.next()
    const at = await gateway.listen()
    const own = [
      '--certificate',
      pki.file('client.crt'),
      '--key',
      pki.file('client.key'),
      '--authority',
      pki.file('ca.crt'),
    ]
    const url = `wss://localhost:${at}/tunnel`
    await using client = await startSightline([
      'connect',
      url,
      ...own,
      '--listen',
      '127.0.0.1:0',
      '--connections',
      '1',
    ])
    const webSocket = await first
    const again = gateway.next()
    const programs: net.Socket[] = []
    const open = (): void => {
      const program = net.connect(client.port('client'), '127.0.0.1')
      program.on('error', () => {})
      program.pause()
      program.write(Buffer.concat([Buffer.from([5, 1, 0]), encodeAsk('socks5', '127.0.0.1', 9)]))
      programs.push(program)
    }
    const closed = once(webSocket, 'close')
    await attack(webSocket, open)
    await closed
    await again
    const peakMiB = await client.peakMemoryMiB()
    console.log(`hostile gateway, ${name}: ${peakMiB.toFixed(0)} MiB at most`)
    for (const program of programs) program.destroy()
    expect(peakMiB).toBeLessThan(LIMIT_MIB)
  })
})
