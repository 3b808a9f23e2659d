// Bytes by user and certificate, as they are kept: exact, over a restart, which a quota survives too, and nothing beside
// names and sums.
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ConfigInput } from '../../src/config/schema.ts'
import { hashPassword } from '../../src/gateway/users.ts'
import { readUsage } from '../../src/state/usage-reader.ts'
import { sum } from '../support/metrics.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { connectHead, open, reach, WAYS } from '../support/through.ts'
import { startRawOrigin, type RawOrigin, type Wire } from '../support/wire.ts'

const TUNNEL = WAYS.find(({ name }) => name === 'tunnel by SOCKS5')!
const EVERY_DAY = { since: 0, until: 100_000 }

let dir: TempDir
let origin: RawOrigin
beforeEach(async () => {
  dir = await tempDir()
  await writeFile(dir.file('users'), `alice:${await hashPassword('secret')}\n`)
  origin = await startRawOrigin()
})
afterEach(async () => {
  await origin[Symbol.asyncDispose]()
  await dir[Symbol.asyncDispose]()
})

function start(limits: ConfigInput['limits'] = {}): Promise<Stack> {
  return startStack({ limits, users: dir.file('users'), usage: { store: dir.file('usage.db') } })
}

/** CONNECT as alice; gives the wire and the status. */
async function connectAsAlice(stack: Stack): Promise<{ wire: Wire; status: number }> {
  const wire = await reach(stack, 'http')
  const credentials = `Proxy-Authorization: Basic ${btoa('alice:secret')}\r\n\r\n`
  wire.send(connectHead('127.0.0.1', origin.port).replace(/\r\n$/, credentials))
  const received = await wire.untilText('\r\n\r\n')
  return {
    wire,
    status: Number(
      wire
        .take(received.indexOf('\r\n\r\n') + 4)
        .toString()
        .split(' ')[1],
    ),
  }
}

/** So many bytes up, twice as many down, until all have arrived. */
async function exchange(wire: Wire, bytes: number): Promise<void> {
  const site = await origin.wire(origin.wires.length - 1)
  wire.send(Buffer.alloc(bytes, 'u'))
  await site.untilBytes(bytes)
  site.send(Buffer.alloc(2 * bytes, 'd'))
  await wire.untilBytes(2 * bytes)
}

function counted(): unknown[] {
  return readUsage(dir.file('usage.db'), EVERY_DAY).map(({ identity, up, down, streams }) => [
    `${identity.kind} ${identity.name}`,
    up,
    down,
    streams,
  ])
}

describe('usage', () => {
  it('is counted to the byte, by user and certificate, and survives a restart', async () => {
    {
      await using stack = await start()
      const { wire } = await connectAsAlice(stack)
      await exchange(wire, 10_000)
      const tunnelled = await open(stack, TUNNEL, '127.0.0.1', origin.port)
      await exchange(tunnelled, 300)
      stack.gateway.destroy()
      expect(counted()).toEqual([
        ['certificate client', 300, 600, 1],
        ['user alice', 10_000, 20_000, 1],
      ])
      expect(sum(await stack.gatewayMetrics(), 'sightline_usage_store_up')).toBe(1)
      const held = readFileSync(dir.file('usage.db'))
      expect(held.includes('alice')).toBe(true)
      for (const not of ['127.0.0.1', 'secret', String(origin.port)]) expect(held.includes(not)).toBe(false)
    }
    await using stack = await start({
      bytesPerDayPerIdentity: 31_000,
      quotas: [{ identity: 'client', kind: 'certificate', bytesPerDay: 900 }],
    })
    const { wire, status } = await connectAsAlice(stack)
    expect(status).toBe(200)
    await exchange(wire, 300)
    wire.send(Buffer.alloc(101))
    await wire.ended()
    expect((await connectAsAlice(stack)).status).toBe(429)
    await expect(open(stack, TUNNEL, '127.0.0.1', origin.port)).rejects.toThrow('refused')
    expect(sum(await stack.gatewayMetrics(), 'sightline_refusals_total', { code: 'quota-exceeded' })).toBe(2)
    stack.gateway.destroy()
    expect(counted()).toEqual([
      ['certificate client', 300, 600, 1],
      ['user alice', 10_401, 20_600, 2],
    ])
  })
})
