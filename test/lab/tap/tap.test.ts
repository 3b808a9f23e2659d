// A tap is not there: bytes, ends and resets pass both ways as they came, the far side sees the near one's address, and
// the recorder has every byte of it.
import { createHash, randomBytes } from 'node:crypto'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { Recorder, streamBytes, type CapturedConnection } from '../../../src/lab/capture.ts'
import { Tap } from '../../../src/lab/tap.ts'
import { startRawOrigin, Wire, type RawOrigin } from '../../support/wire.ts'

const MIB = 1024 * 1024
const CLIENT = '127.44.55.66'
const ORIGIN = '127.77.88.99'

interface Tapped extends AsyncDisposable {
  readonly tap: Tap
  readonly recorder: Recorder
  readonly origin: RawOrigin
  /** A connection through the tap from CLIENT, and its other end. */
  connect(): Promise<{ near: Wire; far: Wire }>
}

async function startTapped(): Promise<Tapped> {
  const origin = await startRawOrigin(() => {}, ORIGIN)
  const recorder = new Recorder()
  const tap = await Tap.start({
    listen: { address: ORIGIN, port: 0 },
    onward: { address: ORIGIN, port: origin.port },
    recorder: () => recorder,
  })
  const wires: Wire[] = []
  return {
    tap,
    recorder,
    origin,
    connect: async () => {
      const socket = net.connect({
        host: tap.address.address,
        port: tap.address.port,
        localAddress: CLIENT,
        allowHalfOpen: true,
      })
      const near = new Wire(socket)
      wires.push(near)
      return { near, far: await origin.wire(wires.length - 1) }
    },
    [Symbol.asyncDispose]: async () => {
      tap.close()
      for (const wire of wires) wire.socket.destroy()
      await origin[Symbol.asyncDispose]()
    },
  }
}

function only(connections: readonly CapturedConnection[]): CapturedConnection {
  expect(connections).toHaveLength(1)
  return connections[0] as CapturedConnection
}

const never = new AbortController().signal

