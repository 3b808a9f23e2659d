// A tunnel session lives no longer than its client certificate: when that ends, so does the session, with its code.
import { afterEach, describe, expect, it, vi } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { sum } from '../support/metrics.ts'
import { startStack } from '../support/stacks.ts'

const YEAR_MS = 366 * 24 * 3_600_000
const CHECK_MS = 10_000

afterEach(() => vi.useRealTimers())

describe('a live tunnel session', () => {
  it('goes on while its certificate is good, and ends with it', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] })
    await using stack = await startStack()
    const closed = async (): Promise<number> =>
      sum(await stack.gatewayMetrics(), 'sightline_tunnel_sessions_closed_total', {
        code: 'certificate-expired',
      })
    vi.advanceTimersByTime(CHECK_MS)
    expect(sum(await stack.gatewayMetrics(), 'sightline_tunnel_sessions')).toBe(1)
    expect(await closed()).toBe(0)
    vi.setSystemTime(Date.now() + YEAR_MS)
    vi.advanceTimersByTime(CHECK_MS)
    await eventually(async () => expect(await closed()).toBe(1))
    expect(sum(await stack.gatewayMetrics(), 'sightline_tunnel_sessions')).toBe(0)
  })
})
