// A revocation that is made once, where gateways have two workers each: the live streams in every worker end within two
// seconds, at the gateway that was given the list and, over a Redis, at the other; those of another certificate go on.
// That each worker has a stream is read from the machine.
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConfigInput } from '../../src/config/schema.ts'
import { ensureDevelopmentPki, issue, revoke } from '../../src/pki/store.ts'
import { eventually } from '../support/eventually.ts'
import { get, serve, type SightlineProcess } from '../support/gateway-process.ts'
import { samples, sum } from '../support/metrics.ts'
import { isMissing } from '../support/programs.ts'
import { RawTunnel } from '../support/raw-tunnel.ts'
import { startRedis } from '../support/redis.ts'
import { LOOPBACK_EGRESS } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { startRawOrigin, type RawOrigin, type Wire } from '../support/wire.ts'
import { connectionsTo, workerPids } from '../support/workers.ts'

const WORKERS = 2
const TRIES = 10
const ENDED_WITHIN_MS = 2_000
const PATIENCE_MS = 10_000

let pki: TempDir
beforeAll(async () => {
  pki = await tempDir()
  await ensureDevelopmentPki(pki.path)
  for (const name of ['mallory', 'trudy', 'eve']) await issue(pki.path, name, { kind: 'client', hosts: [] })
  await writeFile(pki.file('secret'), 'a secret of replicas, in a test only')
})
afterAll(() => pki[Symbol.asyncDispose]())

/** `name` names its files: each gateway has a list of its own, as on another machine. */
function configOf(name: string, state?: ConfigInput['state']): ConfigInput {
  const files = { certificate: pki.file('gateway.crt'), key: pki.file('gateway.key') }
  const trust = { clientAuthority: pki.file('ca.crt'), revocationList: pki.file(`${name}.crl`) }
  return {
    inbounds: [{ type: 'tunnel', listen: '127.0.0.1:0', tls: { ...files, ...trust } }],
    egress: LOOPBACK_EGRESS,
    workers: WORKERS,
    state,
  }
}

async function start(name: string, state?: ConfigInput['state']): Promise<SightlineProcess> {
  await copyFile(pki.file('ca.crl'), pki.file(`${name}.crl`))
  return serve(pki.file(`${name}.json`), configOf(name, state))
}

interface Stream {
  readonly tunnel: RawTunnel
  readonly site: Wire
}

async function open(gateway: SightlineProcess, name: string, origin: RawOrigin): Promise<Stream> {
  const [certificate = '', key = '', authority = ''] = await Promise.all(
    [`${name}.crt`, `${name}.key`, 'ca.crt'].map((file) => readFile(pki.file(file), 'utf8')),
  )
  const tunnel = await RawTunnel.connect({ port: gateway.port('tunnel'), certificate, key, authority })
  const before = origin.wires.length
  tunnel.open(1, origin.port)
  return { tunnel, site: await origin.wire(before) }
}

/** Live both ways. */
async function exchange({ tunnel, site }: Stream): Promise<void> {
  const before = [site.received.length, tunnel.dataBytes] as const
  tunnel.say({ type: 'data', stream: 1, payload: Buffer.from('x') })
  await site.untilBytes(before[0] + 1)
  site.send('x')
  await eventually(() => expect(tunnel.dataBytes).toBe(before[1] + 1))
}

/** Streams of `name`, at least one in each worker of each gateway. */
class Crowd implements AsyncDisposable {
  readonly streams: Stream[] = []
  #origin: RawOrigin

  private constructor(origin: RawOrigin) {
    this.#origin = origin
  }

