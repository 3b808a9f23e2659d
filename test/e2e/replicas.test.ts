// Two gateways that share a Redis: failed sign-ins, the bytes of a day and usage count together, and what one learns is
// revoked ends at the other too, over TLS, with a user of the access list, with a message or without; and a gateway that
// starts late lets nobody in whom the others know to be out.
import { readFileSync } from 'node:fs'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { hashPassword } from '../../src/gateway/users.ts'
import { issue, revoke } from '../../src/pki/store.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { type } from '../cli/terminal.ts'
import { eventually } from '../support/eventually.ts'
import { samples, sum } from '../support/metrics.ts'
import { isMissing } from '../support/programs.ts'
import { startRedis, type Redis } from '../support/redis.ts'
import {
  makeAuthority,
  startReplica,
  statusFor,
  type Replica,
  type ReplicaOptions,
} from '../support/replicas.ts'
import { clientConfig } from '../support/stacks.ts'
import { type TempDir } from '../support/temp-dir.ts'
import { connectHead } from '../support/through.ts'
import { startRawOrigin, Wire, type RawOrigin } from '../support/wire.ts'

const TUNNEL = 4
const PASSWORD = 'wort'
/** What docs/operating.md says that a gateway needs. */
const ACL = readFileSync(path.join(import.meta.dirname, '../../config/deploy/compose/store.acl'), 'utf8')
const COMMANDS = [...ACL.matchAll(/\+\w+/g)].map(([command]) => command)

let authority: TempDir
/** That vouches for nothing here. */
let stranger: TempDir
let origin: RawOrigin
beforeAll(async () => {
  authority = await makeAuthority()
  stranger = await makeAuthority()
  for (const name of ['mallory', 'trudy', 'eve'])
    await issue(authority.path, name, { kind: 'client', hosts: [] })
  origin = await startRawOrigin()
})
afterAll(async () => {
  await origin[Symbol.asyncDispose]()
  await authority[Symbol.asyncDispose]()
  await stranger[Symbol.asyncDispose]()
})

async function connect(replica: Replica, name: string): Promise<Gateway> {
  const config = configSchema.parse(clientConfig(authority, replica.port(TUNNEL), name))
  return Gateway.start({ config, observer: new Metrics('test', { ofProcess: false }).observer })
}

async function liveStream(client: Gateway): Promise<Wire> {
  const wire = await Wire.connect(client.addresses[0]?.address.port ?? 0)
  wire.send(connectHead('127.0.0.1', origin.port))
  await wire.untilText('\r\n\r\n')
  expect(wire.text).toMatch(/^HTTP\/1.1 200/)
  return wire
}

const sendUntilReset = (wire: Wire): Promise<void> =>
  eventually(() => {
    wire.send('x')
    expect(wire.ending).toBe('reset')
  })

/** Revokes, and gives the list to this replica alone. */
async function revokeAt(replica: Replica, name: string): Promise<void> {
  await revoke(authority.path, name)
  await copyFile(authority.file('ca.crl'), replica.files.file('ca.crl'))
}

