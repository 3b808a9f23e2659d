// The console's page in Chromium, as a teacher uses it: by keyboard alone, in both languages, with the policy of the
// console in force. It complains of nothing, fetches nothing but its own, and axe-core finds nothing against it.
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SECTIONS, type Section } from '../../../src/lab/console/page/texts/catalogue.ts'
import { EN } from '../../../src/lab/console/page/texts/en.ts'
import { UR } from '../../../src/lab/console/page/texts/ur.ts'
import { gatewayFacts } from '../../../src/lab/console/gateway-facts.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'
import { BENCH_RESULTS } from '../../support/bench-results.ts'
import { runConsole, type RunningConsole } from '../../support/console.ts'
import { hiddenToTheRight, openPage, violations } from '../../support/page.ts'
import { isMissing } from '../../support/programs.ts'
import { tempDir, type TempDir } from '../../support/temp-dir.ts'
import { playLessonOne, playLessonTwo } from '../../support/teacher.ts'

/** What is there once a part of the page is. */
const SHOWS: Readonly<Record<Section, string>> = {
  watch: '.panes',
  matrix: 'table.matrix',
  cost: '#cost',
  gateway: '.tiles',
  lessons: '.lessons',
}
const NO_CHROMIUM = isMissing('chromium')

let running: RunningConsole
let results: TempDir
beforeAll(async () => {
  results = await tempDir()
  await writeFile(results.file('modes.json'), JSON.stringify(BENCH_RESULTS))
  const { registry } = new Metrics('test')
  const source = { version: 'test', registry, ready: () => true, certificates: { gateway: 'none' } }
  running = await runConsole({
    gateway: () => gatewayFacts(source, Date.now()),
    cost: async () => [],
    bench: results.path,
  })
})
afterAll(async () => {
  await running[Symbol.asyncDispose]()
  await results[Symbol.asyncDispose]()
})

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
      for (const part of SECTIONS) {
        await open.page.locator(`a[href="#${part}"]`).click()
        await open.page.locator(`main:has(${SHOWS[part]})`).waitFor()
        expect(await violations(open.page)).toEqual([])
        expect(await hiddenToTheRight(open.page)).toBe(0)
      }
      // The cost is what the bench left, with its ranges.
      await open.page.locator('a[href="#cost"]').click()
      const { ms, mbs, range } = (language === 'en' ? EN : UR).cost
      const ofTunnel = [range(ms(2), ms(1), ms(3)), range(mbs(200), mbs(100), mbs(300))]
      const ranges = open.page.locator('.cost-table td bdi')
      await ranges.last().waitFor()
      expect((await ranges.allInnerTexts()).slice(-2)).toEqual(ofTunnel)
      await open.page.locator('a[href="#matrix"]').click()
      const { recorded } = language === 'en' ? EN : UR
      await open.page.locator('.recorded > div .sealed').nth(1).waitFor()
      // Of the first way and of the second: what was searched, and that nothing was found there.
      expect(await open.page.locator('.recorded > div .sealed').allInnerTexts()).toEqual(
        Array<string>(2).fill(recorded.nothing),
      )
      await open.page.locator('.cell.inferable').first().click()
      await open.page.locator('dialog[open]').waitFor()
      expect(await violations(open.page)).toEqual([])
      expect(open.fetched.filter((address) => !address.startsWith(running.url))).toEqual([])
      expect(open.complaints).toEqual([])
    },
    60_000,
  )

  // In both languages, and from a cold start: test/cli/up.test.ts.
  it('lessons 1 and 2 by keyboard alone, with the policy in force: it reports nothing', async () => {
    await using open = await openPage({ url: `${running.url}?lang=en`, width: 1440, withPolicy: true })
    await playLessonOne(open.page, EN, 'keep this between us, please')
    await playLessonTwo(open.page, EN)
    expect(open.complaints).toEqual([])
    expect(open.fetched.filter((address) => !address.startsWith(running.url))).toEqual([])
    // The policy is in force, and what breaks it is complained of.
    await open.page.addScriptTag({ content: 'document.title = "planted"' }).catch(() => {})
    expect(open.complaints.join()).toMatch(/TrustedScript|Content Security Policy/)
    expect(await open.page.title()).toBe(EN.title)
  }, 60_000)

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
