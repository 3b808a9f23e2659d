// Sockets that Node made itself, accepted ones and TLS on them, read into memory of ours: all that comes arrives, in order,
// however they are paused, ended or broken off; and where Node's internals are not as they were, they read on as before.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net, { type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import tls, { type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { readInPlace, recycleReads } from '../../src/transport/read-in-place.ts'
import { eventually } from '../support/eventually.ts'
import { makeTestPki, type TestPki } from '../support/pki.ts'

const BYTES = 4 * 1024 * 1024 + 77

interface Pair {
  /** Under test: accepted by a server of Node's. */
  readonly ours: Socket
  readonly peer: Socket
  /** The TCP connection under `peer`. */
  readonly carrier: Socket
}

let pki: TestPki
beforeAll(async () => {
  pki = await makeTestPki()
})

async function tcp(): Promise<Pair> {
  const server = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const { port } = server.address() as net.AddressInfo
  const peer = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  const [ours] = await accepted
  server.close()
  onTestFinished(() => {
    ours.destroy()
    peer.destroy()
  })
  return { ours, peer, carrier: peer }
}

/** TLS on an accepted socket, as the gateway's listeners make it. */
async function overTls(): Promise<Pair> {
  const { ours: accepted, peer: carrier } = await tcp()
  const server = tls.createServer({
    key: pki.server.key,
    cert: pki.server.certificate,
    allowHalfOpen: true,
    minVersion: 'TLSv1.3',
  })
  const secured = once(server, 'secureConnection') as Promise<[TLSSocket]>
  server.emit('connection', accepted)
  const peer = tls.connect({ socket: carrier, ca: pki.authority.certificate, servername: 'localhost' })
  peer.allowHalfOpen = true
  await once(peer, 'secureConnect')
  const [ours] = await secured
  onTestFinished(() => {
    ours.destroy()
    peer.destroy()
  })
  return { ours, peer, carrier }
}

const KINDS = [
  ['an accepted socket', tcp],
  ['TLS on an accepted socket', overTls],
] as const

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Pieces of all sizes, some of them in one turn. */
async function send(to: Socket, body: Buffer): Promise<void> {
  const sizes = [1, 100, 16_384, 70_001, 5, 300_000]
  for (let [at, index] = [0, 0]; at < body.length; index += 1) {
    const end = at + (sizes[index % sizes.length] ?? 1)
    if (!to.write(body.subarray(at, end))) await once(to, 'drain')
    if (index % 3 === 0) await setImmediate()
    at = end
  }
  to.end()
}

