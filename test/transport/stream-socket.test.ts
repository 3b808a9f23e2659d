// A mux stream as a Duplex: back-pressure both ways, half-close both ways, and every way to break off becomes a RESET
// with its code. Frames are moved by hand (test/support/mux-pair.ts), so that nothing can be a matter of luck.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { encodeFrame } from '../../src/protocol/mux/frame.ts'
import { StreamSocket, type StreamAnswer } from '../../src/transport/stream-socket.ts'
import { BOUND, Pair, SITE } from '../support/mux-pair.ts'

const TURNS = 50
const NO_EVENTS = { opened() {}, refused() {}, data() {}, fin() {}, reset() {} }

// Time stands still: no window grows here.
beforeEach(() => void vi.spyOn(performance, 'now').mockReturnValue(0))
afterEach(() => vi.restoreAllMocks())

/** Lets frames and streams run until both have nothing left to do. */
async function run(pair: Pair): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) {
    pair.settle()
    await setImmediate()
  }
}

/** An open stream whose two ends are sockets. */
async function connect(pair = new Pair()): Promise<{ pair: Pair; near: StreamSocket; far: StreamSocket }> {
  const ends = pair.connect()
  const near = new StreamSocket(ends.near.stream)
  const far = new StreamSocket(ends.far.stream)
  for (const socket of [near, far]) socket.on('error', () => {})
  pair.takeLog()
  await setImmediate()
  return { pair, near, far }
}

function errorOf(socket: StreamSocket): Promise<string> {
  return once(socket, 'error').then(([error]) => (error instanceof GatewayError ? error.code : String(error)))
}

describe('bytes', () => {
  it('go both ways', async () => {
    const { pair, near, far } = await connect()
    near.write('question')
    far.write('answer')
    await run(pair)
    expect([String(near.read()), String(far.read())]).toEqual(['answer', 'question'])
  })
})

describe('memory', () => {
  it('that still waits to be read is not used again when what was taken is free', async () => {
    const { pair, near, far } = await connect()
    const body = randomBytes(30_000)
    near.write(body)
    await run(pair)
    const first = Buffer.from(far.read(1_000) ?? [])
    expect(far.readableLength).toBe(29_000)
    far.recycle()
    const other = await connect(pair)
    other.near.write(randomBytes(20_000))
    await run(pair)
    expect(other.far.readableLength).toBe(20_000)
    expect(Buffer.concat([first, far.read() ?? Buffer.alloc(0)]).equals(body)).toBe(true)
  })
})

describe('back-pressure', () => {
  it('a chunk is done when it has gone into frames, not before', async () => {
    const { pair, near } = await connect()
    let done = 0
    near.write(Buffer.alloc(30_000), () => (done += 1))
    await setImmediate()
    expect(done).toBe(0)
    pair.step('client')
    await setImmediate()
    expect(done).toBe(0)
    pair.step('client')
    await setImmediate()
    expect(done).toBe(1)
  })

  it('an end that is not read stops the other at 64 KiB, and goes on when it is', async () => {
    const { pair, near, far } = await connect()
    let done = 0
    for (let count = 0; count < 4; count += 1) near.write(Buffer.alloc(32 * 1024), () => (done += 1))
    await run(pair)
    expect([done, far.readableLength]).toEqual([2, 64 * 1024])
    expect(near.writableNeedDrain).toBe(true)
    let received = 0
    far.on('data', (chunk: Buffer) => (received += chunk.length))
    await run(pair)
    expect([done, received]).toEqual([4, 128 * 1024])
  })

  it('credit is granted for what was read, not for what has come', async () => {
    const { pair, near, far } = await connect()
    near.write(Buffer.alloc(64 * 1024))
    await run(pair)
    expect(pair.takeLog().filter((line) => line.includes('credit'))).toEqual([])
    far.read(40 * 1024)
    await run(pair)
    expect(pair.takeLog()).toEqual([`< credit 1 ${(40 + 64) * 1024}`])
  })

  it('keeps no more than a window, however long the other writes', async () => {
    const { pair, near, far } = await connect()
    for (let count = 0; count < 64; count += 1) near.write(Buffer.alloc(64 * 1024))
    await run(pair)
    expect(far.readableLength).toBeLessThanOrEqual(64 * 1024)
  })
})

