// The clock jumps by a day, forward or back: what is open goes on, who comes is judged by the clock as it is now, with a code
// that says so, and waits are measured by a clock that does not jump.
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { makeTestPki, type TestPki } from '../support/pki.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { open, WAYS, type Way } from '../support/through.ts'
import { startRawOrigin, Wire } from '../support/wire.ts'

const DAY_MS = 86_400_000
const way = (name: string): Way => WAYS.find((each) => each.name === name)!
const PLAIN = way('http-proxy')
const TUNNEL = way('tunnel by HTTP')

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: Date.now() }))
afterEach(() => void vi.useRealTimers())

let pki: TestPki
beforeAll(async () => {
  pki = await makeTestPki()
})

/** What a new tunnel connection with the good certificate is told; 'let in' where nothing is. */
async function newcomer(stack: Stack): Promise<string> {
  using wire = await Wire.connectTls(stack.ports.tunnel, {
    ca: pki.authority.certificate,
    cert: pki.client.certificate,
    key: pki.client.key,
    // The gateway's own certificate is not the question.
    rejectUnauthorized: false,
  })
  wire.send('GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await wire.untilText('\r\n\r\n')
  const code = /sightline-error: (\S+)/.exec(wire.text)?.[1] ?? ''
  return code === 'not-found' ? 'let in' : code
}

describe('a clock that jumps', () => {
  it.each([
    ['a day forward', 'let in', DAY_MS],
    ['a day back', 'certificate-not-yet-valid', -DAY_MS],
    ['past the end of the certificates', 'certificate-expired', 400 * DAY_MS],
  ] as const)('%s: who comes is told %s, and what is open goes on', async (_how, told, byMs) => {
    await using origin = await startRawOrigin()
    await using stack = await startStack({ pki })
    using plain = await open(stack, PLAIN, '127.0.0.1', origin.port)
    using tunnelled = await open(stack, TUNNEL, '127.0.0.1', origin.port)
    expect(await newcomer(stack)).toBe('let in')

    vi.setSystemTime(Date.now() + byMs)
    expect(await newcomer(stack)).toBe(told)
    plain.send('plain goes on')
    await (await origin.wire(0)).untilText('plain goes on')
    using fresh = await open(stack, PLAIN, '127.0.0.1', origin.port)
    expect(fresh.ending).toBe(undefined)
    // Past its certificate's end a session is ended at the next look (test/inbound/tunnel-expiry.test.ts).
    tunnelled.send('and so does the tunnel')
    await (await origin.wire(1)).untilText('and so does the tunnel')
  })

  it('begins a new day of bytes, and ends no wait early', async () => {
    await using origin = await startRawOrigin()
    await using stack = await startStack({
      pki,
      limits: { bytesPerDayPerIdentity: 1_000, idleMs: 3_600_000 },
    })
    using first = await open(stack, TUNNEL, '127.0.0.1', origin.port)
    first.send(Buffer.alloc(2_000))
    expect(await first.ended()).toBe('reset')
    await expect(open(stack, TUNNEL, '127.0.0.1', origin.port)).rejects.toThrow('429')
    vi.setSystemTime(Date.now() + DAY_MS)
    using next = await open(stack, TUNNEL, '127.0.0.1', origin.port)
    vi.setSystemTime(Date.now() + DAY_MS / 2)
    next.send('not idle for half a day')
    await (await origin.wire(1)).untilText('not idle for half a day')
  })
})
