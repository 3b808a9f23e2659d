// The clicks of lessons 1 to 4, as their pages say them: each label is found on the console's page by the words that the
// lesson uses, and what should be seen is looked for. Rule: a mouse, and what is visible; nothing of the page is called.
import { expect } from 'vitest'
import type { Locator, Page } from 'playwright-core'
import { EN } from '../../src/lab/console/page/texts/en.ts'
import type { Information, Observer } from '../../src/policy/exposure.ts'

type Pane = 'left' | 'right'
const NO_PROXY = 'no proxy'
const PLAIN = 'plain HTTP proxy'
const TUNNEL = 'tunnel'

async function choose(page: Page, first: string, second: string, site: string): Promise<void> {
  await page.getByLabel('First way').selectOption({ label: first })
  await page.getByLabel('Second way').selectOption({ label: second })
  await chooseSite(page, site)
}

async function chooseSite(page: Page, site: string): Promise<void> {
  await page.locator('form .toggle label', { hasText: site }).click()
}

async function send(page: Page): Promise<void> {
  const button = page.locator('button.send')
  expect(await button.innerText()).toBe('Send through both')
  const asked = page.waitForResponse((response) => response.url().endsWith('/api/replay'))
  await button.click()
  expect((await asked).status()).toBe(202)
  await page.locator('.send[aria-disabled=true]').waitFor({ state: 'detached' })
}

async function lookFrom(page: Page, observer: string): Promise<void> {
  await page.locator('.station', { hasText: observer }).click()
  await page.locator('.pane-party', { hasText: observer }).nth(1).waitFor()
}

async function open(page: Page, part: string): Promise<void> {
  await page.getByRole('link', { name: part, exact: true }).click()
}

const pane = (page: Page, which: Pane): Locator => page.locator(`[data-pane=${which}]`)
const bytes = async (page: Page, which: Pane): Promise<string> =>
  pane(page, which).locator('.pieces').innerText()
const verdict = async (page: Page, which: Pane): Promise<string> =>
  (await pane(page, which).locator('.verdict').innerText()).trim()
const known = async (page: Page, which: Pane): Promise<string> =>
  pane(page, which).locator('.knows').innerText()

/** The words of an observer's cell for both ways, as the matrix shows them. */
async function cells(page: Page, observer: Observer, information: Information): Promise<string[]> {
  const group = page.locator('.matrix tbody', { has: page.getByText(EN.parties[observer], { exact: true }) })
  const found = group.locator(`.cell[data-label="${EN.information[information]}"] > span:not(.unseen)`)
  return (await found.allInnerTexts()).map((text) => text.trim())
}

export async function clickLessonOne(page: Page): Promise<void> {
  const message = 'something not said aloud'
  // Step 3: they are so already.
  expect(await page.getByLabel('First way').locator('option:checked').innerText()).toBe(PLAIN)
  expect(await page.getByLabel('Second way').locator('option:checked').innerText()).toBe(TUNNEL)
  expect(await page.getByLabel('http (no TLS)').isChecked()).toBe(true)
  await page.getByLabel('Your message').fill(message)
  await send(page)
  expect(await page.getByText('Where do you look from?').isVisible()).toBe(true)
  expect(await page.locator('[name=observer]:checked').getAttribute('value')).toBe('access-network')
  expect(await verdict(page, 'left')).toBe('I read what you wrote.')
  expect(await verdict(page, 'right')).toBe('I cannot read what you wrote.')
  expect(await bytes(page, 'left')).toContain(message)
  expect(await bytes(page, 'right')).not.toContain(message)
  expect(await pane(page, 'right').locator('.seal').first().innerText()).toMatch(/^[\d,]+ bytes, encrypted$/)
  await lookFrom(page, 'Gateway operator')
  for (const which of ['left', 'right'] as const) {
    expect(await verdict(page, which)).toBe('I read what you wrote.')
    expect(await bytes(page, which)).toContain(message)
  }
  await pane(page, 'left').locator('.toggle label', { hasText: 'Hex' }).click()
  expect(await page.locator('.as-hex').count()).toBeGreaterThan(2)
  await pane(page, 'left').locator('.toggle label', { hasText: 'Text' }).click()
  await page.locator('.as-hex').first().waitFor({ state: 'detached' })
  await open(page, 'Matrix')
  const operator = page.locator('.matrix tbody', { has: page.getByText('Gateway operator', { exact: true }) })
  expect(await operator.locator('.note').innerText()).toContain(
    'Nothing changes for the operator: it learns exactly the same in both',
  )
  expect(await page.locator('.matrix .changed').count()).toBe(5)
  await operator.locator('.cell').first().click()
  await page.locator('dialog[open]').getByRole('button', { name: 'Close' }).click()
  expect(await page.getByText('What the modes do not cover').isVisible()).toBe(true)
  expect(await cells(page, 'access-network', 'client-address')).toEqual(['readable', 'readable'])
  expect(await cells(page, 'access-network', 'traffic-shape')).toEqual(['readable', 'readable'])
}

