// A writer of an authority's directory is killed a hundred times, at any moment of its work (test/pki/crash.ts): nothing
// that it said was done is lost, nothing is half there, and nobody waits for the lock of the dead.
import { describe, expect, it } from 'vitest'
import { killWriters } from '../pki/crash.ts'

const KILLS = 100

describe('an authority whose writers are killed', () => {
  it('is whole after each of a hundred', async () => {
    const done = await killWriters(KILLS)
    console.log(`${KILLS} kills: ${done} issues and revocations were said to be done, and none was lost`)
    expect(done).toBeGreaterThanOrEqual(KILLS)
  })
})