describe('half-close', () => {
  it('of one end leaves the other direction open', async () => {
    const { pair, near, far } = await connect()
    far.resume()
    near.end('question')
    await once(Object.assign(far, { pumped: run(pair) }), 'end')
    far.write('answer')
    await run(pair)
    expect(String(near.read())).toBe('answer')
    expect([near.destroyed, far.destroyed]).toEqual([false, false])
    near.resume()
    far.end()
    await run(pair)
    expect(pair.takeLog()).toEqual(['> data 1 (8)', '> fin 1', '< data 1 (6)', '< fin 1'])
    expect([near.destroyed, far.destroyed]).toEqual([true, true])
    expect([near.errored, far.errored]).toEqual([null, null])
  })

  it('that waits behind others is still a FIN: a stream that is done is not taken for one given up', async () => {
    const { pair, near, far } = await connect()
    near.resume()
    far.end()
    await run(pair)
    near.end('last words')
    // The connection is busy: for many turns nothing of it is sent.
    for (let turn = 0; turn < TURNS; turn += 1) await setImmediate()
    pair.step('client')
    for (let turn = 0; turn < TURNS; turn += 1) await setImmediate()
    pair.step('client')
    await run(pair)
    expect(pair.takeLog()).toEqual(['< fin 1', '> data 1 (10)', '> fin 1'])
    expect(String(far.read())).toBe('last words')
    expect(far.errored).toBe(null)
  })

  it('ends are both closed without a further frame', async () => {
    const { pair, near, far } = await connect()
    near.resume()
    far.resume()
    near.end()
    far.end()
    await run(pair)
    expect(pair.takeLog().toSorted()).toEqual(['< fin 1', '> fin 1'])
    expect([pair.client.streamCount, pair.gateway.streamCount]).toEqual([0, 0])
  })
})

describe('breaking off', () => {
  it('destroy is a RESET that says cancelled', async () => {
    const { pair, near, far } = await connect()
    const heard = errorOf(far)
    near.destroy()
    await run(pair)
    expect(pair.takeLog()).toEqual(['> reset 1 #40'])
    expect(await heard).toBe('stream-cancelled')
  })

  it.each([
    ['a coded error', new GatewayError('idle-timeout'), 'idle-timeout'],
    ['ECONNRESET', Object.assign(new Error('read'), { code: 'ECONNRESET' }), 'connection-reset'],
    ['ETIMEDOUT', Object.assign(new Error('read'), { code: 'ETIMEDOUT' }), 'dial-timeout'],
    ['any other error', new Error('what is this'), 'connection-reset'],
  ])('destroy with %s is a RESET with its code', async (_name, error, code) => {
    const { pair, near, far } = await connect()
    const heard = errorOf(far)
    near.destroy(error)
    await run(pair)
    expect(await heard).toBe(code)
  })

  it('a RESET in the middle of a transfer is an error, not an end', async () => {
    const { pair, near, far } = await connect()
    let ended = false
    near.on('end', () => (ended = true)).resume()
    const heard = errorOf(near)
    far.write('half a fi')
    await run(pair)
    far.destroy(new GatewayError('connection-reset'))
    await run(pair)
    expect(await heard).toBe('connection-reset')
    expect(ended).toBe(false)
  })

  it('after half of it has ended is told too', async () => {
    const { pair, near, far } = await connect()
    far.resume()
    near.end()
    await run(pair)
    near.destroy()
    await run(pair)
    expect(pair.takeLog()).toEqual(['> fin 1', '> reset 1 #40'])
    expect(far.destroyed).toBe(true)
  })

  it('by the end of the session is an error with its code', async () => {
    const { pair, near } = await connect()
    const heard = errorOf(near)
    pair.client.end('tunnel-dead')
    expect(await heard).toBe('tunnel-dead')
  })

  it('drops what has not been sent', async () => {
    const { pair, near, far } = await connect()
    near.write('never sent')
    near.destroy()
    await run(pair)
    expect(pair.takeLog()).toEqual(['> reset 1 #40'])
    expect(far.readableLength).toBe(0)
  })
})