export async function clickLessonTwo(page: Page): Promise<void> {
  await open(page, 'Watch')
  await choose(page, PLAIN, TUNNEL, 'http (no TLS)')
  await page.getByLabel('Your message').fill('a message of my own')
  await page.getByLabel('Your cookie').fill('cookie-of-mine')
  await page.getByLabel('Your password').fill('a password of mine')
  await send(page)
  await lookFrom(page, 'Access network')
  for (const word of ['a message of my own', 'cookie-of-mine'])
    expect(await bytes(page, 'left')).toContain(word)
  expect(await bytes(page, 'left')).toContain('your password (base64)')
  for (const which of ['left', 'right'] as const) expect(await known(page, which)).toMatch(/^What I know now/)
  await lookFrom(page, 'Gateway operator')
  expect(await bytes(page, 'right')).toContain('a message of my own')
  expect(await bytes(page, 'right')).toContain('the name in your certificate')
  for (const observer of ['Resolver', 'Exit network', 'Destination']) {
    await lookFrom(page, observer)
    expect(await known(page, 'right')).not.toBe('')
  }
  expect(await known(page, 'left')).toContain(EN.know['client-address'].absent)
  await open(page, 'Matrix')
  expect(await page.getByText('If these put together what they have').isVisible()).toBe(true)
  await page.getByLabel('Access network', { exact: true }).first().check()
  await page.getByLabel('Destination', { exact: true }).first().check()
  const lines = page.locator('.collusion [role=status] li')
  expect((await lines.allInnerTexts()).map((line) => line.trim())).toEqual([
    `${PLAIN}: Access network already knows alone who you are and what you visited.`,
    `${TUNNEL}: none of them knows it alone; together they know who you are and what you visited.`,
  ])
  expect(await cells(page, 'destination', 'client-address')).toEqual(['not there', 'not there'])
  await page.getByLabel('First way').selectOption({ label: 'plain SOCKS proxy' })
  for (const [variant, client] of [
    ['socks5', 'readable'],
    ['socks5h', 'not there'],
  ] as const) {
    await page.getByLabel('Who looks the name up').selectOption(variant)
    await send(page)
    expect((await cells(page, 'resolver', 'client-address'))[0]).toBe(client)
    expect((await cells(page, 'access-network', 'destination-name'))[0]).toBe('readable')
  }
}

export async function clickLessonThree(page: Page): Promise<void> {
  await open(page, 'Watch')
  await choose(page, NO_PROXY, PLAIN, 'http (no TLS)')
  await send(page)
  await lookFrom(page, 'Access network')
  expect(await verdict(page, 'left')).toBe('I read what you wrote.')
  await chooseSite(page, 'https (TLS)')
  await send(page)
  for (const which of ['left', 'right'] as const)
    expect(await verdict(page, which)).toBe('I cannot read what you wrote.')
  const host = ((await page.getByLabel('Page to visit').inputValue()).split('.')[0] ?? '').trim()
  expect(await bytes(page, 'left')).toContain(host)
  expect(await bytes(page, 'right')).toContain(`CONNECT ${host}`)
  await open(page, 'Matrix')
  const name = page.locator('.matrix tbody').first().locator(`.cell[data-label="the site's name"]`).first()
  await name.click()
  const dialog = page.locator('dialog[open]')
  expect(await dialog.innerText()).toContain('ssl.server_name')
  expect(await dialog.innerText()).toContain('access-network.pcapng')
  await dialog.getByRole('button', { name: 'Close' }).click()
  await open(page, 'Watch')
  await choose(page, PLAIN, TUNNEL, 'https (TLS)')
  await send(page)
  await lookFrom(page, 'Access network')
  expect(await bytes(page, 'left')).toContain(host)
  expect(await bytes(page, 'right')).not.toContain(host)
  await lookFrom(page, 'Gateway operator')
  for (const which of ['left', 'right'] as const)
    expect(await verdict(page, which)).toBe('I cannot read what you wrote.')
  await open(page, 'Matrix')
  expect(await cells(page, 'access-network', 'destination-name')).toEqual(['readable', 'encrypted'])
  expect(await cells(page, 'access-network', 'client-fingerprint')).toEqual(['readable', 'encrypted'])
  for (const information of ['destination-name', 'client-fingerprint'] as const)
    expect(await cells(page, 'gateway-operator', information)).toEqual(['readable', 'readable'])
  expect(await cells(page, 'destination', 'content')).toEqual(['readable', 'readable'])
}

/** Step 7. */
export async function clickLessonFour(page: Page): Promise<void> {
  await open(page, 'Watch')
  await choose(page, PLAIN, TUNNEL, 'http (no TLS)')
  await send(page)
  await open(page, 'Matrix')
  expect(await cells(page, 'access-network', 'client-identity')).toEqual(['readable', 'encrypted'])
  expect(await cells(page, 'gateway-operator', 'client-identity')).toEqual(['readable', 'readable'])
  expect(await cells(page, 'destination', 'client-identity')).toEqual(['not there', 'not there'])
}
