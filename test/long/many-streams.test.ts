// Many at once and many one after another, on one gateway that is a process of its own: 8,000 idle streams, 1,000 sessions, and
// short streams by the million (SIGHTLINE_STREAMS=1000000; 50,000 where nothing is said). What is open costs a bounded
// amount each; what has ended costs nothing: memory is flat after a warm-up, and every descriptor comes back.
import { readdir, readFile } from 'node:fs/promises'
import net, { type AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeFrame, encodeFrame } from '../../src/protocol/mux/frame.ts'
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { eventually } from '../support/eventually.ts'
import { serve, type SightlineProcess } from '../support/gateway-process.ts'
import { RawTunnel } from '../support/raw-tunnel.ts'
import { everyInbound, LOOPBACK_EGRESS } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'

const IDLE_STREAMS = 8_000
const STREAMS_A_SESSION = 1_000
const SESSIONS = 1_000
const SHORT_STREAMS = Number(process.env['SIGHTLINE_STREAMS'] ?? 50_000)
const SHORT_SESSIONS = 4
const IN_FLIGHT = 16
/** Of the short streams, before memory is looked at. */
const WARM_UP = 0.3
const SAMPLES = 40
/** Bytes that a stream which has ended may leave behind; a leak of one small object would be more. */
const LEFT_BYTES = 40

let pki: TempDir
let credentials: { certificate: string; key: string; authority: string }
let gateway: SightlineProcess
let origin: net.Server
let port: number

beforeAll(async () => {
  pki = await tempDir()
  await ensureDevelopmentPki(pki.path)
  const read = (name: string): Promise<string> => readFile(pki.file(name), 'utf8')
  credentials = {
    certificate: await read('client.crt'),
    key: await read('client.key'),
    authority: await read('ca.crt'),
  }
  gateway = await serve(pki.file('gateway.json'), {
    inbounds: everyInbound(pki),
    egress: LOOPBACK_EGRESS,
    log: { level: 'silent' },
    limits: { connectionsPerIdentity: 20_000, sessionsPerIdentity: 2_000 },
  })
  origin = net.createServer((socket) => socket.on('error', () => {}).pipe(socket))
  await new Promise<void>((resolve) => origin.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 }, resolve))
  port = (origin.address() as AddressInfo).port
}, 60_000)
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await new Promise((resolve) => origin.close(resolve))
  await pki[Symbol.asyncDispose]()
})

const connect = (): Promise<RawTunnel> => RawTunnel.connect({ port: gateway.port('tunnel'), ...credentials })
const descriptors = async (): Promise<number> => (await readdir(`/proc/${gateway.pid}/fd`)).length

/** The sessions end, and the gateway has as many descriptors as before. */
async function endAll(tunnels: readonly RawTunnel[], before: number): Promise<void> {
  for (const tunnel of tunnels) tunnel[Symbol.dispose]()
  await eventually(async () => expect(await descriptors()).toBeLessThanOrEqual(before))
}

