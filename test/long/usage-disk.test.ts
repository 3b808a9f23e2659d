// The store of usage on a disk that fills up and on one that is read-only at the start, both real (a tmpfs in a mount
// namespace of the test's own; root): the gateway serves, says that nothing is kept, and has kept all of it once it can.
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hashPassword } from '../../src/gateway/users.ts'
import { get, serve, type SightlineProcess } from '../support/gateway-process.ts'
import { sum } from '../support/metrics.ts'
import { findProgram, run, start } from '../support/programs.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { connectHead } from '../support/through.ts'
import { startRawOrigin, Wire, type RawOrigin } from '../support/wire.ts'

const MAIN = new URL('../../src/main.ts', import.meta.url).pathname
const NOT_KEPT = /"code":"usage-store-unavailable","msg":"usage is not kept; it is counted in memory"/
const KEPT = /"msg":"usage is kept"/

let dir: TempDir
let disk: string
let origin: RawOrigin
/** Begins each command in the namespace. */
let inside: string[]
let keeper: ReturnType<typeof start>

beforeEach(async () => {
  dir = await tempDir()
  disk = dir.file('disk')
  await mkdir(disk)
  await writeFile(dir.file('users'), `alice:${await hashPassword('secret')}\n`)
  origin = await startRawOrigin()
  keeper = start('unshare', [
    '-m',
    'sh',
    '-c',
    `mount -t tmpfs -o size=256k tmpfs "$1" && echo up && exec cat`,
    'sh',
    disk,
  ])
  await once(keeper.stdout!, 'data')
  inside = ['nsenter', '-t', String(keeper.pid), '-m']
})
afterEach(async () => {
  keeper.stdin?.end()
  await once(keeper, 'close')
  await origin[Symbol.asyncDispose]()
  await dir[Symbol.asyncDispose]()
})

const gateway = (): Promise<SightlineProcess> =>
  serve(
    dir.file('gateway.json'),
    {
      inbounds: [{ type: 'http', listen: '127.0.0.1:0', auth: { users: 'users' } }],
      egress: { allow: ['127.0.0.0/8'] },
      usage: { store: 'disk/usage.db' },
    },
    inside,
  )

async function onDisk(script: string): Promise<string> {
  const [nsenter = '', ...words] = inside
  const shell = ['sh', '-c', `cd "$1"; ${script}`, 'sh', disk]
  const { code, stdout, stderr } = await run(nsenter, [...words, ...shell])
  expect([code, stderr]).toEqual([0, ''])
  return stdout.toString()
}

/** 1,000 bytes up and 2,000 down as alice, through. */
async function exchange(through: SightlineProcess): Promise<void> {
  const before = origin.wires.length
  using wire = await Wire.connect(through.port('http'))
  const credentials = `Proxy-Authorization: Basic ${btoa('alice:secret')}\r\n\r\n`
  wire.send(connectHead('127.0.0.1', origin.port).replace(/\r\n$/, credentials))
  wire.take((await wire.untilText('\r\n\r\n')).indexOf('\r\n\r\n') + 4)
  using site = await origin.wire(before)
  wire.send(Buffer.alloc(1_000))
  await site.untilBytes(1_000)
  site.send(Buffer.alloc(2_000))
  await wire.untilBytes(2_000)
}

async function kept(): Promise<number[]> {
  const [row] = JSON.parse(
    await onDisk(`"${process.execPath}" "${MAIN}" usage --store usage.db --since yesterday --json`),
  ) as Array<{ streams: number; bytesUp: number; bytesDown: number }>
  return row === undefined ? [] : [row.streams, row.bytesUp, row.bytesDown]
}

/** The line that is written next. */
async function nextLine(of: SightlineProcess, pattern: RegExp, after: number): Promise<void> {
  await expect
    .poll(() => of.err.slice(after).some((line) => pattern.test(line)), { timeout: 20_000 })
    .toBe(true)
}

const cannot =
  ['unshare', 'nsenter'].some((name) => findProgram(name) === undefined) || process.getuid?.() !== 0

describe.skipIf(cannot)('the store of usage (needs root, unshare, nsenter)', () => {
  it('on a disk that fills up takes all of it once there is room', async () => {
    await using process = await gateway()
    await process.errLine(KEPT)
    await exchange(process)
    await onDisk('cat /dev/zero >filler 2>/dev/null || true')
    await exchange(process)
    await process.errLine(NOT_KEPT)
    const said = process.err.length
    await exchange(process)
    const metrics = (await get(process.port('admin'), '/metrics')).body
    expect(sum(metrics, 'sightline_usage_store_up')).toBe(0)
    expect(
      sum(metrics, 'sightline_usage_store_errors_total', { code: 'usage-store-unavailable' }),
    ).toBeGreaterThan(0)
    await onDisk('rm filler')
    await nextLine(process, KEPT, said)
    expect(await kept()).toEqual([3, 3_000, 6_000])
    expect(process.err.filter((line) => NOT_KEPT.test(line)).length).toBe(1)
  })

  it('on a disk that is full or read-only at the start does not keep the gateway from it', async () => {
    {
      await using process = await gateway()
      await exchange(process)
      process.kill('SIGTERM')
      expect(await process.exited).toBe(0)
    }
    expect(await kept()).toEqual([1, 1_000, 2_000])
    for (const [spoil, mend] of [
      ['mount -o remount,ro "$1"', 'mount -o remount,rw "$1"'],
      ['cat /dev/zero >filler 2>/dev/null || true', 'rm filler'],
    ] as const) {
      const before = await kept()
      await onDisk(spoil)
      await using process = await gateway()
      await exchange(process)
      await process.errLine(NOT_KEPT)
      const said = process.err.length
      await onDisk(mend)
      await nextLine(process, KEPT, said)
      expect(await kept()).toEqual(before.map((value, index) => value + [1, 1_000, 2_000][index]!))
      process.kill('SIGTERM')
      expect(await process.exited).toBe(0)
    }
  })
})
