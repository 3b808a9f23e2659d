// Three gateways behind HAProxy that share a Redis, with a tunnel client before them and Prometheus beside: a rolling restart
// under load fails no request; what one learns is revoked ends at all; a quota is one quota; a gateway that is killed is
// missed for a moment; without Redis nobody is cut off and nothing is open that was not; and Prometheus scrapes all three
// and compares with four weeks. All of Debian's packages, all on loopback.
import { copyFile, writeFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConfigInput } from '../../src/config/schema.ts'
import { hashPassword } from '../../src/gateway/users.ts'
import { ensureDevelopmentPki, issue, revoke } from '../../src/pki/store.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { get, serve, type SightlineProcess } from '../support/gateway-process.ts'
import { sum } from '../support/metrics.ts'
import { findProgram, succeed } from '../support/programs.ts'
import { startOrigin, type Origin } from '../support/origin.ts'
import { startRedis, type Redis } from '../support/redis.ts'
import { clientConfig } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { startRawOrigin, type RawOrigin } from '../support/wire.ts'
import { startBalancer, type Balancer, type Server } from './replicas/balancer.ts'
import { askThrough, percentile, underLoad } from './replicas/load.ts'
import { download, openCrowd, type Crowd } from './replicas/people.ts'
import { startPrometheus, type Prometheus } from './replicas/prometheus.ts'

const NAMES = ['a', 'b', 'c']
const REQUESTS_PER_SECOND = 200
const BACK_WITHIN_MS = 3_000
/** Sessions at this hour of the past weeks; the mean is what is usual. */
const USUAL = [2, 4, 6, 8]
const REVOKED_WITHIN_MS = 2_000
const AWAY_MS = 30_000
const MEGABYTE = 1_000_000
const PASSWORD = 'correct horse'
const QUOTA = 60 * MEGABYTE
const PER_SECOND = 10 * MEGABYTE
const missing = ['haproxy', 'prometheus', 'promtool', 'redis-server', 'redis-cli'].filter(
  (name) => findProgram(name) === undefined,
)

let dir: TempDir
let origin: Origin
let silent: RawOrigin
let redis: Redis
let servers: Server[]
let balancer: Balancer
let client: SightlineProcess
const gateways = new Map<string, SightlineProcess>()

function configOf({ name, ports }: Server): ConfigInput {
  const tls = {
    certificate: dir.file('gateway.crt'),
    key: dir.file('gateway.key'),
    clientAuthority: dir.file('ca.crt'),
    // Each has files of its own, as on another machine.
    revocationList: dir.file(`${name}.crl`),
  }
  const proxyProtocol = ['127.0.0.1']
  return {
    inbounds: [
      { type: 'http', listen: `127.0.0.1:${ports.http}`, proxyProtocol },
      { type: 'tunnel', listen: `127.0.0.1:${ports.tunnel}`, tls, proxyProtocol },
      { type: 'http', listen: `127.0.0.1:${ports.users}`, auth: { users: dir.file('users') } },
    ],
    state: { redis: `redis://127.0.0.1:${redis.port}`, secretFile: dir.file('secret') },
    limits: { bytesPerDayPerIdentity: QUOTA, bytesPerSecondPerIdentity: PER_SECOND },
    egress: { allow: ['127.0.0.0/8'] },
    admin: { listen: `127.0.0.1:${ports.admin}` },
    // HAProxy looks five times a second, and a busy machine answers late.
    drainDelayMs: 2_500,
    drainTimeoutMs: 10_000,
  }
}

async function startGateway(server: Server): Promise<SightlineProcess> {
  const gateway = await serve(dir.file(`${server.name}.json`), configOf(server))
  gateways.set(server.name, gateway)
  return gateway
}

const sessionsOf = async ({ ports }: Server): Promise<number> =>
  sum((await get(ports.admin, '/metrics')).body, 'sightline_tunnel_sessions')

/** The one that carries the client's tunnel, or most of it. */
async function busiest(): Promise<Server> {
  const counts = await Promise.all(servers.map(sessionsOf))
  expect(Math.max(...counts)).toBeGreaterThan(0)
  return servers[counts.indexOf(Math.max(...counts))]!
}

