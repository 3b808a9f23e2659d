// One gateway of two worker processes, as an operator and its clients meet it: one `ready` line, one scrape, one set of
// limits, tickets and lists that hold in both, and a worker that dies and is replaced. Connections go to the workers in
// turn, so that two in a row are one in each.
import { readFile, writeFile } from 'node:fs/promises'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConfigInput } from '../../src/config/schema.ts'
import { hashPassword } from '../../src/gateway/users.ts'
import { ensureDevelopmentPki, revoke } from '../../src/pki/store.ts'
import { UsageFile } from '../../src/state/usage-store.ts'
import { eventually } from '../support/eventually.ts'
import { get, serve, type SightlineProcess } from '../support/gateway-process.ts'
import { sum } from '../support/metrics.ts'
import { startOrigin, type Origin } from '../support/origin.ts'
import { everyInbound, LOOPBACK_EGRESS } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { connectHead } from '../support/through.ts'
import { UPGRADE } from '../support/tunnel-peer.ts'
import { startRawOrigin, Wire, type RawOrigin } from '../support/wire.ts'
import { workerPids } from '../support/workers.ts'

let pki: TempDir
let origin: Origin
let silent: RawOrigin
let gateway: SightlineProcess
let config: ConfigInput
beforeAll(async () => {
  pki = await tempDir()
  await ensureDevelopmentPki(pki.path)
  await writeFile(pki.file('users'), `alice:${await hashPassword('secret')}\n`)
  origin = await startOrigin()
  silent = await startRawOrigin()
  const [http, , https, , tunnel] = everyInbound(pki)
  const users = { type: 'http' as const, listen: '127.0.0.1:0', auth: { users: pki.file('users') } }
  config = {
    inbounds: [http, https, tunnel, users].filter((inbound) => inbound !== undefined),
    egress: LOOPBACK_EGRESS,
    admin: { listen: '127.0.0.1:0' },
    workers: 2,
    usage: { store: pki.file('usage.db') },
    limits: { connectionsPerIdentity: 3, bytesPerDayPerIdentity: 300_000 },
  }
  gateway = await serve(pki.file('gateway.json'), config)
}, 60_000)
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await origin.close()
  await silent[Symbol.asyncDispose]()
  await pki[Symbol.asyncDispose]()
})

const metrics = async (): Promise<string> => (await get(gateway.port('admin'), '/metrics')).body

/** A stream to an origin that says nothing, and what the gateway answered. */
async function hold(name = 'http'): Promise<{ wire: Wire; status: string }> {
  const wire = await Wire.connect(
    gateway.addresses.filter((one) => one.name === 'http')[name === 'http' ? 0 : 1]!.port,
  )
  const credentials = `Proxy-Authorization: Basic ${Buffer.from('alice:secret').toString('base64')}\r\n`
  const head = connectHead('127.0.0.1', silent.port)
  wire.send(name === 'http' ? head : head.replace('\r\n\r\n', `\r\n${credentials}\r\n`))
  const answer = (await wire.untilText('\r\n\r\n')).toString('latin1')
  return { wire, status: /sightline-error: (\S+)/.exec(answer)?.[1] ?? answer.split(' ')[1] ?? '' }
}

async function holdMany(count: number, name?: string): Promise<{ wires: Wire[]; statuses: string[] }> {
  const held = []
  for (let index = 0; index < count; index += 1) held.push(await hold(name))
  return { wires: held.map(({ wire }) => wire), statuses: held.map(({ status }) => status) }
}

async function release(wires: readonly Wire[]): Promise<void> {
  for (const wire of wires) wire.reset()
  await eventually(async () => expect(sum(await metrics(), 'sightline_connections')).toBe(0))
}

