// The console through ten minutes of replays one after the other: neither the page nor the server grows, and the page stays
// smooth. Prints its figures; memory is read after a collection, so that it is what is held and not what waits.
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { startSightline } from '../support/gateway-process.ts'
import { openPage } from '../support/page.ts'
import { isMissing } from '../support/programs.ts'

const MINUTES = Number(process.env['SIGHTLINE_SOAK_MINUTES'] ?? 10)
const EVERY_MS = 10_000
const MIB = 1024 ** 2
/** Above the first samples after the warm-up; what a leak of one replay in each would pass in a minute. */
const MOST_GROWTH = { pageMiB: 3, nodes: 200, serverMiB: 40 }

interface Sample {
  readonly pageMiB: number
  readonly nodes: number
  readonly serverMiB: number
  readonly longestFrameMs: number
}

const WATCH_FRAMES = `
  globalThis.longest = 0
  let last = performance.now()
  const step = (now) => { globalThis.longest = Math.max(globalThis.longest, now - last); last = now; requestAnimationFrame(step) }
  requestAnimationFrame(step)`

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0

describe.skipIf(isMissing('chromium'))('the console (needs chromium)', () => {
  it(
    `${MINUTES} minutes of replays: no growth in page or server`,
    async () => {
      await using served = await startSightline(['lab', 'serve', '--listen', '127.0.0.1:0'])
      await using open = await openPage({ url: `http://127.0.0.1:${served.port('console')}/`, width: 1440 })
      const devtools = await open.page.context().newCDPSession(open.page)
      await open.page.evaluate(WATCH_FRAMES)
      await open.page.locator('.order-send .quiet').click()
      await open.page.locator('.verdict').first().waitFor()
      const samples: Sample[] = []
      const until = performance.now() + MINUTES * 60_000
      while (performance.now() < until) {
        await wait(EVERY_MS)
        await devtools.send('HeapProfiler.collectGarbage')
        const { usedSize } = (await devtools.send('Runtime.getHeapUsage')) as { usedSize: number }
        const { nodes } = (await devtools.send('Memory.getDOMCounters')) as { nodes: number }
        const longestFrameMs = await open.page.evaluate<number>('const l = longest; longest = 0; l')
        samples.push({ pageMiB: usedSize / MIB, nodes, serverMiB: await served.memoryMiB(), longestFrameMs })
      }
      const replays = open.fetched.filter((address) => address.endsWith('/api/replay')).length
      // The first fifth warms up.
      const settled = samples.slice(Math.ceil(samples.length / 5))
      const third = Math.floor(settled.length / 3)
      const growth = (key: keyof Sample): number =>
        median(settled.slice(-third).map((one) => one[key])) -
        median(settled.slice(0, third).map((one) => one[key]))
      const figure = (key: keyof Sample): string =>
        `${median(settled.map((one) => one[key])).toFixed(1)} (${growth(key).toFixed(1)} more at the end)`
      console.log(
        `${replays} replays; page ${figure('pageMiB')} MiB, ${figure('nodes')} nodes; server ${figure('serverMiB')} MiB; longest frame, median of ${EVERY_MS / 1000} s: ${figure('longestFrameMs')} ms`,
      )
      expect(replays).toBeGreaterThan(MINUTES * 10)
      expect(open.complaints).toEqual([])
      expect(growth('pageMiB')).toBeLessThan(MOST_GROWTH.pageMiB)
      expect(growth('nodes')).toBeLessThan(MOST_GROWTH.nodes)
      expect(growth('serverMiB')).toBeLessThan(MOST_GROWTH.serverMiB)
    },
    MINUTES * 60_000 + 60_000,
  )
})
