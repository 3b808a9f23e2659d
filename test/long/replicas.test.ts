// Three gateways behind HAProxy, with a tunnel client before it and Prometheus beside: a rolling restart under load fails no
// request, a gateway that is killed is missed for a moment, and Prometheus scrapes all three and compares with four weeks.
// All of Debian's packages, all on loopback. Redis and what it shares between gateways have a test of their own.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConfigInput } from '../../src/config/schema.ts'
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { get, serve, type SightlineProcess } from '../support/gateway-process.ts'
import { sum } from '../support/metrics.ts'
import { findProgram, succeed } from '../support/programs.ts'
import { startOrigin, type Origin } from '../support/origin.ts'
import { clientConfig } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { startBalancer, type Balancer, type Server } from './replicas/balancer.ts'
import { askThrough, percentile, underLoad } from './replicas/load.ts'
import { startPrometheus, type Prometheus } from './replicas/prometheus.ts'

const NAMES = ['a', 'b', 'c']
const REQUESTS_PER_SECOND = 200
const BACK_WITHIN_MS = 3_000
/** Sessions at this hour of the past weeks; the mean is what is usual. */
const USUAL = [2, 4, 6, 8]
const missing = ['haproxy', 'prometheus', 'promtool'].filter((name) => findProgram(name) === undefined)

let dir: TempDir
let origin: Origin
let servers: Server[]
let balancer: Balancer
let client: SightlineProcess
const gateways = new Map<string, SightlineProcess>()

function configOf({ ports }: Server): ConfigInput {
  const tls = {
    certificate: dir.file('gateway.crt'),
    key: dir.file('gateway.key'),
    clientAuthority: dir.file('ca.crt'),
    revocationList: dir.file('ca.crl'),
  }
  const proxyProtocol = ['127.0.0.1']
  return {
    inbounds: [
      { type: 'http', listen: `127.0.0.1:${ports.http}`, proxyProtocol },
      { type: 'tunnel', listen: `127.0.0.1:${ports.tunnel}`, tls, proxyProtocol },
    ],
    egress: { allow: ['127.0.0.0/8'] },
    admin: { listen: `127.0.0.1:${ports.admin}` },
    // HAProxy looks five times a second.
    drainDelayMs: 1_000,
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

describe.skipIf(missing.length > 0)(`three gateways (needs ${missing.join(', ') || 'nothing more'})`, () => {
  beforeAll(async () => {
    dir = await tempDir()
    await ensureDevelopmentPki(dir.path)
    origin = await startOrigin()
    servers = []
    for (const name of NAMES)
      servers.push({
        name,
        ports: { http: await freePort(), tunnel: await freePort(), admin: await freePort() },
      })
    await Promise.all(servers.map(startGateway))
    balancer = await startBalancer(dir, servers)
    client = await serve(dir.file('client.json'), clientConfig(dir, balancer.ports.tunnel))
    await eventually(() => Promise.all(ways().map((port) => askThrough(port, url()))))
  }, 120_000)

  afterAll(async () => {
    await client?.[Symbol.asyncDispose]()
    await balancer?.[Symbol.asyncDispose]()
    for (const gateway of gateways.values()) await gateway[Symbol.asyncDispose]()
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