describe('a gateway', () => {
  it('keeps 8,000 idle streams', async () => {
    const before = { fds: await descriptors(), mib: await gateway.memoryMiB() }
    const tunnels: RawTunnel[] = []
    for (let at = 0; at < IDLE_STREAMS / STREAMS_A_SESSION; at += 1) {
      const tunnel = await connect()
      tunnels.push(tunnel)
      for (let stream = 0; stream < STREAMS_A_SESSION; stream += 1) tunnel.open(2 * stream + 1, port)
      await eventually(() => expect(tunnel.heard.length).toBe(STREAMS_A_SESSION))
      expect(new Set(tunnel.heard.map((line) => line.split(' ')[0]))).toEqual(new Set(['opened']))
    }
    const mib = await gateway.memoryMiB()
    expect(await descriptors()).toBeGreaterThanOrEqual(IDLE_STREAMS)
    // They live: the first and the last of each session answer.
    for (const tunnel of tunnels) {
      const { dataBytes } = tunnel
      for (const stream of [1, 2 * STREAMS_A_SESSION - 1])
        tunnel.say({ type: 'data', stream, payload: Buffer.from('?') })
      await eventually(() => expect(tunnel.dataBytes - dataBytes).toBe(2))
    }
    console.log(
      `8,000 idle streams: ${before.mib.toFixed(0)} MiB before, ${mib.toFixed(0)} MiB with them, ` +
        `${(((mib - before.mib) * 1024) / IDLE_STREAMS).toFixed(1)} KiB each`,
    )
    await endAll(tunnels, before.fds)
  })

  it('keeps 1,000 sessions', async () => {
    const before = { fds: await descriptors(), mib: await gateway.memoryMiB() }
    const tunnels: RawTunnel[] = []
    while (tunnels.length < SESSIONS)
      tunnels.push(...(await Promise.all(Array.from({ length: 20 }, () => connect()))))
    for (const tunnel of tunnels) tunnel.open(1, port)
    await eventually(() =>
      expect(tunnels.filter(({ heard }) => heard[0] === 'opened 1').length).toBe(SESSIONS),
    )
    const mib = await gateway.memoryMiB()
    console.log(
      `1,000 sessions with a stream each: ${before.mib.toFixed(0)} MiB before, ${mib.toFixed(0)} MiB with them, ` +
        `${(((mib - before.mib) * 1024) / SESSIONS).toFixed(0)} KiB each`,
    )
    await endAll(tunnels, before.fds)
  })

  it('forgets short streams', { timeout: 1_800_000 }, async () => {
    const before = await descriptors()
    const tunnels = await Promise.all(Array.from({ length: SHORT_SESSIONS }, connect))
    const startedMs = performance.now()
    let begun = 0
    let ended = 0
    const samples: Array<{ readonly ended: number; readonly bytes: number }> = []
    const looks: Array<Promise<void>> = []
    const look = async (at: number): Promise<void> => {
      samples.push({ ended: at, bytes: (await gateway.memoryMiB()) * 1024 * 1024 })
    }
    const each = tunnels.map((tunnel) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      let next = 1
      let open = 0
      const begin = (): void => {
        if (begun === SHORT_STREAMS) return open === 0 ? resolve() : undefined
        begun += 1
        open += 1
        tunnel.open(next, port)
        next += 2
      }
      tunnel.webSocket.on('message', (message: Buffer) => {
        const { type, stream } = decodeFrame(message)
        if (type === 'opened') {
          tunnel.webSocket.send(encodeFrame({ type: 'data', stream, payload: Buffer.from('?') }))
          tunnel.webSocket.send(encodeFrame({ type: 'fin', stream }))
        }
        if (type !== 'fin') return
        tunnel.heard.length = 0
        ended += 1
        if (ended % Math.ceil(SHORT_STREAMS / SAMPLES) === 0) looks.push(look(ended))
        open -= 1
        begin()
      })
      for (let at = 0; at < IN_FLIGHT; at += 1) begin()
      return promise
    })
    await Promise.all(each)
    await Promise.all(looks)
    const seconds = (performance.now() - startedMs) / 1000
    expect(tunnels.reduce((sum, { dataBytes }) => sum + dataBytes, 0)).toBe(SHORT_STREAMS)
    const slope = slopeOf(samples.filter((sample) => sample.ended > SHORT_STREAMS * WARM_UP))
    const mib = (sample: { bytes: number } | undefined): string => ((sample?.bytes ?? 0) / 2 ** 20).toFixed(0)
    console.log(
      `${SHORT_STREAMS} short streams in ${seconds.toFixed(0)} s (${(SHORT_STREAMS / seconds).toFixed(0)} a second): ` +
        `${mib(samples[Math.floor(SAMPLES * WARM_UP)])} MiB after the warm-up, ${mib(samples.at(-1))} MiB at the end, ` +
        `slope ${slope.toFixed(1)} bytes a stream`,
    )
    await endAll(tunnels, before)
    // A short run ends before the collector has come to rest, and says nothing of a slope.
    if (SHORT_STREAMS >= 500_000) expect(slope).toBeLessThan(LEFT_BYTES)
  })
})

/** Least squares: bytes a stream. */
function slopeOf(samples: ReadonlyArray<{ readonly ended: number; readonly bytes: number }>): number {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length
  const x = mean(samples.map(({ ended }) => ended))
  const y = mean(samples.map(({ bytes }) => bytes))
  const over = samples.reduce((sum, { ended, bytes }) => sum + (ended - x) * (bytes - y), 0)
  return over / samples.reduce((sum, { ended }) => sum + (ended - x) ** 2, 0)
}