const url = (): string => `http://127.0.0.1:${origin.port}/bytes/1000`
const ways = (): number[] => [balancer.ports.http, client.port('client')]

const allSessions = (): Promise<number[]> => Promise.all(servers.map(sessionsOf))
const crowdOf = (name: string): Promise<Crowd> =>
  openCrowd(dir, name, balancer.ports.tunnel, silent.port, allSessions)
const sharedUp = async ({ ports }: Server): Promise<number> =>
  sum((await get(ports.admin, '/metrics')).body, 'sightline_shared_state_up')

/** The first gateway alone is given the list. */
async function revokeAtFirst(name: string): Promise<void> {
  await revoke(dir.path, name)
  await copyFile(dir.file('ca.crl'), dir.file(`${NAMES[0]}.crl`))
}

/** Milliseconds from the file to the end of each stream. */
async function revokedEverywhere(name: string, { streams }: Crowd): Promise<number[]> {
  expect(new Set(streams.map(({ gateway }) => gateway)).size).toBe(servers.length)
  await revokeAtFirst(name)
  const givenMs = performance.now()
  return Promise.all(
    streams.map(async ({ wire }) => {
      expect(await wire.ended()).toBe('reset')
      return performance.now() - givenMs
    }),
  )
}

/** Bytes of the identity that has used most, once Redis has been lost once more and been told again. */
async function countedTwice(): Promise<number> {
  await redis.stop()
  await redis.start()
  return eventually(async () => {
    const keys = (await redis.cli('keys', 'sightline:use:*')).split('\n')
    const sums = await Promise.all(
      keys.map(async (key) =>
        (await redis.cli('hvals', key)).split('\n').reduce((all, bytes) => all + Number(bytes), 0),
      ),
    )
    const bobs = sums.find((bytes) => bytes > QUOTA && bytes < 1.1 * QUOTA)
    // Who alice was has been told too.
    expect(sums.filter((bytes) => bytes > QUOTA).length).toBeGreaterThan(1)
    return bobs ?? 0
  })
}