describe('a tap', () => {
  it('passes 1 MiB each way unchanged, and records exactly that', async () => {
    await using tapped = await startTapped()
    const { near, far } = await tapped.connect()
    const up = randomBytes(MIB)
    const down = randomBytes(MIB + 1)
    near.send(up)
    far.send(down)
    expect((await far.untilBytes(up.length)).equals(up)).toBe(true)
    expect((await near.untilBytes(down.length)).equals(down)).toBe(true)
    near.socket.end()
    far.socket.end()
    expect(await tapped.tap.settled(never)).toBe(true)
    const connection = only(tapped.recorder.take())
    expect(streamBytes(connection, 'up').equals(up)).toBe(true)
    expect(streamBytes(connection, 'down').equals(down)).toBe(true)
  })

  it('dials onward from the address of whoever connected, and notes what each kernel says', async () => {
    await using tapped = await startTapped()
    const { near, far } = await tapped.connect()
    expect(far.socket.remoteAddress).toBe(CLIENT)
    near.send('x')
    await far.untilBytes(1)
    const { from, to, seenAs } = only(tapped.recorder.take())
    expect(from).toEqual({ address: CLIENT, port: near.socket.localPort })
    expect(to).toEqual(tapped.tap.address)
    expect(seenAs).toEqual({ address: CLIENT, port: far.socket.remotePort })
  })

  it('passes an end in one direction and goes on in the other', async () => {
    await using tapped = await startTapped()
    const { near, far } = await tapped.connect()
    near.socket.end('question')
    expect(await far.ended()).toBe('end')
    expect(far.text).toBe('question')
    far.socket.end('answer after the end')
    expect(await near.ended()).toBe('end')
    expect(near.text).toBe('answer after the end')
  })

  it('passes the far side’s end first, too', async () => {
    await using tapped = await startTapped()
    const { near, far } = await tapped.connect()
    far.socket.end('greeting')
    expect(await near.ended()).toBe('end')
    near.socket.end('late')
    expect(await far.ended()).toBe('end')
    expect(far.text).toBe('late')
  })

  it('passes a reset either way as a reset', async () => {
    await using tapped = await startTapped()
    const first = await tapped.connect()
    first.near.send('x')
    await first.far.untilBytes(1)
    first.near.reset()
    expect(await first.far.ended()).toBe('reset')
    const second = await tapped.connect()
    second.far.send('y')
    await second.near.untilBytes(1)
    second.far.reset()
    expect(await second.near.ended()).toBe('reset')
    expect(await tapped.tap.settled(never)).toBe(true)
  })

  it('resets whoever connects while nobody listens behind it', async () => {
    await using tapped = await startTapped()
    await tapped.origin[Symbol.asyncDispose]()
    const { address, port } = tapped.tap.address
    const near = new Wire(net.connect({ host: address, port, localAddress: CLIENT }))
    expect(await near.ended()).toBe('reset')
    expect(only(tapped.recorder.take())).toMatchObject({ frames: [], seenAs: undefined })
  })

  it('holds back a sender whose reader has stopped', async () => {
    await using tapped = await startTapped()
    const { near, far } = await tapped.connect()
    near.send('x')
    await far.untilBytes(1)
    const { frames } = only(tapped.recorder.take())
    const recorded = (): number => frames.reduce((sum, { bytes }) => sum + bytes.length, 0)
    far.socket.pause()
    far.socket.removeAllListeners('data')
    const sent = randomBytes(32 * MIB)
    near.send(sent)
    // The kernel's buffers and the tap's are full once nothing moves from one look to the next.
    let before = -1
    for (let looks = 0; looks < 1000 && recorded() !== before; looks += 1) {
      before = recorded()
      for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(recorded()).toBeLessThan(sent.length)
    const digest = createHash('sha256')
    far.socket.on('data', (chunk: Buffer) => digest.update(chunk))
    near.socket.end()
    far.socket.resume()
    await far.ended()
    expect(digest.digest('hex')).toBe(createHash('sha256').update(sent).digest('hex'))
  })
})

describe('settled', () => {
  it('is true at once where nothing is open, and when the last connection has ended', async () => {
    await using tapped = await startTapped()
    expect(await tapped.tap.settled(never)).toBe(true)
    const { near, far } = await tapped.connect()
    near.send('x')
    await far.untilBytes(1)
    const settled = tapped.tap.settled(never)
    near.socket.end()
    far.socket.end()
    expect(await settled).toBe(true)
  })

  it('is false at the deadline, and what was still open is reset', async () => {
    await using tapped = await startTapped()
    const { near, far } = await tapped.connect()
    near.send('x')
    await far.untilBytes(1)
    const deadline = new AbortController()
    const settled = tapped.tap.settled(deadline.signal)
    deadline.abort()
    expect(await settled).toBe(false)
    expect(await near.ended()).toBe('reset')
    expect(await far.ended()).toBe('reset')
    expect(await tapped.tap.settled(AbortSignal.abort())).toBe(true)
  })
})

describe('a recorder', () => {
  const client = { address: CLIENT, port: 1 }
  const site = { address: ORIGIN, port: 2 }

  it('numbers frames from 1 over all connections, and places each in its direction’s stream', () => {
    const recorder = new Recorder()
    const one = recorder.connection(client, site)
    const two = recorder.connection(client, site)
    one.record('up', Buffer.from('abc'))
    two.record('up', Buffer.from('de'))
    one.record('down', Buffer.from('fghi'))
    one.record('up', Buffer.from('jk'))
    const [first, second] = recorder.take()
    expect(
      first?.frames.map(({ number, direction, streamOffset, bytes }) => [
        number,
        direction,
        streamOffset,
        bytes.toString(),
      ]),
    ).toEqual([
      [1, 'up', 0, 'abc'],
      [3, 'down', 0, 'fghi'],
      [4, 'up', 3, 'jk'],
    ])
    expect(second?.frames.map(({ number }) => number)).toEqual([2])
    if (first === undefined) throw new Error('two connections were recorded')
    expect(streamBytes(first, 'up').toString()).toBe('abcjk')
  })

  it('begins anew once taken', () => {
    const recorder = new Recorder()
    recorder.connection(client, site).record('up', Buffer.from('a'))
    expect(recorder.take()).toHaveLength(1)
    expect(recorder.take()).toEqual([])
    recorder.connection(client, site).record('up', Buffer.from('b'))
    expect(recorder.take()[0]?.frames).toMatchObject([{ number: 1, streamOffset: 0 }])
  })
})