describe.each(KINDS)('read in place: %s', (_name, connect) => {
  /** Reads `ours` in place, behind a listener of `data` for what waited before, as a tunnel does it. */
  function read(ours: Socket): {
    readonly hash: () => string
    readonly bytes: () => number
    buffers: Set<unknown>
  } {
    const hash = createHash('sha256')
    const buffers = new Set<unknown>()
    let bytes = 0
    const take = (chunk: Buffer): void => {
      buffers.add(chunk.buffer)
      hash.update(chunk)
      bytes += chunk.length
    }
    ours.on('data', take)
    const isSet = readInPlace(ours, (chunk) => {
      if (ours.readableLength > 0 || ours.readableFlowing !== true) return ours.push(Buffer.from(chunk))
      take(chunk)
      return true
    })
    expect(isSet).toBe(true)
    return { hash: () => hash.copy().digest('hex'), bytes: () => bytes, buffers }
  }

  it('all that is sent arrives, in one buffer, and then the end; the other half stays open', async () => {
    const { ours, peer } = await connect()
    const { hash, bytes, buffers } = read(ours)
    const body = randomBytes(BYTES)
    const end = once(ours, 'end')
    await send(peer, body)
    await end
    expect([bytes(), hash()]).toEqual([BYTES, hashOf(body)])
    // One where Node would make one for each read: it is in effect on this Node.
    expect(buffers.size).toBe(1)
    const answer = once(peer, 'data') as Promise<[Buffer]>
    ours.end('answer')
    expect(String((await answer)[0])).toBe('answer')
  })

  it('nothing is lost where it is paused and goes on, again and again', async () => {
    const { ours, peer } = await connect()
    const { hash, bytes } = read(ours)
    const body = randomBytes(BYTES)
    void send(peer, body)
    for (let turn = 0; !ours.readableEnded; turn += 1) {
      if (turn % 2 === 0) ours.pause()
      else ours.resume()
      await setImmediate()
      if (turn % 7 === 0) await setImmediate()
    }
    expect([bytes(), hash()]).toEqual([BYTES, hashOf(body)])
  })

  it('nothing moves while it is paused', async () => {
    const { ours, peer } = await connect()
    const { bytes } = read(ours)
    ours.pause()
    for (let count = 0; count < 32; count += 1) peer.write(Buffer.alloc(1024 * 1024))
    await eventually(async () => {
      const { bytesRead } = ours
      for (let turn = 0; turn < 20; turn += 1) await setImmediate()
      expect(ours.bytesRead).toBe(bytesRead)
    })
    expect(bytes()).toBe(0)
    expect(ours.readableLength).toBeLessThanOrEqual(256 * 1024)
    ours.resume()
    await eventually(() => expect(bytes()).toBe(32 * 1024 * 1024))
  })

  it('what had come before is not lost, and comes first', async () => {
    const { ours, peer } = await connect()
    peer.write('first, ')
    ours.read(0)
    await eventually(() => expect(ours.readableLength).toBe(7))
    const { hash } = read(ours)
    peer.write('second')
    await eventually(() => expect(hash()).toBe(hashOf(Buffer.from('first, second'))))
  })

  it('no more is read where its taker says so', async () => {
    const { ours, peer } = await connect()
    const taken: string[] = []
    ours.on('data', () => {})
    readInPlace(ours, (chunk) => {
      taken.push(chunk.toString())
      return taken.length > 1
    })
    peer.write('one')
    await eventually(() => expect(taken).toEqual(['one']))
    peer.write('two')
    for (let turn = 0; turn < 50; turn += 1) await setImmediate()
    expect(taken).toEqual(['one'])
    ours.pause()
    ours.resume()
    await eventually(() => expect(taken).toEqual(['one', 'two']))
  })

  it('nothing is taken any more once it was destroyed while it was read', async () => {
    const { ours, peer } = await connect()
    let calls = 0
    ours.on('error', () => {})
    peer.on('error', () => {})
    ours.on('data', () => {})
    readInPlace(ours, () => {
      calls += 1
      ours.destroy()
      return true
    })
    const close = once(ours, 'close')
    peer.write(randomBytes(500_000))
    await close
    for (let turn = 0; turn < 20; turn += 1) await setImmediate()
    expect(calls).toBe(1)
  })

  it('an end without goodbye is told', async () => {
    const { ours, peer, carrier } = await connect()
    read(ours)
    peer.on('error', () => {})
    const error = once(ours, 'error') as Promise<[NodeJS.ErrnoException]>
    peer.write('some')
    await eventually(() => expect(ours.bytesRead).toBeGreaterThan(0))
    carrier.resetAndDestroy()
    expect((await error)[0].code).toBe('ECONNRESET')
  })

  it('recycled: many readers at once each get their own bytes, whoever keeps them for a while', async () => {
    const pairs = await Promise.all(Array.from({ length: 5 }, () => connect()))
    const results = pairs.map(async ({ ours, peer }, number) => {
      const recycler = recycleReads(ours)
      expect(recycler).toBeDefined()
      const body = randomBytes(BYTES)
      const hash = createHash('sha256')
      const buffers = new Set<unknown>()
      let chunks = 0
      let kept: Buffer[] = []
      ours.on('data', (chunk: Buffer) => {
        buffers.add(chunk.buffer)
        chunks += 1
        kept.push(chunk)
        // Some keep none, some keep a few and then say so.
        if (kept.length <= number) return
        for (const one of kept) hash.update(one)
        if (kept.length === 1) recycler?.recycle()
        kept = []
        if (number > 0) {
          ours.pause()
          void setImmediate().then(() => {
            recycler?.recycleKept()
            ours.resume()
          })
        }
      })
      const end = once(ours, 'end')
      void send(peer, body)
      await end
      for (const one of kept) hash.update(one)
      expect(hash.digest('hex')).toBe(hashOf(body))
      expect(chunks).toBeGreaterThan(10)
      if (number === 0) expect(buffers.size).toBeLessThan(chunks / 4)
    })
    await Promise.all(results)
  })
})

describe('TLS read in place', () => {
  it('ends in an error where what comes is no TLS', async () => {
    const { ours, peer, carrier } = await overTls()
    const taken: string[] = []
    ours.on('data', () => {})
    readInPlace(ours, (chunk) => {
      taken.push(chunk.toString())
      return true
    })
    const error = once(ours, 'error') as Promise<[NodeJS.ErrnoException]>
    peer.on('error', () => {})
    peer.write('sound')
    await eventually(() => expect(taken).toEqual(['sound']))
    carrier.write(Buffer.concat([Buffer.from([0x17, 3, 3, 0, 40]), randomBytes(40)]))
    expect((await error)[0].code).toMatch(/^ERR_SSL_/)
    // Node leaves it to whoever listens to destroy it, in place or not.
    for (let turn = 0; turn < 20; turn += 1) await setImmediate()
    expect(taken).toEqual(['sound'])
  })
})

describe('where Node is not as it was', () => {
  it('a socket without a handle is left alone', async () => {
    const socket = new net.Socket()
    onTestFinished(() => void socket.destroy())
    expect(readInPlace(socket, () => true)).toBe(false)
    expect(recycleReads(socket)).toBe(undefined)
  })

  it('so is what is no socket at all', () => {
    const stream = new PassThrough()
    expect(readInPlace(stream as unknown as Socket, () => true)).toBe(false)
  })

  it('and one whose handle has no such method reads on as before', async () => {
    const { ours, peer } = await tcp()
    const handle = Reflect.get(ours, '_handle') as object
    Reflect.set(
      ours,
      '_handle',
      new Proxy(handle, { has: (target, key) => key !== 'useUserBuffer' && Reflect.has(target, key) }),
    )
    const isSet = readInPlace(ours, () => expect.unreachable())
    const recycler = recycleReads(ours)
    Reflect.set(ours, '_handle', handle)
    expect([isSet, recycler]).toEqual([false, undefined])
    const data = once(ours, 'data') as Promise<[Buffer]>
    peer.write('as before')
    expect(String((await data)[0])).toBe('as before')
  })

  it('and one that somebody reads in place already is left to him', async () => {
    const { ours } = await tcp()
    expect(readInPlace(ours, () => true)).toBe(true)
    expect(readInPlace(ours, () => true)).toBe(false)
    expect(recycleReads(ours)).toBe(undefined)
  })
})