  static async gather(name: string, gateways: readonly SightlineProcess[]): Promise<Crowd> {
    const crowd = new Crowd(await startRawOrigin())
    for (const gateway of gateways) {
      const pids = await workerPids(gateway)
      expect(pids).toHaveLength(WORKERS)
      const counts = (): Promise<number[]> =>
        Promise.all(pids.map((pid) => connectionsTo(crowd.#origin.port, pid)))
      for (let tries = 0; (await counts()).includes(0); tries += 1) {
        expect(tries).toBeLessThan(TRIES)
        crowd.streams.push(await open(gateway, name, crowd.#origin))
      }
    }
    for (const stream of crowd.streams) await exchange(stream)
    return crowd
  }

  /** Milliseconds from `sinceMs` to the end of the last, at both ends; looked for no longer than `PATIENCE_MS`. */
  async ended(sinceMs: number): Promise<number> {
    const all = Promise.all(this.streams.flatMap(({ tunnel, site }) => [tunnel.closed, site.ended()]))
    await Promise.race([all, wait(PATIENCE_MS, undefined, { ref: false })])
    return performance.now() - sinceMs
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { tunnel } of this.streams) tunnel[Symbol.dispose]()
    await this.#origin[Symbol.asyncDispose]()
  }
}

async function expectRevoked(crowd: Crowd, good: Crowd, sinceMs: number): Promise<void> {
  expect(await crowd.ended(sinceMs)).toBeLessThan(ENDED_WITHIN_MS)
  for (const { tunnel } of crowd.streams) expect(tunnel.heard).toContain('goaway certificate-revoked')
  for (const stream of good.streams) await exchange(stream)
}

describe('a revocation, where a gateway has two workers', { timeout: 60_000 }, () => {
  it('ends the live streams in both within 2 s of SIGHUP, which alone names the new list', async () => {
    await using gateway = await start('alone')
    await using crowd = await Crowd.gather('mallory', [gateway])
    await using good = await Crowd.gather('client', [gateway])
    await revoke(pki.path, 'mallory')
    await copyFile(pki.file('ca.crl'), pki.file('next.crl'))
    await writeFile(
      pki.file('alone.json'),
      JSON.stringify({ admin: { listen: '127.0.0.1:0' }, ...configOf('next') }),
    )
    const sinceMs = performance.now()
    gateway.kill('SIGHUP')
    await expectRevoked(crowd, good, sinceMs)
    const { body } = await get(gateway.port('admin'), '/metrics')
    expect(sum(body, 'sightline_tunnel_sessions')).toBe(good.streams.length)
  })

  it('ends the live streams in both within 2 s of the changed file', async () => {
    await using gateway = await start('file')
    await using crowd = await Crowd.gather('eve', [gateway])
    await using good = await Crowd.gather('client', [gateway])
    await revoke(pki.path, 'eve')
    const sinceMs = performance.now()
    await copyFile(pki.file('ca.crl'), pki.file('file.crl'))
    await expectRevoked(crowd, good, sinceMs)
  })

  it.skipIf(isMissing('redis-server', 'redis-cli'))(
    'ends those in both workers of another gateway too, which is told over a Redis (needs redis-server)',
    async () => {
      await using redis = await startRedis()
      const state = { redis: `redis://127.0.0.1:${redis.port}`, secretFile: pki.file('secret') }
      await using one = await start('one', state)
      await using other = await start('other', state)
      await eventually(async () => {
        for (const gateway of [one, other])
          expect(sum((await get(gateway.port('admin'), '/metrics')).body, 'sightline_shared_state_up')).toBe(
            1,
          )
      })
      await using crowd = await Crowd.gather('trudy', [one, other])
      await using good = await Crowd.gather('client', [one, other])
      await revoke(pki.path, 'trudy')
      const sinceMs = performance.now()
      await copyFile(pki.file('ca.crl'), pki.file('one.crl'))
      one.kill('SIGHUP')
      await expectRevoked(crowd, good, sinceMs)
      const { body } = await get(other.port('admin'), '/metrics')
      expect(samples(body, 'sightline_shared_state_errors_total')).toEqual([])
      expect(sum(body, 'sightline_tunnel_sessions_closed_total', { code: 'certificate-revoked' })).toBe(
        WORKERS,
      )
    },
  )
})
