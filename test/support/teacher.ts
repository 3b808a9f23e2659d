// A teacher who plays lessons 1 and 2 in the console by keyboard alone: Tab, arrows, Enter, Space and Escape, and what is
// typed. Rule: what is read is what the page shows; no mouse, and nothing of the page is called.
import { expect } from 'vitest'
import type { Page } from 'playwright-core'
import type { Catalogue } from '../../src/lab/console/page/texts/catalogue.ts'

const MOST_TABS = 120

/** Presses Tab until what has the focus matches `selector`. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let tabs = 0; tabs < MOST_TABS; tabs += 1) {
    await page.keyboard.press('Tab')
    if ((await page.locator(`${selector}:focus`).count()) === 1) return
  }
  throw new Error(`Tab does not reach ${selector}`)
}

async function writeOver(page: Page, selector: string, text: string): Promise<void> {
  await tabTo(page, selector)
  await page.keyboard.press('Control+A')
  await page.keyboard.type(text)
}

async function paneText(page: Page, pane: 'left' | 'right'): Promise<string> {
  return page.locator(`[data-pane=${pane}] .pieces`).innerText()
}

/** Enter in a field of the form sends; then both verdicts are waited for. */
async function send(page: Page): Promise<void> {
  await page.keyboard.press('Enter')
  await page.locator('[data-pane=left] .verdict').waitFor()
  await page.locator('[data-pane=right] .verdict').waitFor()
}

export async function playLessonOne(page: Page, texts: Catalogue, message: string): Promise<void> {
  await writeOver(page, '[name=message]', message)
  await send(page)
  expect(await page.locator('[data-pane=left] .verdict').innerText()).toContain(texts.pane.verdict.clear)
  expect(await page.locator('[data-pane=right] .verdict').innerText()).toContain(texts.pane.verdict.sealed)
  expect(await paneText(page, 'left')).toContain(message)
  expect(await paneText(page, 'right')).not.toContain(message)
  expect(await page.locator('[data-pane=right] .seal').count()).toBeGreaterThan(2)

  await tabTo(page, '[name=observer]:checked')
  await page.keyboard.press('ArrowDown')
  await page.locator('[value=gateway-operator]:checked').waitFor({ state: 'attached' })
  for (const pane of ['left', 'right'] as const) {
    expect(await page.locator(`[data-pane=${pane}] .verdict`).innerText()).toContain(texts.pane.verdict.clear)
    expect(await paneText(page, pane)).toContain(message)
  }
}

export async function playLessonTwo(page: Page, texts: Catalogue): Promise<void> {
  await writeOver(page, '[name=cookie]', 'a-teachers-cookie')
  await send(page)
  await tabTo(page, 'a[href="#matrix"]')
  await page.keyboard.press('Enter')
  await page.locator('table.matrix').waitFor()
  expect(await page.locator('.matrix .note').allInnerTexts()).toContain(
    texts.matrix.unchanged['gateway-operator'],
  )

  await tabTo(page, '.collusion label:first-of-type input')
  await page.keyboard.press('Space')
  await tabTo(page, '.collusion label:last-of-type input')
  await page.keyboard.press('Space')
  const together = await page.locator('.collusion [role=status]').innerText()
  expect(together).toContain(texts.matrix.oneKnows([texts.parties['access-network']]))
  expect(together).toContain(texts.matrix.togetherKnow)

  await tabTo(page, '.cell.sealed')
  await page.keyboard.press('Enter')
  const dialog = page.locator('dialog[open]')
  await dialog.waitFor()
  expect(await dialog.innerText()).toContain('access-network.pcapng')
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
}
