// A client with a good certificate that breaks the tunnel's rules over a real connection: it is told why, its session ends, and
// the gateway serves the next one. The large versions, with memory, are in test/long/hostile.test.ts.
import net, { type AddressInfo } from 'node:net'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeFrame } from '../../src/protocol/mux/frame.ts'
import { eventually } from '../support/eventually.ts'
import { sum } from '../support/metrics.ts'
import { frameHead, RawTunnel } from '../support/raw-tunnel.ts'
import { startStack, type Stack } from '../support/stacks.ts'

let stack: Stack
/** Accepts, and reads nothing. */
let deaf: net.Server
let port: number
const accepted = new Set<net.Socket>()

beforeAll(async () => {
  stack = await startStack({ limits: { streamsPerTunnel: 16 } })
  deaf = net.createServer({ pauseOnConnect: true }, (socket) => {
    accepted.add(socket)
    socket.on('close', () => accepted.delete(socket)).on('error', () => {})
  })
  await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve))
  port = (deaf.address() as AddressInfo).port
})
afterAll(async () => {
  for (const socket of accepted) socket.destroy()
  await new Promise((resolve) => deaf.close(resolve))
  await stack[Symbol.asyncDispose]()
})

async function connect(): Promise<RawTunnel> {
  const [certificate, key] = await Promise.all(
    ['client.crt', 'client.key'].map((name) => readFile(stack.pki.file(name), 'utf8')),
  )
  return RawTunnel.connect({
    port: stack.ports.tunnel,
    certificate: certificate ?? '',
    key: key ?? '',
    authority: stack.authority,
  })
}

const count = async (name: string, labels: Record<string, string> = {}): Promise<number> =>
  sum(await stack.gatewayMetrics(), `sightline_${name}`, labels)

