// A few of the hundred kills of test/long/usage-killed.test.ts.
import { describe, expect, it } from 'vitest'
import { killWriters } from './usage-killed.ts'

describe('a writer of usage that is killed', () => {
  it('leaves what was taken, whole and once', { timeout: 60_000 }, async () => {
    const { taken } = await killWriters(4)
    expect(taken).toBeGreaterThanOrEqual(4)
  })
})
