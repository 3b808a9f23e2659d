// The console's page in Chromium, as a teacher uses it: by keyboard alone, in both languages, with the policy of the
// console in force. It complains of nothing, fetches nothing but its own, and axe-core finds nothing against it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runConsole, type RunningConsole } from '../../support/console.ts'
import { hiddenToTheRight, openPage, violations } from '../../support/page.ts'
import { isMissing } from '../../support/programs.ts'

const NO_CHROMIUM = isMissing('chromium')

let running: RunningConsole
beforeAll(async () => {
  running = await runConsole()
})
afterAll(() => running[Symbol.asyncDispose]())

describe.skipIf(NO_CHROMIUM)('the console in a browser (needs chromium)', () => {
  it.each([
    [1440, 'light', 'en'],
    [390, 'dark', 'ur'],
  ] as const)(
    '%i px wide, %s, %s: nothing that axe-core finds, and nothing beyond the edge',
    async (width, colorScheme, language) => {
      await using open = await openPage({ url: `${running.url}?lang=${language}`, width, colorScheme })
      await open.page.click('button.send')
      await open.page.waitForFunction('document.querySelectorAll(".verdict").length === 2')
      expect(await violations(open.page)).toEqual([])
      expect(await hiddenToTheRight(open.page)).toBe(0)
      expect(open.fetched.filter((address) => !address.startsWith(running.url))).toEqual([])
      expect(open.complaints).toEqual([])
    },
  )

  it('finds an image without words and a text that is hardly visible', async () => {
    await using open = await openPage({ url: running.url, width: 390 })
    await open.page.evaluate(() => {
      const { document } = globalThis as unknown as {
        document: { body: { insertAdjacentHTML: (where: string, html: string) => void } }
      }
      document.body.insertAdjacentHTML(
        'beforeend',
        '<img src="data:,"><p style="color:#ccc;background:#fff">faint</p>',
      )
    })
    const found = (await violations(open.page)).map((text) => text.split(':')[0])
    expect(found).toEqual(expect.arrayContaining(['image-alt', 'color-contrast']))
  })
})
