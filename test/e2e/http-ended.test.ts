// A request whose exchange the gateway itself ends before the origin has answered: the client is told why in the code of
// that, not that its origin failed.
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ConfigInput } from '../../src/config/schema.ts'
import { hashPassword } from '../../src/gateway/users.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { startRawOrigin, Wire, type RawOrigin } from '../support/wire.ts'

const ALICE = `Proxy-Authorization: Basic ${Buffer.from('alice:secret').toString('base64')}\r\n`

let dir: TempDir
beforeAll(async () => {
  dir = await tempDir()
  await writeFile(dir.file('users'), `alice:${await hashPassword('secret')}\n`)
})
afterAll(() => dir[Symbol.asyncDispose]())

const start = (limits: ConfigInput['limits']): Promise<Stack> =>
  startStack({ limits, users: dir.file('users') })

/** Asks as alice for what the origin does not answer; resolves once it is asked. */
async function askSilent(stack: Stack, origin: RawOrigin): Promise<Wire> {
  const wire = await Wire.connect(stack.ports.http)
  const before = origin.wires.length
  const host = `127.0.0.1:${origin.port}`
  wire.send(`GET http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n${ALICE}\r\n`)
  await (await origin.wire(before)).untilText('\r\n\r\n')
  return wire
}

describe('an exchange that is ended before its answer', () => {
  it('says that the bytes of the day are used up, where others have used them', async () => {
    await using origin = await startRawOrigin()
    await using stack = await start({ bytesPerDayPerIdentity: 100_000 })
    using waiting = await askSilent(stack, origin)
    using heavy = await askSilent(stack, origin)
    origin.wires[1]?.send(`HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n${'x'.repeat(200_000)}`)
    await waiting.untilText('\r\n\r\n')
    expect(waiting.text).toMatch(/^HTTP\/1\.1 429 .*\r\nsightline-error: quota-exceeded\r\n/s)
    expect(await heavy.ended()).toBe('reset')
  })

  it.each([
    ['its time is over', { lifetimeMs: 1_000 }, 503, 'lifetime-exceeded'],
    ['nothing came for too long', { idleMs: 1_000 }, 504, 'idle-timeout'],
  ])('says that %s', { timeout: 20_000 }, async (_why, limits, status, code) => {
    await using origin = await startRawOrigin()
    await using stack = await start(limits)
    using waiting = await askSilent(stack, origin)
    await waiting.untilText('\r\n\r\n')
    expect(waiting.text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} .*\r\nsightline-error: ${code}\r\n`, 's'))
  })

  it('says that the origin did not answer where that broke off', async () => {
    await using origin = await startRawOrigin()
    await using stack = await start({})
    using waiting = await askSilent(stack, origin)
    origin.wires[0]?.reset()
    await waiting.untilText('\r\n\r\n')
    expect(waiting.text).toMatch(/^HTTP\/1\.1 502 .*\r\nsightline-error: upstream-protocol-error\r\n/s)
  })
})
