// 200 downloads of 8 MiB at once through one tunnel, one of them never read: the 199 finish whole, and the gateway's
// memory, with the image's settings for it, stays under 250 MiB.
import { createHash } from 'node:crypto'
import net from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bytesHash, startOrigin, type Origin } from '../support/origin.ts'
import { startProcessStack, type ProcessStack } from '../support/process-stack.ts'
import { encodeAsk } from '../support/through.ts'
import { asInTheImage } from './as-in-the-image.ts'

const COUNT = 200
const BYTES = 8 * 1024 * 1024
const LIMIT_MIB = 250

let stack: ProcessStack
let origin: Origin
beforeAll(async () => {
  stack = await startProcessStack(await asInTheImage())
  origin = await startOrigin()
})
afterAll(async () => {
  await origin.close()
  await stack[Symbol.asyncDispose]()
})

/** Asks for the file through the tunnel, by SOCKS5, without waiting for answers. */
function ask(): net.Socket {
  const socket = net.connect(stack.ports.client, '127.0.0.1')
  socket.write(Buffer.concat([Buffer.from([5, 1, 0]), encodeAsk('socks5', '127.0.0.1', origin.port)]))
  socket.write(`GET /bytes/${BYTES} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  return socket
}

/** The hash of the body: everything behind SOCKS' answers and the HTTP head. */
function readHash(socket: net.Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256')
    let head: Buffer | undefined = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      if (head === undefined) return void hash.update(chunk)
      head = Buffer.concat([head, chunk])
      const end = head.indexOf('\r\n\r\n')
      if (end === -1) return
      hash.update(head.subarray(end + 4))
      head = undefined
    })
    socket.on('error', reject)
    socket.on('end', () => resolve(hash.digest('hex')))
  })
}

describe('200 downloads through one tunnel', () => {
  it('one of which is never read: 199 finish, in bounded memory', async () => {
    const unread = ask()
    unread.on('error', () => {})
    unread.pause()
    const startedMs = performance.now()
    const hashes = await Promise.all(Array.from({ length: COUNT - 1 }, () => readHash(ask())))
    const seconds = (performance.now() - startedMs) / 1000
    expect(new Set(hashes)).toEqual(new Set([bytesHash(BYTES)]))
    expect(hashes.length).toBe(COUNT - 1)
    const [gateway, client] = [await stack.gateway.peakMemoryMiB(), await stack.client.peakMemoryMiB()]
    console.log(
      `199 downloads of 8 MiB in ${seconds.toFixed(1)} s; most memory: gateway ${Math.round(gateway)} MiB, tunnel client ${Math.round(client)} MiB`,
    )
    expect(unread.bytesRead).toBeLessThan(BYTES)
    expect(gateway).toBeLessThan(LIMIT_MIB)
    // The one that nobody read is still whole: its turn comes now.
    const last = readHash(unread)
    unread.resume()
    expect(await last).toBe(bytesHash(BYTES))
  })
})
