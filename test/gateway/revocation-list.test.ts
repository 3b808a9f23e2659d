// A revocation list that is past due or cannot be read: nobody new is let in, what is open goes on, and the log keeps
// saying why, at a low rate. A list that is only half written for a moment changes nothing.
import { rm, writeFile } from 'node:fs/promises'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { configSchema } from '../../src/config/schema.ts'
import { openAuthority } from '../../src/pki/authority.ts'
import { createRevocationList } from '../../src/pki/revocation-list.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { joinObservers, Log } from '../../src/telemetry/log.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { samples, sum } from '../support/metrics.ts'
import { makeTestPki, type TestPki } from '../support/pki.ts'
import { everyInbound, LOOPBACK_EGRESS, writePki } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { UPGRADE } from '../support/tunnel-peer.ts'
import { startRawOrigin, Wire } from '../support/wire.ts'

const LOOK_MS = 300
const GRACE_MS = 10_000
const DAY_MS = 86_400_000

let pki: TestPki
beforeAll(async () => {
  pki = await makeTestPki()
})
afterEach(() => vi.useRealTimers())

interface Running extends AsyncDisposable {
  readonly dir: TempDir
  readonly log: string[]
  /** A tunnel client's connection, upgraded where it is let in. */
  knock(): Promise<Wire>
  /** A connection to the encrypted proxy that wants a certificate. */
  reachProxy(): Promise<Wire>
  metrics(): Promise<string>
}

async function start(list: string): Promise<Running> {
  const dir = await tempDir()
  await writePki(dir, pki)
  await writeFile(dir.file('ca.crl'), list)
  const metrics = new Metrics('test')
  const log: string[] = []
  const writer = new Log('info', { write: (line: string) => log.push(line) })
  const gateway = await Gateway.start({
    config: configSchema.parse({
      inbounds: [...everyInbound(dir), { ...everyInbound(dir)[4], type: 'http' }],
      egress: LOOPBACK_EGRESS,
    }),
    observer: joinObservers(metrics.observer, writer.observer),
  })
  const { certificate: cert, key } = pki.client
  const reach = (index: number): Promise<Wire> =>
    Wire.connectTls(gateway.addresses[index]?.address.port ?? 0, {
      ca: pki.authority.certificate,
      cert,
      key,
    })
  return {
    dir,
    log,
    metrics: () => metrics.registry.metrics(),
    knock: async () => {
      const wire = await reach(4)
      wire.send(UPGRADE)
      await wire.untilText('\r\n\r\n')
      return wire
    },
    reachProxy: () => reach(5),
    [Symbol.asyncDispose]: async () => {
      gateway.destroy()
      await dir[Symbol.asyncDispose]()
    },
  }
}

const listOf = async (days: number): Promise<string> =>
  (
    await createRevocationList(openAuthority(pki.authority), {
      revocations: [],
      number: 9,
      now: new Date(Date.now() - 2 * DAY_MS),
      days,
    })
  ).pem

/** The clock's own, whatever is faked: what the disk takes is not faked either. */
const realTimeout = globalThis.setTimeout

/** Lets the gateway's clock go on until `check` holds. */
async function passUntil(check: () => boolean | Promise<boolean>): Promise<void> {
  for (let left = 500; left > 0 && !(await check()); left -= 1) await pass(LOOK_MS)
  expect(await check()).toBe(true)
}

async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += LOOK_MS) {
    await vi.advanceTimersByTimeAsync(LOOK_MS)
    await new Promise((resolve) => realTimeout(resolve, 5))
  }
}

