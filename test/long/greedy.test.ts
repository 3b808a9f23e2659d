// Slow and greedy peers in full: 2,000 that send a byte each 5 s, 2,000 that ask for much and read nothing, 200 kB heads,
// and a flood of handshakes that stop half-way, all at once, against a gateway that is a process of its own. A normal
// client's requests must keep succeeding, its p99 under 5 times its idle value; memory stays under 400 MiB and a minute
// later is back within 30 MiB of its start. Run by hand: npx vitest run --config test/long/vitest.config.ts greedy
import net from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { serve, type SightlineProcess } from '../support/gateway-process.ts'
import { startOrigin } from '../support/origin.ts'
import { everyInbound, LOOPBACK_EGRESS } from '../support/stacks.ts'
import { tempDir } from '../support/temp-dir.ts'
import { connectHead } from '../support/through.ts'
import { Wire } from '../support/wire.ts'

const PEERS = 2_000
const REQUESTS = 400
const DRIP_MS = 5_000
const ATTACK_MS = 30_000
const PEAK_MIB = 400
const LEFT_MIB = 30

/** A peer whose answers nobody looks at, except where it is told not to read them. */
function peer(port: number, first: string | Uint8Array, reads = true): net.Socket {
  const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: false })
  socket.on('error', () => {})
  socket.write(first)
  if (reads) socket.resume()
  else socket.pause()
  return socket
}

/** One whole request through CONNECT; gives its milliseconds. */
async function request(gateway: SightlineProcess, origin: number): Promise<number> {
  const startedMs = performance.now()
  using client = await Wire.connect(gateway.port('http'))
  client.send(connectHead('127.0.0.1', origin))
  await client.untilText('HTTP/1.1 200 ')
  client.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  await client.untilText('hello')
  return performance.now() - startedMs
}

async function p99(gateway: SightlineProcess, origin: number, count: number): Promise<number> {
  const all: number[] = []
  for (let index = 0; index < count; index += 1) {
    all.push(await request(gateway, origin))
    await wait(10)
  }
  return all.toSorted((one, other) => one - other)[Math.floor(count * 0.99)] ?? Number.NaN
}

it('leave a normal client its requests, and the memory as it was', async () => {
  await using directory = await tempDir()
  await ensureDevelopmentPki(directory.path)
  await using gateway = await serve(directory.file('gateway.json'), {
    inbounds: everyInbound(directory),
    egress: LOOPBACK_EGRESS,
    log: { level: 'silent' },
  })
  const origin = await startOrigin()
  const peers = new Set<net.Socket>()
  const add = (socket: net.Socket): void => {
    peers.add(socket)
    socket.on('close', () => peers.delete(socket))
  }
  const attack = { goesOn: true }
  const timers: NodeJS.Timeout[] = []
  try {
    await p99(gateway, origin.port, REQUESTS)
    const startMiB = await gateway.memoryMiB()
    const idleMs = await p99(gateway, origin.port, REQUESTS)

    const dripping = new Set<net.Socket>()
    const drip = (): void => {
      for (const socket of dripping) if (socket.writable) socket.write('x')
      // Those that were sent away come back: the attack goes on.
      while (attack.goesOn && dripping.size < PEERS) {
        const socket = peer(gateway.port('http'), 'GET http://127.0.0.1/ HTTP/1.1\r\nX: ')
        dripping.add(socket)
        socket.on('close', () => dripping.delete(socket))
        add(socket)
      }
    }
    const flood = (): void => {
      for (let index = 0; index < 20; index += 1) {
        add(peer(gateway.port(index % 2 === 0 ? 'tunnel' : 'https'), Buffer.from('160301020001', 'hex')))
      }
      for (let index = 0; index < 2; index += 1) {
        add(peer(gateway.port('http'), `GET http://127.0.0.1/ HTTP/1.1\r\nX: ${'y'.repeat(200_000)}`))
      }
    }
    drip()
    for (let index = 0; index < PEERS; index += 1) {
      const much = `GET http://127.0.0.1:${origin.port}/bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n`
      add(peer(gateway.port('http'), much, false))
      if (index % 100 === 0) await wait(20)
    }
    timers.push(setInterval(drip, DRIP_MS), setInterval(flood, 100))
    await wait(5_000)
    const attackedMs = await p99(gateway, origin.port, REQUESTS)
    await wait(Math.max(0, ATTACK_MS - REQUESTS * 15))
    attack.goesOn = false
    for (const timer of timers) clearInterval(timer)
    const peakMiB = await gateway.peakMemoryMiB()
    for (const socket of peers) socket.destroy()
    await wait(60_000)
    const leftMiB = await gateway.memoryMiB()
    console.info(
      `p99 idle ${idleMs.toFixed(1)} ms, attacked ${attackedMs.toFixed(1)} ms; ` +
        `memory at first ${startMiB.toFixed(0)} MiB, peak ${peakMiB.toFixed(0)} MiB, a minute later ${leftMiB.toFixed(0)} MiB`,
    )
    expect(attackedMs).toBeLessThan(5 * idleMs)
    expect(peakMiB).toBeLessThan(PEAK_MIB)
    expect(leftMiB - startMiB).toBeLessThan(LEFT_MIB)
  } finally {
    attack.goesOn = false
    for (const timer of timers) clearInterval(timer)
    for (const socket of peers) socket.destroy()
    await origin.close()
  }
}, 300_000)
