// sightline usage: who moved how much, for people and for programs, and what is said where there is nothing to say.
import { writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ConfigInput } from '../../src/config/schema.ts'
import type { Identity } from '../../src/protocol/request.ts'
import { UsageFile } from '../../src/state/usage-store.ts'
import { startStorePeer } from '../support/store-peer.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { type, type Typed } from './terminal.ts'

const JANUARY = Date.UTC(2026, 0, 1) / 86_400_000
const ALICE: Identity = { kind: 'user', name: 'alice' }
const LAPTOP: Identity = { kind: 'certificate', name: 'laptop' }
/** A certificate's name may hold anything. */
const HOSTILE: Identity = { kind: 'certificate', name: 'x\u001b[2J\u202e\\\u{e0041}' }

let dir: TempDir
let store: UsageFile
beforeEach(async () => {
  dir = await tempDir()
  store = UsageFile.open(dir.file('usage.db'))
  store.add([
    { identity: ALICE, day: JANUARY, up: 1_000, down: 2_000, streams: 3 },
    { identity: ALICE, day: JANUARY + 1, up: 0, down: 5_500_000, streams: 1 },
    { identity: LAPTOP, day: JANUARY + 1, up: 3 * 2 ** 30, down: 1, streams: 20 },
    { identity: HOSTILE, day: JANUARY + 2, up: 1, down: 0, streams: 1 },
  ])
})
afterEach(async () => {
  store.close()
  await dir[Symbol.asyncDispose]()
})

function say(line: string): Promise<Typed> {
  return type(['usage', ...line.split(' ')], { dir: dir.path })
}

async function configure(config: Partial<ConfigInput>): Promise<void> {
  const inbounds: ConfigInput['inbounds'] = [{ type: 'http', listen: '127.0.0.1:0' }]
  await writeFile(dir.file('gateway.json'), JSON.stringify({ inbounds, ...config }))
}

describe('sightline usage', () => {
  it('shows a day, by the store alone', async () => {
    const { exit, out, err } = await say('--store DIR/usage.db --day 2026-01-01')
    expect([exit, err]).toEqual([0, ''])
    expect(out).toBe(
      [
        'moved on 2026-01-01 (UTC)',
        'kind  name   streams      up     down  together',
        'user  alice        3  1000 B  2.0 KiB   2.9 KiB',
      ].join('\n'),
    )
  })

  it('sums days, the largest first, and says how much of a quota the fullest of them took', async () => {
    await configure({
      usage: { store: 'usage.db' },
      limits: {
        bytesPerDayPerIdentity: 10_000_000,
        quotas: [{ identity: 'laptop', kind: 'certificate', bytesPerDay: 0 }],
      },
    })
    const { out } = await say('--config DIR/gateway.json --since 2026-01-01 --until 2026-01-02')
    expect(out).toBe(
      [
        'moved from 2026-01-01 to 2026-01-02 (UTC)',
        'kind         name    streams       up     down  together  quota a day  most used on a day',
        'certificate  laptop       20  3.0 GiB      1 B   3.0 GiB         none',
        'user         alice         4   1000 B  5.2 MiB   5.2 MiB      9.5 MiB                55 %',
      ].join('\n'),
    )
  })

  it('shows no name that a terminal would act on, in either form', async () => {
    const day = '--store DIR/usage.db --day 2026-01-03'
    const { out } = await say(day)
    expect(out.split('\n')[2]).toMatch(/^certificate {2}x\\u\{1b\}\[2J\\u\{202e\}\\\\\\u\{e0041\} {2}/)
    const json = (await say(`${day} --json`)).out
    expect(json).toMatch(/^[\n -~]+$/)
    expect(JSON.parse(json)).toEqual([
      { day: '2026-01-03', ...HOSTILE, streams: 1, bytesUp: 1, bytesDown: 0 },
    ])
  })

  it('gives programs each day, with its quota, of one identity', async () => {
    await configure({ usage: { store: 'usage.db' }, limits: { bytesPerDayPerIdentity: 7 } })
    const { out } = await say('--config DIR/gateway.json --since 2026-01-01 --identity alice --json')
    expect(JSON.parse(out)).toEqual([
      { day: '2026-01-01', ...ALICE, streams: 3, bytesUp: 1_000, bytesDown: 2_000, bytesPerDay: 7 },
      { day: '2026-01-02', ...ALICE, streams: 1, bytesUp: 0, bytesDown: 5_500_000, bytesPerDay: 7 },
    ])
  })

  it('says so where nothing was moved', async () => {
    const { exit, out } = await say('--store DIR/usage.db --day 2025-12-31')
    expect([exit, out]).toEqual([0, 'nothing was moved on 2025-12-31 (UTC)'])
    expect((await say('--store DIR/usage.db')).out).toMatch(/^nothing was moved on 20\d\d-\d\d-\d\d \(UTC\)$/)
    expect((await say('--store DIR/usage.db --day 2025-12-31 --json')).out).toBe('[]')
  })

  it('says what is wrong with the store, and what to do', async () => {
    expect(await say('--store DIR/no.db')).toEqual({
      exit: 1,
      out: '',
      err: 'error: DIR/no.db: there is no such file; hint: check the path; a gateway with usage.store makes it when it starts',
    })
    await configure({})
    expect((await say('--config DIR/gateway.json')).err).toBe(
      'error: DIR/gateway.json keeps no usage; hint: add usage: { store: usage.db } to it; it counts from then on',
    )
    await writeFile(dir.file('bad.db'), 'no store of anything'.repeat(100))
    expect((await say('--store DIR/bad.db')).err).toMatch(
      /^error: DIR\/bad\.db is damaged, or is no store of usage; hint: move it away /,
    )
    await configure({ usage: { store: 'bad.db' } })
    for (const command of [
      ['config', 'check', 'DIR/gateway.json'],
      ['serve', '--config', 'DIR/gateway.json'],
    ])
      expect(await type(command, { dir: dir.path })).toMatchObject({
        exit: 1,
        err: expect.stringMatching(/^error: DIR\/bad\.db is damaged/) as string,
      })
  })

  it.each([
    ['--store DIR/usage.db --shared', 2, /^error: --shared goes with --config; hint: /],
    [
      '--config DIR/gateway.json --shared',
      1,
      /^error: DIR\/gateway.json shares nothing with other gateways; hint: /,
    ],
  ])('%s has nothing to ask', async (line, exit, message) => {
    await configure({ usage: { store: 'usage.db' } })
    const typed = await say(line)
    expect([typed.exit, typed.out]).toEqual([exit, ''])
    expect(typed.err).toMatch(message)
  })

  it('says what is wrong with the server that gateways share', async () => {
    await writeFile(dir.file('secret'), 'a secret of replicas, in a test only')
    await using peer = await startStorePeer(() => '-WRONGPASS invalid username-password pair\r\n')
    await configure({ state: { redis: `redis://127.0.0.1:${peer.port}`, secretFile: 'secret' } })
    const { exit, err } = await say('--config DIR/gateway.json --shared')
    expect(exit).toBe(1)
    expect(err).toMatch(
      /^error: what the gateways share does not accept this gateway's credentials; hint: check state/,
    )
  })
})
