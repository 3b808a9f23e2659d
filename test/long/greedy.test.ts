// Slow and greedy peers in full: 2,000 that send a byte each 5 s, 2,000 that ask for much and read nothing, 200 kB heads,
// and a flood of handshakes that stop half-way, all at once, against a gateway that is a process of its own. A normal
// client's requests must keep succeeding, its p99 under 5 times its idle value; memory stays under 400 MiB and a minute
// later is back within 30 MiB of its start. Run by hand: npx vitest run --config test/long/vitest.config.ts greedy
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { serve, type SightlineProcess } from '../support/gateway-process.ts'
import { start } from '../support/programs.ts'
import { startOrigin } from '../support/origin.ts'
import { everyInbound, LOOPBACK_EGRESS } from '../support/stacks.ts'
import { tempDir } from '../support/temp-dir.ts'
import { connectHead } from '../support/through.ts'
import { Wire } from '../support/wire.ts'
import { asInTheImage } from './as-in-the-image.ts'
import type { AttackPorts } from './greedy/attack.ts'

/** A hundredth of them is more than the few that one collection of garbage meets. */
const REQUESTS = 1_200
const ATTACK_MS = 30_000
const PEAK_MIB = 400
const LEFT_MIB = 30

async function startAttack(ports: AttackPorts): Promise<ChildProcess> {
  const attack = start(process.execPath, [
    fileURLToPath(new URL('greedy/attack.ts', import.meta.url)),
    JSON.stringify(ports),
  ])
  attack.stderr?.pipe(process.stderr)
  await once(attack.stdout as Readable, 'data')
  return attack
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
  await using gateway = await serve(
    directory.file('gateway.json'),
    {
      inbounds: everyInbound(directory),
      egress: LOOPBACK_EGRESS,
      log: { level: 'silent' },
    },
    await asInTheImage(),
  )
  expect(await readFile(`/proc/${gateway.pid}/maps`, 'utf8')).toContain('libjemalloc')
  const origin = await startOrigin()
  let attack: ChildProcess | undefined
  try {
    await p99(gateway, origin.port, REQUESTS)
    const startMiB = await gateway.memoryMiB()
    const idleMs = await p99(gateway, origin.port, REQUESTS)
    const ports = { http: gateway.port('http'), https: gateway.port('https'), tunnel: gateway.port('tunnel') }
    attack = await startAttack({ ...ports, origin: origin.port })
    const attackedAtMs = performance.now()
    await wait(5_000)
    const attackedMs = await p99(gateway, origin.port, REQUESTS)
    await wait(Math.max(0, attackedAtMs + ATTACK_MS - performance.now()))
    attack.stdin?.write('enough\n')
    const peakMiB = await gateway.peakMemoryMiB()
    attack.stdin?.end()
    await once(attack, 'exit')
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
    attack?.kill('SIGKILL')
    await origin.close()
  }
}, 300_000)
