// A gateway and the store that it shares, where that is away, lies, comes late, or is another after a reload.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hashPassword } from '../../src/gateway/users.ts'
import { readRevocationLists } from '../../src/pki/revocation-list-reader.ts'
import { issue, revoke } from '../../src/pki/store.ts'
import { eventually } from '../support/eventually.ts'
import { sum } from '../support/metrics.ts'
import { makeAuthority, startReplica, statusFor, type Replica } from '../support/replicas.ts'
import { bulk, emptyStore, startStorePeer, type StorePeer } from '../support/store-peer.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { startRawOrigin, Wire } from '../support/wire.ts'

let authority: TempDir
/** A later list than that of the files, which revokes mallory. */
let later: string
let store: StorePeer
let held: string
beforeAll(async () => {
  authority = await makeAuthority()
  const before = await readFile(authority.file('ca.crl'))
  await issue(authority.path, 'mallory', { kind: 'client', hosts: [] })
  await revoke(authority.path, 'mallory')
  later = await readFile(authority.file('ca.crl'), 'utf8')
  await writeFile(authority.file('ca.crl'), before)
})
afterAll(() => authority[Symbol.asyncDispose]())
beforeEach(async () => {
  held = ''
  store = await startStorePeer((command, socket) => {
    if (command[0] === 'GETRANGE') return bulk(held.slice(0, Number(command[3]) + 1))
    if (command[0] === 'SET') held = command[2] ?? ''
    return emptyStore(command, socket)
  })
})
afterEach(() => store[Symbol.asyncDispose]())

/** How long a start waits for a store that is away, and for one that is there on a slow machine. */
const AWAY_MS = 250
const THERE_MS = 10_000
const start = (timeoutMs: number, required = false): Promise<Replica> =>
  startReplica({
    authority,
    state: { redis: `redis://127.0.0.1:${store.port}`, required, timeoutMs },
  })
const numberOf = (pem: string): number => readRevocationLists(pem)[0]?.number ?? -1
const errors = async (replica: Replica, code: string): Promise<number> =>
  sum(await replica.metrics(), 'sightline_shared_state_errors_total', { code })

describe('a gateway with a store', () => {
  it('has given its list before it is ready', async () => {
    await using replica = await start(THERE_MS)
    expect(held.split('\n')[0]).toBe(String(numberOf(later) - 1))
    expect(replica.gateway.ready).toBe(true)
  })

  it('takes a list of which nobody has told it, and keeps it whatever stands there then', async () => {
    await using replica = await start(THERE_MS)
    expect(await saidTo(replica, 'mallory')).toMatch(/^HTTP\/1.1 426/)
    held = `${numberOf(later)}\n${later}`
    await eventually(async () =>
      expect(await saidTo(replica, 'mallory')).toContain('error: certificate-revoked'),
    )
    // Its own file again, as it was.
    await writeFile(replica.files.file('ca.crl'), await readFile(authority.file('ca.crl')))
    await eventually(async () =>
      expect(sum(await replica.metrics(), 'sightline_file_reloads_total', { outcome: 'ok' })).toBe(1),
    )
    expect(await saidTo(replica, 'mallory')).toContain('error: certificate-revoked')
    held = '999\nnot a list'
    store.call('sightline:changed')
    await eventually(() => expect(held).toBe(`${numberOf(later)}\n${later}`))
    expect(await saidTo(replica, 'mallory')).toContain('error: certificate-revoked')
    expect(await saidTo(replica, 'client')).toMatch(/^HTTP\/1.1 426/)
    expect(await errors(replica, 'state-invalid')).toBe(1)
  })

  it('starts without it, is ready or not as configured, and has its lists as soon as it is there', async () => {
    held = `${numberOf(later)}\n${later}`
    const { answer } = store
    store.answer = () => '-LOADING Redis is loading the dataset in memory\r\n'
    await using patient = await start(AWAY_MS)
    await using strict = await start(AWAY_MS, true)
    expect([patient.gateway.ready, strict.gateway.ready]).toEqual([true, false])
    expect(await errors(strict, 'state-unavailable')).toBeGreaterThan(0)
    expect(sum(await strict.metrics(), 'sightline_shared_state_up')).toBe(0)
    expect(await saidTo(patient, 'mallory')).toMatch(/^HTTP\/1.1 426/)
    store.answer = answer
    await eventually(() => expect(strict.gateway.ready).toBe(true))
    await eventually(async () =>
      expect(await saidTo(patient, 'mallory')).toContain('error: certificate-revoked'),
    )
    expect(sum(await strict.metrics(), 'sightline_shared_state_up')).toBe(1)
  })

  it('starts without it by the lists that others gave before, where they are kept and whole', async () => {
    await using kept = await tempDir()
    const directory = kept.file('lists')
    const again = (timeoutMs = AWAY_MS): Promise<Replica> =>
      startReplica({
        authority,
        state: { redis: `redis://127.0.0.1:${store.port}`, timeoutMs, directory },
      })
    held = `${numberOf(later)}\n${later}`
    {
      await using replica = await again(THERE_MS)
      expect(await saidTo(replica, 'mallory')).toContain('error: certificate-revoked')
    }
    store.answer = () => '-LOADING Redis is loading the dataset in memory\r\n'
    {
      await using replica = await again()
      expect(await saidTo(replica, 'mallory')).toContain('error: certificate-revoked')
    }
    const [file = ''] = await readdir(directory)
    await writeFile(path.join(directory, file), '99\nno list')
    {
      await using replica = await again()
      expect(await saidTo(replica, 'mallory')).toMatch(/^HTTP\/1.1 426/)
      expect(await errors(replica, 'state-invalid')).toBe(1)
    }
    await rm(directory, { recursive: true })
    await writeFile(directory, 'no directory')
    await using replica = await again()
    expect(await errors(replica, 'file-unusable')).toBe(1)
  })

  it('shares another one after a reload, or none, and does not forget what it knows', async () => {
    held = `${numberOf(later)}\n${later}`
    await using replica = await start(THERE_MS)
    expect(await saidTo(replica, 'mallory')).toContain('error: certificate-revoked')
    const given: string[] = []
    await using other = await startStorePeer((command, socket) => {
      if (command[0] === 'SET') given.push(command[2] ?? '')
      return emptyStore(command, socket)
    })
    const { state } = replica.config
    const moved = {
      ...replica.config,
      state: state && { ...state, redis: `redis://127.0.0.1:${other.port}` },
    }
    await replica.gateway.reload(moved)
    expect(given[0]).toBe(held)
    expect(await saidTo(replica, 'mallory')).toContain('error: certificate-revoked')
    await eventually(() => expect(store.connections).toBe(0))

    await writeFile(replica.files.file('secret'), 'too short')
    await expect(replica.gateway.reload(moved)).rejects.toMatchObject({ code: 'file-unusable' })
    expect(other.connections).toBe(1)
    await replica.gateway.reload({ ...moved, state: undefined })
    await eventually(() => expect(other.connections).toBe(0))
    expect(await replica.metrics()).not.toMatch(/^sightline_shared_state_up/m)
  })
})