describe.skipIf(isMissing('redis-server', 'redis-cli'))('two gateways (needs redis-server)', () => {
  let redis: Redis
  beforeAll(async () => {
    redis = await startRedis([
      ...['--tls-port', 'PORT', '--tls-cert-file', authority.file('gateway.crt')],
      ...['--tls-key-file', authority.file('gateway.key'), '--tls-ca-cert-file', authority.file('ca.crt')],
      ...[
        '--tls-auth-clients',
        'no',
        '--user',
        'default',
        'off',
        '--user',
        'sightline',
        'on',
        `>${PASSWORD}`,
      ],
      ...['~sightline:*', '&sightline:*', '-@all', ...COMMANDS],
    ])
    await writeFile(authority.file('password'), `${PASSWORD}\n`)
  })
  afterAll(() => redis?.[Symbol.asyncDispose]())

  const start = (
    users?: string,
    limits?: ConfigInput['limits'],
    more: Partial<ReplicaOptions['state']> = {},
    usage?: ConfigInput['usage'],
  ): Promise<Replica> =>
    startReplica({
      authority,
      limits,
      usage,
      ...(users !== undefined && { users }),
      state: {
        redis: `rediss://localhost:${redis.port}`,
        timeoutMs: 10_000,
        username: 'sightline',
        passwordFile: authority.file('password'),
        authority: authority.file('ca.crt'),
        ...more,
      },
    })

  it.each([
    ['a server that another authority vouches for', { authority: 'other' }, 'state-untrusted'],
    ['a wrong password', { passwordFile: 'other' }, 'state-auth-failed'],
    ['a user that is not there', { username: 'nobody' }, 'state-auth-failed'],
    ['a server that speaks TLS where none is meant', { redis: 'redis' }, 'state-unavailable'],
  ])('say what is wrong with %s', async (_what, wrong, code) => {
    const files = { authority: stranger.file('ca.crt'), passwordFile: stranger.file('ca.crt') }
    await using replica = await start(undefined, undefined, {
      timeoutMs: 250,
      ...('authority' in wrong && { authority: files.authority }),
      ...('passwordFile' in wrong && { passwordFile: files.passwordFile }),
      ...('username' in wrong && { username: wrong.username }),
      ...('redis' in wrong && { redis: `redis://localhost:${redis.port}`, authority: undefined }),
    })
    await eventually(async () =>
      expect(
        samples(await replica.metrics(), 'sightline_shared_state_errors_total', { part: 'connection', code })
          .length,
      ).toBe(1),
    )
    expect(sum(await replica.metrics(), 'sightline_shared_state_up')).toBe(0)
  })

  it('end the streams of a certificate that one of them learns is revoked; others go on', async () => {
    await using one = await start()
    await using other = await start()
    const clients = [
      await connect(one, 'mallory'),
      await connect(other, 'mallory'),
      await connect(other, 'client'),
    ]
    const [here, there, good] = await Promise.all(clients.map(liveStream))
    await revokeAt(one, 'mallory')
    expect(await here?.ended()).toBe('reset')
    expect(await there?.ended()).toBe('reset')
    expect(good?.ending).toBe(undefined)
    const text = await other.metrics()
    expect(sum(text, 'sightline_shared_state_up')).toBe(1)
    expect(sum(text, 'sightline_shared_state_last_sync_timestamp_seconds')).toBeGreaterThan(1e9)
    expect(samples(text, 'sightline_shared_state_errors_total')).toEqual([])

    // One that starts now, with files from before.
    await writeFile(authority.file('old.crl'), await readFile(other.files.file('ca.crl')))
    await copyFile(authority.file('old.crl'), authority.file('ca.crl'))
    await using late = await start()
    await copyFile(one.files.file('ca.crl'), authority.file('ca.crl'))
    const lateClient = await connect(late, 'mallory')
    using refused = await Wire.connect(lateClient.addresses[0]?.address.port ?? 0)
    refused.send(connectHead('127.0.0.1', origin.port))
    await refused.ended()
    expect(refused.text).toContain('sightline-error: certificate-revoked')
    for (const client of [...clients, lateClient]) client.destroy()
  })

  it('count failed sign-ins together, with no more access than docs/operating.md gives', async () => {
    const users = `alice:${await hashPassword('correct')}\n`
    await using one = await start(users)
    await using other = await start(users)
    expect(await statusFor(one, 'alice:wrong')).toBe('407')
    expect(await statusFor(other, 'alice:correct')).toBe('403')
    for (const replica of [one, other])
      expect(samples(await replica.metrics(), 'sightline_shared_state_errors_total')).toEqual([])
  })

  it('count the bytes of a day together: used up at one is used up at the other, for what is open there too', async () => {
    const users = `alice:${await hashPassword('correct')}\nbob:${await hashPassword('his')}\n`
    const limits = { bytesPerDayPerIdentity: 100_000 }
    await using one = await start(users, limits)
    await using other = await start(users, limits)
    const basic = Buffer.from('alice:correct').toString('base64')
    const head = `\r\nproxy-authorization: Basic ${basic}\r\n\r\n`
    const stream = async (replica: Replica): Promise<Wire> => {
      const wire = await Wire.connect(replica.port(0))
      wire.send(connectHead('127.0.0.1', origin.port).replace('\r\n\r\n', head))
      await wire.untilText('\r\n\r\n')
      expect(wire.text).toMatch(/^HTTP\/1.1 200/)
      return wire
    }
    using open = await stream(other)
    using heavy = await stream(one)
    heavy.send('x'.repeat(100_001))
    expect(await heavy.ended()).toBe('reset')
    // With the next byte of it that the other is asked about.
    await sendUntilReset(open)
    expect(await statusFor(other, 'alice:correct')).toBe('429')
    expect(await statusFor(other, 'bob:his')).toBe('403')
    // One that starts now learns it from the first that is relayed.
    await using late = await start(users, limits)
    using fresh = await stream(late)
    await sendUntilReset(fresh)
    expect(await statusFor(late, 'alice:correct')).toBe('429')
    for (const replica of [one, other, late])
      expect(samples(await replica.metrics(), 'sightline_shared_state_errors_total')).toEqual([])
  })

  it('show who moved how much at all of them, which a drain has told to the last byte', async () => {
    const users = `alice:${await hashPassword('correct')}\n`
    const usage = { store: 'usage.db' }
    const moved: unknown[] = []
    {
      await using one = await start(users, undefined, {}, usage)
      await using other = await start(users, undefined, {}, usage)
      for (const [replica, count] of [
        [one, 1_000],
        [other, 234],
      ] as const) {
        using wire = await Wire.connect(replica.port(0))
        const basic = Buffer.from('alice:correct').toString('base64')
        const head = `\r\nproxy-authorization: Basic ${basic}\r\n\r\n`
        const before = origin.wires.length
        wire.send(connectHead('127.0.0.1', origin.port).replace('\r\n\r\n', head))
        await wire.untilText('\r\n\r\n')
        wire.send('x'.repeat(count))
        await (await origin.wire(before)).untilBytes(count)
      }
      await Promise.all([one, other].map(({ gateway }) => gateway.drain(1)))
      for (const replica of [one, other])
        expect(samples(await replica.metrics(), 'sightline_shared_state_errors_total')).toEqual([])
      const file = one.files.file('gateway.json')
      await writeFile(
        file,
        JSON.stringify({ inbounds: [{ type: 'http', listen: '127.0.0.1:0' }], state: one.config.state }),
      )
      const { exit, out, err } = await type([
        'usage',
        '--config',
        file,
        '--shared',
        '--json',
        '--since',
        'yesterday',
      ])
      expect([exit, err]).toEqual([0, ''])
      for (const row of JSON.parse(out) as Array<Record<string, unknown>>) moved.push({ ...row, day: '' })
      await writeFile(one.files.file('secret'), 'another secret of replicas, in a test only')
      const strange = await type(['usage', '--config', file, '--shared', '--since', 'yesterday'])
      expect(strange.err).toMatch(/^warning: 2 rows were sealed with another secret/)
    }
    expect(moved).toEqual([
      { day: '', kind: 'user', name: 'alice', streams: 2, bytesUp: 1_234, bytesDown: 0, bytesPerDay: 0 },
    ])
  })
})
