// The report in Chromium, opened as a file: axe-core finds nothing against it, wide and narrow, light and dark, with the
// evidence of a cell open too; it fetches nothing but itself; and a person with it alone comes from a cell to its bytes.
import { writeFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { htmlReport } from '../../../src/lab/report/page/report.ts'
import { hiddenToTheRight, openPage, violations } from '../../support/page.ts'
import { isMissing } from '../../support/programs.ts'
import { tempDir, type TempDir } from '../../support/temp-dir.ts'
import { measure, type Measured } from '../measure.ts'

/** Chromium and axe-core take seconds of a machine that has nothing else to do. */
const TIMEOUT_MS = 60_000

describe.skipIf(isMissing('chromium'))('the report in a browser (needs chromium)', () => {
  let directory: TempDir
  let measured: Measured
  let url: string
  beforeAll(async () => {
    directory = await tempDir()
    measured = await measure({
      seed: 'browser',
      modes: ['http-proxy', 'tunnel'],
      schemes: ['http'],
      variants: [null],
    })
    const file = directory.file('report.html')
    await writeFile(file, htmlReport({ ...measured, observers: ['access-network', 'destination'] }))
    url = pathToFileURL(file).href
  })
  afterAll(() => directory[Symbol.asyncDispose]())

  it.each([
    [1280, 'light'],
    [390, 'dark'],
  ] as const)(
    '%i px wide, %s: readable, whole, alone',
    async (width, colorScheme) => {
      await using open = await openPage({ url, width, colorScheme })
      expect(await violations(open.page)).toEqual([])
      expect(await hiddenToTheRight(open.page)).toBe(0)

      const id = 'tunnel-http.access-network.content'
      await open.page.click(`.cell[popovertarget="${id}"]`)
      const evidence = open.page.locator(`[id="${id}"]`)
      expect(await evidence.isVisible()).toBe(true)
      expect(await violations(open.page, `[id="${id}"]`)).toEqual([])
      const { canaries } = measured.recordings.find(({ scenario }) => scenario.mode === 'tunnel')!
      const text = await evidence.innerText()
      expect(text).toContain('sealed')
      expect([canaries.requestBody, canaries.responseBody].some((word) => text.includes(word))).toBe(true)
      expect(text).toMatch(/frame \d+, offset \d+, \d+ bytes/)
      // It fits, with its hexdump.
      const box = await evidence.boundingBox()
      expect((box?.x ?? -1) >= 0 && (box?.x ?? 0) + (box?.width ?? 0) <= width).toBe(true)
      const dump = `document.getElementById('${id}').querySelector('pre.hex')`
      expect(await open.page.evaluate(`${dump}.scrollWidth - ${dump}.clientWidth`)).toBe(0)

      await open.page.keyboard.press('Escape')
      expect(await evidence.isVisible()).toBe(false)
      for (const [behind, shows] of [
        ['tunnel-http.around.untold-application', canaries.untoldLabel],
        ['tunnel-http.written.log-info', '"level":"info"'],
      ] as const) {
        await open.page.click(`.cell[popovertarget="${behind}"]`)
        const part = open.page.locator(`[id="${behind}"]`)
        expect(await part.innerText()).toContain(shows)
        expect(await violations(open.page, `[id="${behind}"]`)).toEqual([])
        const of = `document.getElementById('${behind}')`
        expect(await open.page.evaluate(`${of}.scrollWidth - ${of}.clientWidth`)).toBe(0)
        await open.page.keyboard.press('Escape')
      }
      expect(open.fetched).toEqual([url])
      expect(open.complaints).toEqual([])
    },
    TIMEOUT_MS,
  )

  it(
    'goes onto few pages, with what was folded, and the evidence that is open',
    async () => {
      await using open = await openPage({ url, width: 1280 })
      const shown = open.page.locator('[id="tunnel-http.access-network.content"]')
      await open.page.emulateMedia({ media: 'print' })
      expect(await shown.isVisible()).toBe(false)
      expect(await open.page.locator('.fact li').first().isVisible()).toBe(true)
      const pages = (await open.page.pdf({ format: 'A4' })).toString('latin1').match(/\/Type\s*\/Page[^s]/g)
      expect(pages?.length).toBeGreaterThan(2)
      expect(pages?.length).toBeLessThan(20)
      await open.page.emulateMedia({ media: 'screen' })
      await open.page.click('.cell[popovertarget="tunnel-http.access-network.content"]')
      await open.page.emulateMedia({ media: 'print' })
      expect(await shown.isVisible()).toBe(true)
    },
    TIMEOUT_MS,
  )
})
