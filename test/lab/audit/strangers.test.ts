// A probe on a public host: whoever finds its ports gets no answer, holds no connection for long, and keeps nobody else out for
// ever. Rule: what ends is waited for; that a limit was needed is shown by what stays open without it.
import net from 'node:net'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { startProbe, type Probe } from '../../../src/lab/audit/probe.ts'
import { startNameServer } from '../../../src/lab/name-server.ts'

let probe: Probe | undefined
afterEach(() => probe?.close())

async function start(limits: { connections: number; idleMs: number; lifeMs: number }): Promise<Probe> {
  const names = { zone: undefined, port: 0, address: '127.0.0.1' }
  const ports = { http: 0, https: 0, echo: 0 }
  probe = await startProbe({ listen: '127.0.0.1', host: 'localhost', ports, names, limits })
  return probe
}

async function connect(port: number): Promise<net.Socket> {
  const socket = net.connect({ host: '127.0.0.1', port })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

describe('a probe that strangers connect to', () => {
  it.each(['http', 'https'] as const)('ends one that sends a byte now and then, on %s', async (scheme) => {
    const { address } = await start({ connections: 8, idleMs: 60_000, lifeMs: 300 })
    const socket = await connect(address[scheme])
    socket.write(scheme === 'http' ? 'GET / HTTP/1.1\r\nX: ' : '\u0016\u0003\u0001\u0002')
    const drip = setInterval(() => socket.write(scheme === 'http' ? 'x' : '\u0001'), 20)
    socket.resume()
    await closed(socket)
    clearInterval(drip)
    expect(socket.bytesRead).toBe(0)
  })

  it('turns those away that are too many, and serves again when there are fewer', async () => {
    const { address } = await start({ connections: 2, idleMs: 60_000, lifeMs: 60_000 })
    const [first, second] = [await connect(address.http), await connect(address.https)]
    const third = await connect(address.http)
    third.resume()
    await closed(third)
    expect([first.closed, second.closed]).toEqual([false, false])
    second.destroy()
    await expect.poll(() => answer(address.http), { timeout: 20_000 }).toMatch(/^HTTP\/1\.1 404 /)
    first.destroy()
  })

  it('ends its connections when it is closed, those of its name server too', async () => {
    const own = await start({ connections: 8, idleMs: 60_000, lifeMs: 60_000 })
    probe = undefined
    const { address, dns = 0 } = own
    const open = await Promise.all([connect(address.http), connect(address.https), connect(dns)])
    // The first was accepted, not only queued by the kernel.
    expect(await answer(address.http)).toMatch(/^HTTP\/1\.1 404 /)
    const ends = open.map((socket) => closed(socket.resume()))
    own.close()
    await Promise.all(ends)
    expect(open.every((socket) => socket.closed)).toBe(true)
  })
})

describe('a name server that strangers connect to', () => {
  it('has 64 of them at most', async () => {
    const server = await startNameServer('127.0.0.1', () => undefined)
    const { port } = server.address
    const many = await Promise.all(Array.from({ length: 70 }, () => connect(port)))
    let ended = 0
    const sixEnded = Promise.withResolvers<void>()
    for (const socket of many)
      socket.resume().on('close', () => {
        ended += 1
        if (ended === 6) sixEnded.resolve()
      })
    await sixEnded.promise
    expect(many.filter((socket) => !socket.closed)).toHaveLength(64)
    server.close()
  })
})

function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on('close', () => resolve())
  })
}

async function answer(port: number): Promise<string> {
  const socket = await connect(port)
  const ended = closed(socket)
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
  await ended
  return text
}
