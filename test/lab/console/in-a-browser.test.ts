// The console's page in Chromium: axe-core finds nothing against it, narrow and wide, in light and in dark; it fetches
// nothing but itself; and the check does find what is wrong.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startConsole } from '../../../src/lab/console/console.ts'
import type { Listener } from '../../../src/transport/listener.ts'
import { hiddenToTheRight, openPage, violations } from '../../support/page.ts'
import { isMissing } from '../../support/programs.ts'
import { resultOf, runOf } from '../matrix/results.ts'

const NO_CHROMIUM = isMissing('chromium')
const ROWS = { access: 'CSS-SSC-', gateway: 'CCCCCCC-', destination: '--CCCCC-' }
const RESULT = resultOf('console', runOf('tunnel', null, 'http', ROWS))

let listener: Listener
let url: string
beforeAll(async () => {
  listener = await startConsole({
    listen: { host: '127.0.0.1', port: 0 },
    facts: () => ({ addresses: [], tries: [{ what: 'HTTP proxy', command: 'curl -x http://a b' }] }),
    measure: async () => RESULT,
  })
  url = `http://127.0.0.1:${listener.address.port}/`
})
afterAll(() => listener.close())

describe.skipIf(NO_CHROMIUM)('the console in a browser (needs chromium)', () => {
  it.each([
    [1280, 'light'],
    [390, 'dark'],
  ] as const)(
    '%i px wide, %s: nothing that axe-core finds, and nothing beyond the edge',
    async (width, colorScheme) => {
      await using open = await openPage({ url, width, colorScheme })
      await open.page.click('button')
      await open.page.waitForSelector('table.matrix')
      expect(await violations(open.page)).toEqual([])
      expect(await hiddenToTheRight(open.page)).toBe(0)
      expect(open.fetched.filter((address) => !address.startsWith(url))).toEqual([])
    },
  )

  it('finds an image without words and a text that is hardly visible', async () => {
    await using open = await openPage({ url, width: 390 })
    await open.page.evaluate(
      `document.body.insertAdjacentHTML('beforeend', '<img src="data:,"><p style="color:#ccc;background:#fff">faint</p>')`,
    )
    const found = (await violations(open.page)).map((text) => text.split(':')[0])
    expect(found).toEqual(expect.arrayContaining(['image-alt', 'color-contrast']))
  })
})
