// Firefox loads a page and what its script asks for, through the SOCKS proxy, the HTTP proxy and the tunnel client. It
// is done once the origin has seen the script's own request; the gateway's counters prove the way. Rule: a profile of
// its own, and it is ended by its process id.
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { startOrigin, type Origin } from '../../support/origin.ts'
import { isMissing, start } from '../../support/programs.ts'
import { startStack, type Stack } from '../../support/stacks.ts'
import { counted } from './counted.ts'

const OBJECTS = 20
const OBJECT = Buffer.alloc(5_000, 'x')
const PAGE = `<!doctype html><title>twenty</title><link rel="icon" href="data:,"><script>
Promise.all(Array.from({ length: ${OBJECTS} }, (_, n) => fetch('/object/' + n).then((r) => r.text())))
  .then((texts) => fetch('/done/' + texts.map((text) => text.length).reduce((a, b) => a + b)))
</script>`

/** A name that no resolver of this machine has. */
const SITE = 'only-the-gateway-knows.example'
const START_MS = 60_000

let stack: Stack
let origin: Origin
beforeAll(async () => {
  stack = await startStack({ resolve: async () => ['127.0.0.1'] })
  origin = await startOrigin({
    handle: (request, response) => {
      const isPage = request.url === '/'
      response.writeHead(200, {
        'content-type': isPage ? 'text/html' : 'text/plain',
        'cache-control': 'no-store',
      })
      response.end(isPage ? PAGE : OBJECT)
    },
  })
})
afterAll(async () => {
  await origin.close()
  await stack[Symbol.asyncDispose]()
})

type Preferences = Readonly<Record<string, string | number | boolean>>

const HTTP: Preferences = {
  'network.proxy.type': 1,
  'network.proxy.http': '127.0.0.1',
  'network.proxy.no_proxies_on': '',
}
const SOCKS: Preferences = {
  'network.proxy.type': 1,
  'network.proxy.socks': '127.0.0.1',
  'network.proxy.socks_version': 5,
  'network.proxy.socks_remote_dns': true,
  'network.proxy.no_proxies_on': '',
}
/** Nothing but the page: no updates, no experiments, no look whether there is a network. */
const QUIET: Preferences = {
  'network.proxy.allow_hijacking_localhost': true,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'network.dns.disablePrefetch': true,
  'network.prefetch-next': false,
  'app.update.enabled': false,
  'app.normandy.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.safebrowsing.blockedURIs.enabled': false,
  'browser.search.update': false,
  'browser.aboutwelcome.enabled': false,
  'browser.newtabpage.enabled': false,
  'browser.region.network.url': '',
  'datareporting.policy.dataSubmissionEnabled': false,
  'datareporting.healthreport.uploadEnabled': false,
  'toolkit.telemetry.enabled': false,
  'toolkit.telemetry.server': '',
  'services.settings.server': '',
  'extensions.getAddons.cache.enabled': false,
  'extensions.systemAddon.update.enabled': false,
  'extensions.update.enabled': false,
  'media.gmp-manager.url': '',
  'dom.security.https_only_mode': false,
  'dom.security.https_first': false,
}

/** Shows the page in a new profile until the origin has seen `/done/`. */
async function browse(name: string, preferences: Preferences): Promise<void> {
  const profile = stack.pki.file(name)
  await mkdir(profile)
  const lines = Object.entries({ ...QUIET, ...preferences }).map(
    ([key, value]) => `user_pref(${JSON.stringify(key)}, ${JSON.stringify(value)});\n`,
  )
  await writeFile(`${profile}/user.js`, lines.join(''))
  const env = { HOME: profile, MOZ_CRASHREPORTER_DISABLE: '1', MOZ_HEADLESS: '1', XDG_RUNTIME_DIR: profile }
  const args = ['--headless', '--no-remote', '--profile', profile, `http://${SITE}:${origin.port}/`]
  const browser = start('firefox-esr', args, { env })
  browser.stdout?.resume()
  browser.stderr?.resume()
  const closed = once(browser, 'close')
  try {
    await eventually(() => {
      expect(browser.exitCode).toBeNull()
      expect(origin.requests.map(({ url }) => url)).toContain(`/done/${OBJECTS * OBJECT.length}`)
    }, 800)
  } finally {
    browser.kill('SIGTERM')
    await closed
  }
}

describe.skipIf(isMissing('firefox-esr'))('firefox (needs firefox-esr)', () => {
  it.each([
    { name: 'the SOCKS proxy', listener: 'socks', preferences: SOCKS, port: 'network.proxy.socks_port' },
    { name: 'the HTTP proxy', listener: 'http', preferences: HTTP, port: 'network.proxy.http_port' },
    { name: 'the tunnel client', listener: 'client', preferences: SOCKS, port: 'network.proxy.socks_port' },
  ] as const)(
    `loads a page and ${OBJECTS} objects through $name`,
    async ({ listener, preferences, port }) => {
      origin.requests.length = 0
      await counted(
        stack,
        listener,
        () => browse(listener, { ...preferences, [port]: stack.ports[listener] }),
        {
          downBytes: OBJECTS * OBJECT.length,
          outcome: 'any',
          refusals: 'any',
        },
      )
      const wanted = Array.from({ length: OBJECTS }, (_, number) => `/object/${number}`)
      const seen = origin.requests.map(({ url }) => url).filter((url) => url?.startsWith('/object/'))
      expect(seen.length).toBe(OBJECTS)
      expect(new Set(seen)).toEqual(new Set(wanted))
    },
    START_MS,
  )
})
