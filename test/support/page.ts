// A page in Debian's Chromium, for tests of how pages look and read. Rules: it gets nothing from outside this machine, and
// what it asks for or complains of is kept, so that a test can say that there was none; whoever opened it closes it.
import axe from 'axe-core'
import { chromium, type Page } from 'playwright-core'
import { findProgram, plainEnvironment } from './programs.ts'

export interface OpenPage extends AsyncDisposable {
  readonly page: Page
  /** Addresses of everything that was fetched, the page itself first. */
  readonly fetched: readonly string[]
  /** What the page's console and its scripts complained of. */
  readonly complaints: readonly string[]
}

export interface PageOptions {
  readonly url: string
  readonly width: number
  readonly height?: number
  readonly colorScheme?: 'light' | 'dark'
  /** Leaves the page's content security policy in force; axe-core cannot look at it then. */
  readonly withPolicy?: boolean
}

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-proxy-server']

/** Opens `url` (http: on this machine, or file:) and waits until it has loaded. */
export async function openPage(options: PageOptions): Promise<OpenPage> {
  const { url, width, height = 900, colorScheme = 'light', withPolicy = false } = options
  const executablePath = findProgram('chromium')
  if (executablePath === undefined) throw new Error('chromium is not installed')
  const browser = await chromium.launch({ executablePath, args: FLAGS, env: plainEnvironment() })
  try {
    // `bypassCSP`, so that axe can be put into a page that allows no script.
    const page = await browser.newPage({ viewport: { width, height }, colorScheme, bypassCSP: !withPolicy })
    const fetched: string[] = []
    const complaints: string[] = []
    page.on('request', (request) => fetched.push(request.url()))
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(error.message))
    await page.goto(url)
    return { page, fetched, complaints, [Symbol.asyncDispose]: () => browser.close() }
  } catch (thrown) {
    await browser.close()
    throw thrown
  }
}

/** What axe-core finds in `part` of a page against WCAG and its own best practices: the rule and what breaks it. */
export async function violations(page: Page, part = 'html'): Promise<string[]> {
  await page.evaluate(axe.source)
  const found = await page.evaluate<{
    violations: Array<{ id: string; nodes: Array<{ html: string; failureSummary?: string }> }>
  }>(`axe.run(${JSON.stringify(part)})`)
  return found.violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary = '' }) => `${id}: ${html.slice(0, 200)}\n${failureSummary}`),
  )
}

/** How many pixels of the page lie beyond its right edge, where nobody sees them. */
export async function hiddenToTheRight(page: Page): Promise<number> {
  return page.evaluate<number>('document.documentElement.scrollWidth - document.documentElement.clientWidth')
}