describe('a sign-in at a gateway with a store', () => {
  it('is counted there by what nobody can read, and waits or is turned away for what was counted elsewhere', async () => {
    const users = `alice:${await hashPassword('correct')}\n`
    await using replica = await startReplica({
      authority,
      users,
      state: { redis: `redis://127.0.0.1:${store.port}`, timeoutMs: THERE_MS },
    })
    const { answer } = store
    let waitMs = 0
    store.answer = (command, socket) => (command[0] === 'EVAL' ? `:${waitMs}\r\n` : answer(command, socket))
    expect(await statusFor(replica, 'alice:wrong')).toBe('407')
    waitMs = 9_000
    expect(await statusFor(replica, 'alice:correct')).toBe('429')
    const evaluated = store.commands.filter(([name]) => name === 'EVAL')
    expect(evaluated).toHaveLength(3)
    expect(JSON.stringify(store.commands)).not.toMatch(/alice|127\.0\.0\.1|wrong|correct/)
    // What it was not given, it cannot answer; here goes on.
    store.answer = (command, socket) => (command[0] === 'EVAL' ? '-NOPERM no\r\n' : answer(command, socket))
    expect(await statusFor(replica, 'alice:correct')).toBe('403')
    expect(
      sum(await replica.metrics(), 'sightline_shared_state_errors_total', {
        part: 'sign-ins',
        code: 'state-auth-failed',
      }),
    ).toBe(1)
  })
})

describe('a quota at a gateway with a store', () => {
  it.each([
    ['goes on by what is known here', 'local', '403'],
    ['is given to nobody where that is asked for, until the store is there', 'refuse', '503'],
  ] as const)('%s while it is away', async (_what, whenAway, status) => {
    const { answer } = store
    store.answer = () => '-LOADING Redis is loading the dataset in memory\r\n'
    await using replica = await startReplica({
      authority,
      users: `alice:${await hashPassword('correct')}\n`,
      limits: { bytesPerDayPerIdentity: 100_000 },
      state: { redis: `redis://127.0.0.1:${store.port}`, timeoutMs: AWAY_MS, whenAway },
    })
    expect(await statusFor(replica, 'alice:correct')).toBe(status)
    store.answer = (command, socket) =>
      command[0] === 'EVAL' ? `*1\r\n${bulk('0')}` : answer(command, socket)
    await eventually(async () => expect(await statusFor(replica, 'alice:correct')).toBe('403'))
  })

  it('has been told there of all that moved when a drain is over', async () => {
    await using origin = await startRawOrigin()
    const { answer } = store
    store.answer = (command, socket) => {
      if (command[0] !== 'EVAL') return answer(command, socket)
      return command[2] === '1' ? `*1\r\n${bulk(command.at(-1) ?? '')}` : ':0\r\n'
    }
    await using replica = await startReplica({
      authority,
      users: `alice:${await hashPassword('correct')}\n`,
      limits: { bytesPerDayPerIdentity: 100_000 },
      state: { redis: `redis://127.0.0.1:${store.port}`, timeoutMs: THERE_MS },
    })
    using wire = await Wire.connect(replica.port(0))
    const basic = Buffer.from('alice:correct').toString('base64')
    wire.send(`CONNECT 127.0.0.1:${origin.port} HTTP/1.1\r\nproxy-authorization: Basic ${basic}\r\n\r\n`)
    await wire.untilText('\r\n\r\n')
    wire.send('x'.repeat(1_234))
    await (await origin.wire()).untilBytes(1_234)
    await replica.gateway.drain(1)
    expect(store.commands.findLast(([name]) => name === 'EVAL')?.at(-1)).toBe('1234')
  })
})

/** The first answer of its tunnel listener to a client with this certificate. */
async function saidTo(replica: Replica, name: string): Promise<string> {
  using wire = await Wire.connectTls(replica.port(4), {
    ca: await readFile(authority.file('ca.crt')),
    cert: await readFile(authority.file(`${name}.crt`)),
    key: await readFile(authority.file(`${name}.key`)),
  })
  wire.send('GET /tunnel HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await wire.untilText('\r\n\r\n')
  return wire.text
}
