// Waits for what sends no event: a condition of another process, or a counter. Rule: a bounded number of
// tries, and the last reason is what the test fails with.
import { setTimeout as wait } from 'node:timers/promises'

const TRIES = 200
const BETWEEN_MS = 50

/** Calls `check` until it does not throw; gives what it gave. Rejects with its last error after about 10 s. */
export async function eventually<T>(check: () => T | Promise<T>, tries = TRIES): Promise<T> {
  for (let left = tries; ; left -= 1) {
    try {
      return await check()
    } catch (thrown) {
      if (left <= 1) throw thrown
    }
    await wait(BETWEEN_MS)
  }
}