describe('a revocation list that is past due', () => {
  it('lets nobody in, is counted, and the log says why without a line for each client', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
    await using running = await start(await listOf(1))
    for (let count = 0; count < 3; count++) {
      using wire = await running.knock()
      expect(wire.text).toMatch(/^HTTP\/1\.1 503 .*\r\nsightline-error: revocation-list-unusable\r\n/s)
    }
    const metrics = await running.metrics()
    expect(sum(metrics, 'sightline_refusals_total', { code: 'revocation-list-unusable' })).toBe(3)
    const [expiry] = samples(metrics, 'sightline_certificate_expiry_timestamp_seconds', {
      part: 'revocation-list',
    })
    expect(expiry?.value).toBeLessThan(Date.now() / 1000)
    const why = (): number => running.log.filter((line) => line.includes('nobody new is let in')).length
    expect(why()).toBe(1)
    expect(JSON.parse(running.log.find((line) => line.includes('nobody new')) ?? '')).toMatchObject({
      level: 'error',
      part: 'revocation-list',
    })
    expect(running.log.filter((line) => line.includes('"level":"error"'))).toHaveLength(1)
    vi.advanceTimersByTime(9 * 60_000)
    expect(why()).toBe(1)
    vi.advanceTimersByTime(2 * 60_000)
    expect(why()).toBe(2)
  })

  it('lets nothing new begin on a connection to the encrypted proxy that was let in before', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
    await using origin = await startRawOrigin((wire) => wire.send('HTTP/1.1 204 No Content\r\n\r\n'))
    await using running = await start(await listOf(12))
    using wire = await running.reachProxy()
    const ask = `GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: x\r\n\r\n`
    wire.send(ask)
    await wire.untilText('\r\n\r\n')
    expect(wire.text).toMatch(/^HTTP\/1\.1 204 /)
    vi.setSystemTime(Date.now() + 20 * DAY_MS)
    wire.send(ask)
    await wire.untilText('revocation-list-unusable')
    expect(wire.text).toMatch(/HTTP\/1\.1 503 .*\r\nsightline-error: revocation-list-unusable\r\n/s)
  })

  it('is warned of well before, once a day', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
    await using running = await start(await listOf(12))
    const warnings = (): unknown[] =>
      running.log
        .filter((line) => line.includes('ends soon'))
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .map(({ level, part, daysLeft }) => [level, part, daysLeft])
    using wire = await running.knock()
    expect(wire.text).toContain(' 101 ')
    expect(warnings()).toEqual([])
    vi.setSystemTime(Date.now() + 7 * DAY_MS)
    vi.advanceTimersByTime(60_000)
    expect(warnings()).toEqual([['warn', 'revocation-list', 2]])
    vi.advanceTimersByTime(DAY_MS)
    expect(warnings()).toHaveLength(2)
  })
})

describe('a revocation list that cannot be read', () => {
  it.each([
    [
      'is half written',
      async (dir: TempDir, list: string) => writeFile(dir.file('ca.crl'), list.slice(0, 200)),
    ],
    ['is empty', async (dir: TempDir) => writeFile(dir.file('ca.crl'), '')],
    ['is gone', async (dir: TempDir) => rm(dir.file('ca.crl'))],
  ])(
    'because it %s changes nothing for a while, then lets nobody in until it is good again',
    async (_why, spoil) => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      await using running = await start(pki.revocationList)
      using before = await running.knock()
      expect(before.text).toContain(' 101 ')
      await spoil(running.dir, pki.revocationList)
      await pass(2_000)
      expect(running.log.join('')).toMatch(
        /"part":"client-authority","msg":"not reloaded: what was read before goes on"/,
      )
      using meanwhile = await running.knock()
      expect(meanwhile.text).toContain(' 101 ')

      await pass(GRACE_MS)
      using refused = await running.knock()
      expect(refused.text).toContain('sightline-error: revocation-list-unusable')
      const expiry = async (): Promise<number | undefined> =>
        samples(await running.metrics(), 'sightline_certificate_expiry_timestamp_seconds', {
          part: 'revocation-list',
        })[0]?.value
      expect(before.ending).toBeUndefined()

      await writeFile(running.dir.file('ca.crl'), pki.revocationList)
      await pass(2_000)
      using again = await running.knock()
      expect(again.text).toContain(' 101 ')
      expect(await expiry()).toBeGreaterThan(Date.now() / 1000)
      expect(before.ending).toBeUndefined()
    },
  )

  it('for less than that is nobody’s business', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    await using running = await start(pki.revocationList)
    await writeFile(running.dir.file('ca.crl'), pki.revocationList.slice(0, 200))
    await passUntil(() => running.log.some((line) => line.includes('not reloaded')))
    await writeFile(running.dir.file('ca.crl'), pki.revocationList)
    await passUntil(() => running.log.some((line) => line.includes('"msg":"reloaded"')))
    await pass(2 * GRACE_MS)
    using wire = await running.knock()
    expect(wire.text).toContain(' 101 ')
  })
})