describe('a gateway of two workers', { timeout: 60_000 }, () => {
  it('is ready once, and shows the connections of both in one scrape', async () => {
    expect(gateway.out.length).toBe(1)
    expect(await get(gateway.port('admin'), '/readyz')).toEqual({ status: 200, body: 'ready\n' })
    expect(await workerPids(gateway)).toHaveLength(2)
    const { wires, statuses } = await holdMany(4)
    expect(statuses).toEqual(['200', '200', '200', '200'])
    const shown = await metrics()
    expect(sum(shown, 'sightline_workers')).toBe(2)
    expect(sum(shown, 'sightline_connections', { mode: 'http-proxy' })).toBe(4)
    expect(sum(shown, 'sightline_streams')).toBe(4)
    expect(sum(shown, 'sightline_dial_seconds_count')).toBe(4)
    expect(sum(shown, 'sightline_state', { state: 'serving' })).toBe(1)
    expect(sum(shown, 'sightline_build_info')).toBe(1)
    await release(wires)
  })

  it('has one limit for each identity over both, and gives places back', async () => {
    for (let round = 0; round < 2; round += 1) {
      const { wires, statuses } = await holdMany(4, 'users')
      expect(statuses).toEqual(['200', '200', '200', 'too-many-for-identity'])
      await release(wires)
    }
  })

  it('counts the bytes of an identity over both, and ends all that it has once they are used up', async () => {
    const { wires, statuses } = await holdMany(2, 'users')
    expect(statuses).toEqual(['200', '200'])
    for (const wire of wires) wire.send(Buffer.alloc(200_000))
    for (const wire of wires) expect(await wire.ended()).toBe('reset')
    const { wires: more, statuses: late } = await holdMany(2, 'users')
    expect(late).toEqual(['quota-exceeded', 'quota-exceeded'])
    await release(more)
  })

  it('resumes a TLS session of the one in the other', async () => {
    const ca = await readFile(pki.file('ca.crt'), 'utf8')
    using first = await Wire.connectTls(gateway.port('https'), { ca })
    const session = await new Promise<Buffer>((resolve) => first.socket.once('session', resolve))
    for (let index = 0; index < 2; index += 1) {
      using again = await Wire.connectTls(gateway.port('https'), { ca, session })
      expect((again.socket as TLSSocket).isSessionReused()).toBe(true)
    }
  })

  it('ends the sessions of a revoked certificate in both', async () => {
    const [ca, cert, key] = await Promise.all(
      ['ca.crt', 'client.crt', 'client.key'].map((name) => readFile(pki.file(name), 'utf8')),
    )
    const sessions = []
    for (let index = 0; index < 2; index += 1) {
      const wire = await Wire.connectTls(gateway.port('tunnel'), { ca, cert, key })
      wire.send(UPGRADE)
      await wire.untilText(' 101 ')
      sessions.push(wire)
    }
    expect(sum(await metrics(), 'sightline_tunnel_sessions')).toBe(2)
    await revoke(pki.path, 'client')
    for (const session of sessions) await session.ended()
    const closed = await eventually(async () => {
      const shown = await metrics()
      expect(sum(shown, 'sightline_tunnel_sessions')).toBe(0)
      return shown
    })
    const code = 'certificate-revoked'
    expect(sum(closed, 'sightline_tunnel_sessions_closed_total', { code })).toBe(2)
  })

  it('refuses a bad config in both, and puts a good one in force in both: so many connections in all', async () => {
    await writeFile(pki.file('gateway.json'), JSON.stringify({ ...config, workers: 3 }))
    gateway.kill('SIGHUP')
    expect(await gateway.errLine(/^error: workers/)).toMatch(/only with a new start/)
    await writeFile(
      pki.file('gateway.json'),
      JSON.stringify({ ...config, usage: undefined, limits: { connections: 3 } }),
    )
    gateway.kill('SIGHUP')
    await gateway.outLine(/^reloaded http /)
    const { wires, statuses } = await holdMany(4)
    expect(statuses).toEqual(['200', '200', '200', 'too-many-connections'])
    await release(wires)
    const shown = await metrics()
    expect(sum(shown, 'sightline_reloads_total', { outcome: 'ok' })).toBe(1)
    // What both counted was written down when there was to be no more of it.
    const store = UsageFile.open(pki.file('usage.db'))
    const today = Math.floor(Date.now() / 86_400_000)
    const alice = { kind: 'user', name: 'alice' } as const
    const used = [0, 1].map((ago) => store.bytesOf(alice, today - ago))
    store.close()
    expect(Math.max(...used)).toBeGreaterThanOrEqual(300_000)
    expect(Math.max(...used)).toBeLessThanOrEqual(400_000)
  })

  it('loses the streams of a worker that dies, keeps the others, and starts another', async () => {
    const before = sum(await metrics(), 'sightline_connections_total')
    const { wires } = await holdMany(2)
    expect(sum(await metrics(), 'sightline_connections_total')).toBe(before + 2)
    const [victim = 0] = await workerPids(gateway)
    process.kill(victim, 'SIGKILL')
    const lost = await Promise.race(wires.map(async (wire) => (await wire.ended(), wire)))
    const kept = wires.find((wire) => wire !== lost)!
    expect(kept.ending).toBeUndefined()
    await gateway.errLine(/"a worker serves again"/)
    const shown = await metrics()
    expect(sum(shown, 'sightline_workers')).toBe(2)
    expect(sum(shown, 'sightline_worker_restarts_total')).toBe(1)
    expect(sum(shown, 'sightline_connections_total')).toBe(before + 2)
    expect(sum(shown, 'sightline_connections')).toBe(1)
    // What it held is free: three fit again, over both.
    const { wires: more, statuses } = await holdMany(3)
    expect(statuses).toEqual(['200', '200', 'too-many-connections'])
    await release([kept, ...more])
  })

  it('drains both on SIGTERM, ends at 0, and has written whole lines', async () => {
    const { wires } = await holdMany(2)
    gateway.kill('SIGTERM')
    await gateway.errLine(/"draining"/)
    expect(await get(gateway.port('admin'), '/readyz')).toMatchObject({ status: 503 })
    await expect(Wire.connect(gateway.port('http'))).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    for (const wire of wires) {
      expect(wire.ending).toBeUndefined()
      wire.reset()
    }
    expect(await gateway.exited).toBe(0)
    const lines = gateway.err.filter((line) => line.startsWith('{'))
    expect(lines.length).toBeGreaterThan(5)
    for (const line of lines) expect(() => JSON.parse(line) as unknown).not.toThrow()
    expect(gateway.err.filter((line) => /^(?!\{|error: |hint: |$)/.test(line))).toEqual([])
  })
})