describe('the answer to OPEN', () => {
  /** A stream that waits for its answer. */
  function ask(): { pair: Pair; socket: StreamSocket; said: string[]; errors: string[] } {
    const pair = new Pair({ autoAccept: false })
    const said: string[] = []
    const errors: string[] = []
    const answer: StreamAnswer = {
      opened: ({ address, port }) => void said.push(`opened ${address}:${port}`),
      refused: ({ code, reference, side }) => void said.push(`refused ${code} ${reference} by ${side}`),
    }
    const socket = new StreamSocket(pair.client.open('tcp', SITE, NO_EVENTS), answer)
    socket.on('error', (error) => errors.push(error.message))
    pair.settle()
    return { pair, socket, said, errors }
  }

  it('opened', async () => {
    const { pair, said, socket } = ask()
    pair.gateway.accept(pair.accepted[0]!.stream, BOUND)
    await run(pair)
    expect(said).toEqual(['opened 192.0.2.7:4711'])
    expect(socket.destroyed).toBe(false)
  })

  it("refused, with the gateway's reference; the socket is gone and throws nothing", async () => {
    const { pair, said, socket, errors } = ask()
    pair.gateway.refuse(pair.accepted[0]!.stream, 'name-not-found', 'a1b2c3')
    await run(pair)
    expect(said).toEqual(['refused name-not-found a1b2c3 by upstream'])
    expect([socket.destroyed, errors]).toEqual([true, []])
    expect(pair.client.hasFrames).toBe(false)
  })

  it('the session ended before it came: refused with why', async () => {
    const { pair, said, errors } = ask()
    pair.client.end('connection-reset')
    await setImmediate()
    expect([said, errors]).toEqual([['refused connection-reset undefined by upstream'], []])
  })
})

describe('small pieces that wait', () => {
  it('are kept together, in order, and count against the window to the byte', async () => {
    const { pair, near, far } = await connect()
    const sent = Buffer.from(Array.from({ length: 30_000 }, (_, index) => index % 251))
    // One DATA for each byte, as a hostile peer would send them; then some that are large enough to stand alone.
    for (const byte of sent) {
      pair.deliver('client', encodeFrame({ type: 'data', stream: 1, payload: Buffer.from([byte]) }))
    }
    const large = Buffer.alloc(9_000, 'x')
    pair.deliver('client', encodeFrame({ type: 'data', stream: 1, payload: large }))
    pair.deliver('client', encodeFrame({ type: 'data', stream: 1, payload: Buffer.from('end') }))
    pair.deliver('client', encodeFrame({ type: 'fin', stream: 1 }))
    const pieces: Buffer[] = []
    far.on('data', (piece: Buffer) => pieces.push(piece))
    await once(far, 'end')
    expect(Buffer.concat(pieces).equals(Buffer.concat([sent, large, Buffer.from('end')]))).toBe(true)
    expect(pieces.length).toBeLessThan(10)
    expect(near.destroyed).toBe(false)
  })

  it('grant nothing before they are read, and everything after', async () => {
    const { pair, far } = await connect()
    for (let sent = 0; sent < 40_000; sent += 1) {
      pair.deliver('client', encodeFrame({ type: 'data', stream: 1, payload: Buffer.from('x') }))
    }
    pair.takeLog()
    pair.settle()
    expect(pair.takeLog()).toEqual([])
    far.resume()
    await run(pair)
    const granted = pair.takeLog().map((line) => Number(/^< credit 1 (\d+)$/.exec(line)?.[1]))
    expect(granted.at(-1)).toBeGreaterThan(65_536 + 32_000)
    expect(granted.at(-1)).toBeLessThanOrEqual(65_536 + 40_000)
  })
})
