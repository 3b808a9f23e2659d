// Lessons 3 and 4 in the console, by clicks, in both languages: each step of their pages that is done there, and what the
// pages say one should have seen. (Lessons 1 and 2, by keyboard alone, are in the daily tests.)
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Page } from 'playwright-core'
import type { Catalogue } from '../../src/lab/console/page/texts/catalogue.ts'
import { EN } from '../../src/lab/console/page/texts/en.ts'
import { UR } from '../../src/lab/console/page/texts/ur.ts'
import type { Information, Observer } from '../../src/policy/exposure.ts'
import { runConsole, type RunningConsole } from '../support/console.ts'
import { openPage } from '../support/page.ts'
import { isMissing } from '../support/programs.ts'

const MESSAGE = 'please keep this between us'

let running: RunningConsole
beforeAll(async () => {
  running = await runConsole()
})
afterAll(() => running[Symbol.asyncDispose]())

describe.skipIf(isMissing('chromium'))('the console, by clicks (needs chromium)', () => {
  it.each([
    ['en', EN],
    ['ur', UR],
  ] as const)(
    'lesson 3, %s: what https hides, and what a tunnel adds to it',
    async (language, texts) => {
      await using open = await openPage({
        url: `${running.url}?lang=${language}`,
        width: 1440,
        withPolicy: true,
      })
      const { page } = open
      const student = new Student(page, texts)
      await page.locator('[name=message]').fill(MESSAGE)

      // Step 2: without TLS the message lies open, with a proxy and without one.
      await student.send('direct', 'http-proxy', 'http')
      for (const pane of ['left', 'right'] as const) expect(await student.bytes(pane)).toContain(MESSAGE)

      // Steps 3 and 4: with TLS it is gone; the name of the site is still there, among bytes that are no text.
      await student.send('direct', 'http-proxy', 'https')
      for (const pane of ['left', 'right'] as const) {
        expect(await student.bytes(pane)).not.toContain(MESSAGE)
        expect(await student.bytes(pane)).toContain('city-clinic')
        expect(await student.verdict(pane)).toContain(texts.pane.verdict.sealed)
      }
      expect(await student.bytes('right')).toContain('CONNECT ')

      // Step 5: the packet and the field where the name stands.
      await student.openMatrix()
      await student.cell('access-network', 'destination-name', 'left').click()
      const dialog = page.locator('dialog[open]')
      await dialog.waitFor()
      expect(await dialog.innerText()).toMatch(/ssl\.server_name/)
      expect(await dialog.innerText()).toContain('access-network.pcapng')
      await page.keyboard.press('Escape')
      await dialog.waitFor({ state: 'detached' })

      // Steps 6 and 7: the tunnel takes the name and the greeting from the access network, and not from the operator.
      await page.locator('a[href="#watch"]').click()
      await student.send('http-proxy', 'tunnel', 'https')
      expect(await student.bytes('left')).toContain('city-clinic')
      expect(await student.bytes('right')).not.toContain('city-clinic')
      await page.locator('[name=observer][value=gateway-operator]').check({ force: true })
      for (const pane of ['left', 'right'] as const) {
        expect(await student.bytes(pane)).toContain('city-clinic')
        expect(await student.bytes(pane)).not.toContain(MESSAGE)
      }
      await student.openMatrix()
      for (const information of ['destination-name', 'client-fingerprint'] as const) {
        expect(await student.read('access-network', information)).toEqual(['clear', 'sealed'])
        expect(await student.read('gateway-operator', information)).toEqual(['clear', 'clear'])
      }
      for (const observer of ['access-network', 'gateway-operator'] as const)
        expect(await student.read(observer, 'content')).toEqual(['sealed', 'sealed'])
      expect(open.complaints).toEqual([])
    },
    60_000,
  )

  it.each([
    ['en', EN],
    ['ur', UR],
  ] as const)(
    'lesson 4, %s, step 7: who reads the name in the certificate',
    async (language, texts) => {
      await using open = await openPage({
        url: `${running.url}?lang=${language}`,
        width: 1024,
        withPolicy: true,
      })
      const student = new Student(open.page, texts)
      await student.send('http-proxy', 'tunnel', 'http')
      await student.openMatrix()
      expect(await student.read('access-network', 'client-identity')).toEqual(['clear', 'sealed'])
      expect(await student.read('gateway-operator', 'client-identity')).toEqual(['clear', 'clear'])
      expect(await student.read('destination', 'client-identity')).toEqual(['absent', 'absent'])
      expect(open.complaints).toEqual([])
    },
    60_000,
  )
})

class Student {
  readonly #page: Page
  readonly #texts: Catalogue

  constructor(page: Page, texts: Catalogue) {
    this.#page = page
    this.#texts = texts
  }

  async send(left: string, right: string, scheme: 'http' | 'https'): Promise<void> {
    const { form, modes } = this.#texts
    await this.#page.getByLabel(form.left, { exact: true }).selectOption({ label: modes[left as 'tunnel'] })
    await this.#page.getByLabel(form.right, { exact: true }).selectOption({ label: modes[right as 'tunnel'] })
    await this.#page.locator(`[name=scheme][value=${scheme}]`).check({ force: true })
    await this.#page.locator('.order-send .send').click()
    // The verdicts of the last replay go with its pieces.
    await this.#page.locator('.order-send .send[aria-disabled=true]').waitFor({ state: 'attached' })
    await this.#page.locator('.order-send .send[aria-disabled=false]').waitFor()
    for (const pane of ['left', 'right']) await this.#page.locator(`[data-pane=${pane}] .verdict`).waitFor()
  }

  bytes(pane: 'left' | 'right'): Promise<string> {
    return this.#page.locator(`[data-pane=${pane}] .pieces`).innerText()
  }

  verdict(pane: 'left' | 'right'): Promise<string> {
    return this.#page.locator(`[data-pane=${pane}] .verdict`).innerText()
  }

  async openMatrix(): Promise<void> {
    await this.#page.locator('a[href="#matrix"]').click()
    await this.#page.locator('table.matrix').waitFor()
  }

  cell(observer: Observer, information: Information, pane: 'left' | 'right'): ReturnType<Page['locator']> {
    const { parties, information: names } = this.#texts
    return this.#page
      .locator('table.matrix tbody')
      .filter({ has: this.#page.locator('th[scope=rowgroup]', { hasText: parties[observer] }) })
      .locator(`tr:nth-child(${pane === 'left' ? 1 : 2}) .cell[data-label="${names[information]}"]`)
  }

  /** What both ways have there, by the cell's colour. */
  async read(observer: Observer, information: Information): Promise<string[]> {
    const found = (['left', 'right'] as const).map(async (pane) => {
      const all = (await this.cell(observer, information, pane).getAttribute('class')) ?? ''
      return all.replace('cell ', '')
    })
    return Promise.all(found)
  }
}
