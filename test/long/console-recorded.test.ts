// What the page shows where a gateway did write down who was visited: the fault is the gateway's, switched in as for
// `lab run`, and all else is the console as it is.
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Faults } from '../../src/lab/stage.ts'
import { EN } from '../../src/lab/console/page/texts/en.ts'
import { UR } from '../../src/lab/console/page/texts/ur.ts'
import { runConsole } from '../support/console.ts'
import { hiddenToTheRight, openPage, violations } from '../support/page.ts'
import { isMissing } from '../support/programs.ts'

const lab = vi.hoisted(() => ({ faults: {} as Faults }))
vi.mock('../../src/lab/run.ts', async (original) => {
  const real = await original<typeof import('../../src/lab/run.ts')>()
  return {
    ...real,
    runLab: (options: Parameters<typeof real.runLab>[0]) => real.runLab({ ...options, faults: lab.faults }),
  }
})
afterEach(() => {
  lab.faults = {}
})

describe.skipIf(isMissing('chromium'))(
  'what the gateway wrote down, with something in it (needs chromium)',
  () => {
    it.each([
      [1440, 'light', 'en', EN],
      [390, 'dark', 'ur', UR],
    ] as const)(
      '%i px wide, %s, %s: where it stands, and whole',
      async (width, colorScheme, language, { recorded, information }) => {
        lab.faults = {
          gatewayOutbound: (outbound, { logs }) => {
            const dial = outbound.dial.bind(outbound)
            outbound.dial = (request) => {
              for (const log of logs) log.info('dial', { host: request.destination.host })
              return dial(request)
            }
          },
        }
        await using running = await runConsole()
        await using open = await openPage({ url: `${running.url}?lang=${language}`, width, colorScheme })
        await open.page.click('button.send')
        await open.page.waitForFunction('document.querySelectorAll(".verdict").length === 2')
        await open.page.locator('a[href="#matrix"]').click()
        await open.page.locator('.recorded > div .clear').nth(1).waitFor()
        const found = await open.page.locator('.recorded li').allInnerTexts()
        // Each level by itself, in both modes, and each kind once, however often it stands there.
        for (const level of ['log-debug', 'log-info'] as const)
          for (const kind of ['destination-name', 'destination-address'] as const) {
            const says = `${recorded.sources[level]}: ${information[kind]} (plain) ×`
            expect(found.filter((text) => text.startsWith(says)).length).toBe(2)
          }
        expect(found.length).toBeLessThan(20)
        expect(found.some((text) => text.includes('.sightline.test'))).toBe(true)
        expect(await open.page.locator('.recorded > div .sealed').count()).toBe(0)
        expect(await open.page.locator('.recorded').innerText()).not.toContain(recorded.but)
        expect(await hiddenToTheRight(open.page)).toBe(0)
        expect(await violations(open.page, '.recorded')).toEqual([])
      },
      60_000,
    )
  },
)
