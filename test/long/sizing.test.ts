// What a gateway costs: memory and CPU for each thousand idle connections of each mode, and what a scrape of /metrics costs with
// 8,000 connections open. docs/operating.md has the figures; only what must hold on any machine is asserted.
import { readFile } from 'node:fs/promises'
import net from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { eventually } from '../support/eventually.ts'
import { get, inShell, serve, type SightlineProcess } from '../support/gateway-process.ts'
import { sum } from '../support/metrics.ts'
import { clientConfig, everyInbound, LOOPBACK_EGRESS } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { encodeAsk, type Way } from '../support/through.ts'
import { Wire } from '../support/wire.ts'

const EACH = 2_000
const AT_ONCE = 50
const SCRAPES = 30
const TICKS_PER_SECOND = 100
const WITH_DESCRIPTORS = inShell('ulimit -n "$(ulimit -H -n)"; exec "$@"')

let dir: TempDir
let gateway: SightlineProcess
let client: SightlineProcess
let origin: net.Server
const held: Wire[] = []
const atOrigin = new Set<net.Socket>()

beforeAll(async () => {
  dir = await tempDir()
  await ensureDevelopmentPki(dir.path)
  origin = net.createServer((socket) => {
    atOrigin.add(socket)
    socket.on('error', () => {}).on('close', () => atOrigin.delete(socket))
  })
  await new Promise<void>((resolve) => origin.listen({ host: '127.0.0.1', port: 0, backlog: 1_024 }, resolve))
  const limits = {
    connections: 20_000,
    connectionsPerSource: 20_000,
    streamsPerTunnel: 10_000,
    connectionsPerIdentity: 20_000,
    idleMs: 3_600_000,
  }
  const config = { inbounds: everyInbound(dir), egress: LOOPBACK_EGRESS, limits }
  gateway = await serve(dir.file('gateway.json'), config, WITH_DESCRIPTORS)
  client = await serve(
    dir.file('client.json'),
    { ...clientConfig(dir, gateway.port('tunnel')), limits },
    WITH_DESCRIPTORS,
  )
}, 60_000)

afterAll(async () => {
  for (const wire of held) wire.reset()
  for (const socket of atOrigin) socket.destroy()
  await client?.[Symbol.asyncDispose]()
  await gateway?.[Symbol.asyncDispose]()
  origin?.close()
  await dir?.[Symbol.asyncDispose]()
}, 60_000)

/** User and system time of a process so far, in seconds (proc_pid_stat(5), fields 14 and 15). */
async function cpuSeconds({ pid }: SightlineProcess): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

const MODES = [
  { mode: 'http-proxy', listener: 'http', protocol: 'http' },
  { mode: 'socks-proxy', listener: 'socks', protocol: 'socks5' },
  { mode: 'https-proxy', listener: 'https', protocol: 'http' },
  { mode: 'tunnel', listener: 'client', protocol: 'http' },
] as const

async function openOne(listener: string, protocol: Way['protocol']): Promise<void> {
  const { port } = origin.address() as net.AddressInfo
  const wire =
    listener === 'https'
      ? await Wire.connectTls(gateway.port('https'), { ca: await readFile(dir.file('ca.crt'), 'utf8') })
      : await Wire.connect(listener === 'client' ? client.port('client') : gateway.port(listener))
  const ask = encodeAsk(protocol, '127.0.0.1', port)
  wire.send(protocol === 'socks5' ? Buffer.concat([Buffer.from([5, 1, 0]), ask]) : ask)
  if (protocol === 'socks5') await wire.untilBytes(12)
  else await wire.untilText('HTTP/1.1 200 ')
  held.push(wire)
}

describe('a gateway with connections that say nothing', () => {
  let before = { ms: 0, bytes: 0, lines: 0 }

  async function scrape(): Promise<{ ms: number; cpuMs: number; bytes: number; lines: number }> {
    await get(gateway.port('admin'), '/metrics')
    const cpu = await cpuSeconds(gateway)
    const took: number[] = []
    let body = ''
    for (let turn = 0; turn < SCRAPES; turn += 1) {
      const startedMs = performance.now()
      ;({ body } = await get(gateway.port('admin'), '/metrics'))
      took.push(performance.now() - startedMs)
    }
    const cpuMs = (((await cpuSeconds(gateway)) - cpu) * 1_000) / SCRAPES
    return {
      ms: took.toSorted((a, b) => a - b)[SCRAPES / 2] ?? 0,
      cpuMs,
      bytes: body.length,
      lines: body.split('\n').length,
    }
  }

  it('is scraped with none open', async () => {
    before = await scrape()
    expect(before.lines).toBeGreaterThan(50)
    console.log(`scrape with 0 connections: ${before.ms.toFixed(1)} ms, ${before.bytes} bytes`)
  })

  it.each(MODES)('$mode: 2,000 of them', { timeout: 120_000 }, async ({ mode, listener, protocol }) => {
    const memory = await gateway.memoryMiB()
    const cpu = await cpuSeconds(gateway)
    for (let done = 0; done < EACH; done += AT_ONCE)
      await Promise.all(Array.from({ length: AT_ONCE }, () => openOne(listener, protocol)))
    const perThousand = EACH / 1_000
    const cpuMs = (((await cpuSeconds(gateway)) - cpu) * 1_000) / perThousand
    const mib = ((await gateway.memoryMiB()) - memory) / perThousand
    const { body } = await get(gateway.port('admin'), '/metrics')
    expect(sum(body, 'sightline_streams', { mode })).toBe(EACH)
    console.log(`${mode}: ${mib.toFixed(1)} MiB and ${cpuMs.toFixed(0)} ms of CPU to open, for each thousand`)
    expect(mib).toBeLessThan(150)
  })

  it('is scraped with 8,000 open, at a bounded cost', async () => {
    const { body } = await get(gateway.port('admin'), '/metrics')
    expect(sum(body, 'sightline_streams')).toBe(EACH * MODES.length)
    const idleCpu = await cpuSeconds(gateway)
    await new Promise((resolve) => setTimeout(resolve, 5_000))
    const idle = ((await cpuSeconds(gateway)) - idleCpu) / 5
    const after = await scrape()
    const descriptors = sum(body, 'process_open_fds')
    console.log(
      `scrape with 8,000 connections: ${after.ms.toFixed(1)} ms, ${after.cpuMs.toFixed(1)} ms of CPU, ${after.bytes} bytes; ` +
        `idle CPU ${(idle * 100).toFixed(1)} % of a core; ${descriptors} descriptors; ${Math.round(await gateway.memoryMiB())} MiB in all`,
    )
    // The modes have appeared since, and no connection adds a line.
    expect(after.lines).toBeLessThan(before.lines + 300)
    expect(after.bytes).toBeLessThan(100_000)
    expect(after.ms).toBeLessThan(500)
    await eventually(() => expect(gateway.err.join('')).not.toContain('"level":"error"'))
  })
})