/** The gateway still serves: a new session, a new stream. */
async function stillServes(): Promise<void> {
  using tunnel = await connect()
  tunnel.open(1, port)
  await eventually(() => expect(tunnel.heard).toEqual(['opened 1']))
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const data = (stream: number, bytes: number): Buffer =>
  encodeFrame({ type: 'data', stream, payload: Buffer.alloc(bytes) })

describe('a frame that cannot be', () => {
  it.each<[string, (tunnel: RawTunnel) => void, code: string]>([
    ['unknown type', ({ webSocket }) => webSocket.send(hex('09 00000001')), 'frame-unknown'],
    ['reserved type', ({ webSocket }) => webSocket.send(hex('00 00000000 00')), 'frame-unknown'],
    ['half a header', ({ webSocket }) => webSocket.send(hex('04 0000')), 'frame-malformed'],
    ['a text message', ({ webSocket }) => webSocket.send('hello'), 'frame-malformed'],
    [
      'OPENED, from a client',
      ({ webSocket }) => webSocket.send(hex('02 00000001 01 7f000001 0050')),
      'stream-id-invalid',
    ],
    ['DATA for no stream', ({ webSocket }) => webSocket.send(data(7, 1)), 'stream-id-invalid'],
    ['OPEN with an even id', (tunnel) => tunnel.open(2, port), 'stream-id-invalid'],
    ['OPEN twice', (tunnel) => [1, 1].forEach((id) => tunnel.open(id, port)), 'stream-id-invalid'],
    ['OPEN going back', (tunnel) => [5, 3].forEach((id) => tunnel.open(id, port)), 'stream-id-invalid'],
    [
      'DATA past the credit',
      (tunnel) => {
        tunnel.open(1, port)
        for (let sent = 0; sent < 5; sent += 1) tunnel.webSocket.send(data(1, 64 * 1024))
      },
      'credit-exceeded',
    ],
    [
      'DATA after FIN',
      (tunnel) => {
        tunnel.open(1, port)
        tunnel.say({ type: 'fin', stream: 1 })
        tunnel.webSocket.send(data(1, 1))
      },
      'frame-malformed',
    ],
    [
      'a datagram without an address',
      (tunnel) => {
        tunnel.open(1, port, 'udp')
        tunnel.webSocket.send(hex('04 00000001 00'))
      },
      'address-type-unsupported',
    ],
  ])('%s: GOAWAY says why, and 1002', async (_name, attack, code) => {
    using tunnel = await connect()
    attack(tunnel)
    expect(await tunnel.closed).toBe(1002)
    expect(tunnel.heard.at(-1)).toBe(`goaway ${code}`)
    await stillServes()
  })

  it.each([
    ['4 GiB', 2n ** 32n],
    ['all ones', 2n ** 64n - 1n],
    ['a byte more than a frame may have', 65_542n],
  ])('a WebSocket message of %s is refused by its length', async (_name, length) => {
    using tunnel = await connect()
    const code = length > 2n ** 53n ? 'frame-malformed' : 'frame-too-large'
    const before = await count('tunnel_sessions_closed_total', { code })
    tunnel.socket.write(frameHead(0x82, length))
    expect(await tunnel.closed).toBe(1009)
    expect(await count('tunnel_sessions_closed_total', { code })).toBe(before + 1)
    await stillServes()
  })

  it('a message in more fragments than there is sense in', async () => {
    using tunnel = await connect()
    tunnel.socket.write(Buffer.concat([frameHead(0x02, 0), ...Array(70).fill(frameHead(0x00, 0))]))
    expect(await tunnel.closed).toBe(1008)
    await stillServes()
  })
})

describe('a flood', () => {
  it('of OPENs is refused past the limit, each with a reference, and counted', async () => {
    using tunnel = await connect()
    const before = await count('refusals_total', { code: 'too-many-streams' })
    for (let id = 1; id < 401; id += 2) tunnel.open(id, port)
    await eventually(() => expect(tunnel.heard.length).toBe(200))
    expect(tunnel.heard.filter((line) => line.startsWith('opened')).length).toBe(16)
    expect(tunnel.heard.filter((line) => line.endsWith('too-many-streams')).length).toBe(184)
    expect((await count('refusals_total', { code: 'too-many-streams' })) - before).toBe(184)
    expect(await count('streams', { mode: 'tunnel' })).toBe(16)
  })

  it('of OPEN and RESET leaves nothing open', async () => {
    using tunnel = await connect()
    let id = 1
    for (; id < 801; id += 2) {
      tunnel.open(id, port)
      tunnel.say({ type: 'reset', stream: id, error: 40 })
    }
    // Until what was begun for those is over there may be no room.
    await eventually(() => {
      tunnel.open(id, port)
      id += 2
      expect(tunnel.heard.at(-1)).toMatch(/^opened/)
    })
    expect(tunnel.heard).toContainEqual(expect.stringMatching(/^refused \d+ too-many-streams$/))
    tunnel.webSocket.terminate()
    await eventually(async () => expect(await count('streams', { mode: 'tunnel' })).toBe(0))
    // A paused socket does not see its end.
    await eventually(() => {
      for (const socket of accepted) socket.resume()
      expect(accepted.size).toBe(0)
    })
  })

  it('of OPEN and RESET that goes on ends the session: rate-limited', async () => {
    using tunnel = await connect()
    for (let at = 0; at < 200_000 && tunnel.webSocket.readyState === tunnel.webSocket.OPEN; at += 1) {
      tunnel.open(2 * at + 1, port)
      tunnel.say({ type: 'reset', stream: 2 * at + 1, error: 40 })
      // As many as have room, turn by turn.
      if (at % 8 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await tunnel.closed).toBe(1002)
    expect(tunnel.heard.at(-1)).toBe('goaway rate-limited')
    await stillServes()
  })

  it('of pings is answered by few pongs, and the session goes on', async () => {
    using tunnel = await connect()
    for (let sent = 0; sent < 5_000; sent += 1) tunnel.webSocket.ping()
    tunnel.open(1, port)
    await eventually(() => expect(tunnel.heard).toEqual(['opened 1']))
    await eventually(() => expect(tunnel.pongs).toBeGreaterThan(0))
    expect(tunnel.pongs).toBeLessThan(2_500)
  })
})