describe.skipIf(missing.length > 0)(`three gateways (needs ${missing.join(', ') || 'nothing more'})`, () => {
  beforeAll(async () => {
    dir = await tempDir()
    await ensureDevelopmentPki(dir.path)
    origin = await startOrigin()
    servers = []
    for (const name of NAMES)
      servers.push({
        name,
        ports: {
          http: await freePort(),
          tunnel: await freePort(),
          admin: await freePort(),
          users: await freePort(),
        },
      })
    for (const name of ['mallory', 'trudy']) await issue(dir.path, name, { kind: 'client', hosts: [] })
    for (const { name } of servers) await copyFile(dir.file('ca.crl'), dir.file(`${name}.crl`))
    const password = await hashPassword(PASSWORD)
    await writeFile(dir.file('users'), `alice:${password}\nbob:${password}\n`)
    await writeFile(dir.file('secret'), 'a secret of replicas, in a test only')
    silent = await startRawOrigin()
    redis = await startRedis()
    await Promise.all(servers.map(startGateway))
    balancer = await startBalancer(dir, servers)
    client = await serve(dir.file('client.json'), clientConfig(dir, balancer.ports.tunnel))
    await eventually(() => Promise.all(ways().map((port) => askThrough(port, url()))))
  }, 120_000)

  afterAll(async () => {
    await client?.[Symbol.asyncDispose]()
    await balancer?.[Symbol.asyncDispose]()
    for (const gateway of gateways.values()) await gateway[Symbol.asyncDispose]()
    await redis?.[Symbol.asyncDispose]()
    await silent?.[Symbol.asyncDispose]()
    await origin?.close()
    await dir?.[Symbol.asyncDispose]()
  })

  it(
    'are restarted one after the other under 200 requests a second, and none fails',
    { timeout: 180_000 },
    async () => {
      const tally = await underLoad(REQUESTS_PER_SECOND, ways(), url(), async () => {
        for (const server of servers) {
          const gateway = gateways.get(server.name)
          gateway?.kill('SIGTERM')
          await balancer.sees(server.name, 'DOWN')
          expect(await gateway?.exited).toBe(0)
          await startGateway(server)
          await balancer.sees(server.name, 'UP')
        }
      })
      const p99 = percentile(tally.tookMs, 0.99)
      console.log(
        `rolling restart of 3: ${tally.asked} requests, ${tally.failures.length} failed, p99 ${p99.toFixed(0)} ms`,
      )
      expect(tally.failures.slice(0, 10)).toEqual([])
      expect(tally.asked).toBeGreaterThan(REQUESTS_PER_SECOND * 5)
      expect(tally.tookMs.length).toBe(tally.asked)
    },
  )

  it('reload 50 times while it goes on, and none fails', { timeout: 120_000 }, async () => {
    let reloads = 0
    const tally = await underLoad(REQUESTS_PER_SECOND, ways(), url(), async () => {
      for (; reloads < 50; reloads += 1) {
        const gateway = gateways.get(NAMES[reloads % NAMES.length] ?? '')
        const before = gateway?.out.length ?? 0
        gateway?.kill('SIGHUP')
        await eventually(() => expect(gateway?.out.length).toBeGreaterThan(before))
      }
    })
    console.log(`${reloads} reloads: ${tally.asked} requests, ${tally.failures.length} failed`)
    expect(tally.failures.slice(0, 10)).toEqual([])
  })

  it('end the streams of who is revoked at one of them within 2 s, at all', { timeout: 60_000 }, async () => {
    using crowd = await crowdOf('mallory')
    const tally = await underLoad(REQUESTS_PER_SECOND, ways(), url(), async () => {
      const tookMs = await revokedEverywhere('mallory', crowd)
      console.log(
        `revoked at one: ${crowd.streams.length} streams at 3 gateways ended after at most ${Math.round(Math.max(...tookMs))} ms`,
      )
      for (const ms of tookMs) expect(ms).toBeLessThan(REVOKED_WITHIN_MS)
    })
    expect(tally.failures.slice(0, 10)).toEqual([])
  })

  it('have one quota between them', { timeout: 60_000 }, async () => {
    const wanted = `http://127.0.0.1:${origin.port}/bytes/${10 * QUOTA}`
    const got = await Promise.all(
      servers.map(({ ports }) => download(ports.users, 'alice', PASSWORD, wanted)),
    )
    const total = got.reduce((all, one) => all + one)
    console.log(
      `quota of ${QUOTA / MEGABYTE} MB at ${PER_SECOND / MEGABYTE} MB/s: ${got.map((bytes) => (bytes / MEGABYTE).toFixed(1)).join(' + ')} = ${(total / MEGABYTE).toFixed(1)} MB`,
    )
    expect(total).toBeGreaterThan(QUOTA * 0.9)
    // Two seconds of each, where docs/operating.md says about one.
    expect(total).toBeLessThan(QUOTA + servers.length * PER_SECOND * 2)
    for (const { ports } of servers) expect(await download(ports.users, 'alice', PASSWORD, url())).toBe(0)
  })

  it('go on for 30 s without Redis, and agree again when it is back', { timeout: 180_000 }, async () => {
    using crowd = await crowdOf('trudy')
    const half = `http://127.0.0.1:${origin.port}/bytes/${QUOTA / 2}`
    const asBob = async ({ ports }: Server, what = url()): Promise<number> =>
      download(ports.users, 'bob', PASSWORD, what)
    const [first, second, third] = servers as [Server, Server, Server]
    const tally = await underLoad(REQUESTS_PER_SECOND, ways(), url(), async () => {
      await redis.stop()
      const stoppedMs = performance.now()
      await eventually(async () => {
        for (const server of servers) expect(await sharedUp(server)).toBe(0)
      })
      for (const { ports } of servers) expect((await get(ports.admin, '/readyz')).status).toBe(200)

      // A sign-in that is new, half of a quota at each of two: each knows of its own half.
      const halves = await Promise.all([first, second].map((server) => asBob(server, half)))
      expect(halves).toEqual([QUOTA / 2, QUOTA / 2])
      expect(await asBob(first)).toBe(1_000)

      // Revoked at the first: it knows, the others cannot.
      await revokeAtFirst('trudy')
      for (const { gateway, wire } of crowd.streams)
        if (gateway === 0) expect(await wire.ended()).toBe('reset')
      await wait(Math.max(0, AWAY_MS - (performance.now() - stoppedMs)))
      for (const { gateway, wire } of crowd.streams) expect(wire.ending === undefined).toBe(gateway !== 0)

      await redis.start()
      const backMs = performance.now()
      for (const { wire } of crowd.streams) expect(await wire.ended()).toBe('reset')
      const revokedMs = performance.now() - backMs
      await eventually(async () => {
        for (const server of servers) expect(await sharedUp(server)).toBe(1)
      })
      // The third learns of both halves with the first that it relays.
      await eventually(async () => {
        for (const server of servers) expect(await asBob(server)).toBe(0)
      })
      console.log(
        `without Redis for ${AWAY_MS / 1000} s; back: what was revoked meanwhile ended after ${Math.round(revokedMs)} ms, quotas agree after ${Math.round(performance.now() - backMs)} ms`,
      )
    })
    const p99 = percentile(tally.tookMs, 0.99)
    console.log(
      `without Redis: ${tally.asked} requests, ${tally.failures.length} failed, p99 ${p99.toFixed(0)} ms`,
    )
    expect(tally.failures.slice(0, 10)).toEqual([])
    const counted = await countedTwice()
    console.log(`counted in Redis for bob: ${(counted / MEGABYTE).toFixed(2)} MB`)
    expect(counted).toBeGreaterThan(QUOTA)
    expect(counted).toBeLessThan(QUOTA * 1.1)
    expect(await asBob(third)).toBe(0)
  })

  it('one is killed: clients are back within 3 s', { timeout: 60_000 }, async () => {
    for (const way of ways()) {
      const server = await busiest()
      gateways.get(server.name)?.kill('SIGKILL')
      const killedMs = performance.now()
      let good = 0
      // Back is: ten answers in a row.
      while (good < 10) {
        const answered = await askThrough(way, url(), 1_000).then(
          () => true,
          () => false,
        )
        good = answered ? good + 1 : 0
        expect(performance.now() - killedMs).toBeLessThan(20_000)
      }
      const tookMs = performance.now() - killedMs
      console.log(
        `kill -9: ${way === ways()[0] ? 'through the balancer' : 'through the tunnel'} back after ${Math.round(tookMs)} ms`,
      )
      expect(tookMs).toBeLessThan(BACK_WITHIN_MS)
      await gateways.get(server.name)?.exited
      await startGateway(server)
      await balancer.sees(server.name, 'UP')
    }
  })

  it('are scraped by Prometheus, and held against four weeks', { timeout: 120_000 }, async () => {
    for (const { ports } of servers) {
      const { body } = await get(ports.admin, '/metrics')
      await succeed('sh', ['-c', 'exec promtool check metrics'], { input: body })
    }
    await using prometheus: Prometheus = await startPrometheus(
      dir,
      servers.map(({ ports }) => ports.admin),
      USUAL,
    )
    await eventually(async () => {
      expect(await prometheus.query('up{job="sightline"}')).toEqual([1, 1, 1])
      expect(await prometheus.query('sightline_shared_state_up')).toEqual([1, 1, 1])
      expect(
        await prometheus.query('sum(rate(sightline_streams_total{outcome="ok"}[10s])) >= 0'),
      ).toHaveLength(1)
    }, 400)
    const usual = USUAL.reduce((all, one) => all + one) / USUAL.length
    const sessions = (await Promise.all(servers.map(sessionsOf))).reduce((all, one) => all + one)
    expect(sessions).toBeGreaterThan(0)
    await eventually(async () => {
      expect(await prometheus.query('sightline:sessions:usual{job="sightline"}')).toEqual([usual])
      const [percent = 0] = await prometheus.query('sightline:sessions:percent_of_usual{job="sightline"}')
      expect(percent).toBeCloseTo((100 * sessions) / usual, 5)
    }, 400)
    const [percent] = await prometheus.query('sightline:sessions:percent_of_usual{job="sightline"}')
    console.log(`observatory: ${sessions} sessions, usual ${usual}: ${percent?.toFixed(0)} %`)
  })
})
