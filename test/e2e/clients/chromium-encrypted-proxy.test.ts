// Chromium with the encrypted proxy (`--proxy-server=https://`): it negotiates HTTP/2 with the proxy and loads a page
// with 30 objects from an http site, by requests in absolute-form, and from an https site, by CONNECT (RFC 9113 section
// 8.5). Node's own account of its HTTP/2 sessions shows that it was HTTP/2; the gateway's counters prove the way.
import { createHash, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { startOrigin, type Origin } from '../../support/origin.ts'
import { isMissing, succeed } from '../../support/programs.ts'
import { startStack, type Stack } from '../../support/stacks.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { counted } from './counted.ts'

const OBJECTS = 30
const OBJECT = Buffer.alloc(4_000, 'y')
const PAGE = `<!doctype html><title>thirty</title><link rel="icon" href="data:,"><body><script>
Promise.allSettled(Array.from({ length: ${OBJECTS} }, (_, n) => fetch('/object/' + n).then((r) => r.text())))
  .then((all) => document.body.dataset.result = all.filter(({ value }) => value?.length === ${OBJECT.length}).length + ' whole')
</script>`
const SITE = 'only-the-gateway-knows.example'

let stack: Stack
let origins: Record<'http' | 'https', Origin>
beforeAll(async () => {
  stack = await startStack({ resolve: async () => ['127.0.0.1'] })
  const handle: Parameters<typeof startOrigin>[0] = {
    handle: (request, response) => {
      const isPage = request.url === '/'
      response.writeHead(200, {
        'content-type': isPage ? 'text/html' : 'text/plain',
        'cache-control': 'no-store',
      })
      response.end(isPage ? PAGE : OBJECT)
    },
  }
  const read = (name: string): Promise<Buffer> => readFile(stack.pki.file(name))
  const tls = { cert: await read('origin.crt'), key: await read('origin.key') }
  origins = { http: await startOrigin(handle), https: await startOrigin({ ...handle, tls }) }
})
afterAll(async () => {
  await origins.http.close()
  await origins.https.close()
  await stack[Symbol.asyncDispose]()
})

/** What `--ignore-certificate-errors-spki-list` takes: these keys are good, whoever has signed them. */
async function keyHash(certificate: string): Promise<string> {
  const { publicKey } = new X509Certificate(await readFile(stack.pki.file(certificate)))
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64')
}

/** Gives the page's DOM after its script has ended. */
async function load(url: string): Promise<string> {
  await using profile = await tempDir()
  const trusted = [await keyHash('gateway.crt'), await keyHash('origin.crt')].join(',')
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run']
  const quiet = ['--disable-dev-shm-usage', '--disable-background-networking', '--disable-component-update']
  const proxy = [`--proxy-server=https://localhost:${stack.ports.https}`, '--proxy-bypass-list=<-loopback>']
  const rest = [`--ignore-certificate-errors-spki-list=${trusted}`, `--user-data-dir=${profile.path}`]
  const args = [
    ...flags,
    ...quiet,
    '--disable-sync',
    ...proxy,
    ...rest,
    '--virtual-time-budget=10000',
    '--dump-dom',
    url,
  ]
  return (await succeed('chromium', args, { timeoutMs: 60_000 })).stdout.toString()
}

interface SessionDetail {
  readonly type: string
  readonly streamCount: number
}

/** The HTTP/2 sessions that this process has served while it watched; each is known once it is over. */
class Http2Watch implements Disposable {
  readonly sessions: SessionDetail[] = []
  #observer = new PerformanceObserver((list) => {
    for (const { name, detail } of list.getEntries() as (PerformanceEntry & { detail: SessionDetail })[]) {
      if (name === 'Http2Session' && detail.type === 'server') this.sessions.push(detail)
    }
  })

  constructor() {
    this.#observer.observe({ entryTypes: ['http2'] })
  }

  [Symbol.dispose](): void {
    this.#observer.disconnect()
  }
}

describe.skipIf(isMissing('chromium'))('chromium with the encrypted proxy (needs chromium)', () => {
  it.each([
    // Every request is a stream of its own; over CONNECT many share one.
    { scheme: 'http', streams: OBJECTS + 1 },
    { scheme: 'https', streams: 1 },
  ] as const)(
    'speaks HTTP/2 to it and loads an $scheme page',
    async ({ scheme, streams }) => {
      using watch = new Http2Watch()
      const origin = origins[scheme]
      const proof = { streams, downBytes: OBJECTS * OBJECT.length, outcome: 'any', refusals: 'any' } as const
      const dom = await counted(stack, 'https', () => load(`${scheme}://${SITE}:${origin.port}/`), proof)
      expect(dom).toContain(`data-result="${OBJECTS} whole"`)
      expect(origin.requests.length).toBe(OBJECTS + 1)
      await eventually(() => {
        const served = watch.sessions.reduce((sum, { streamCount }) => sum + streamCount, 0)
        expect(served).toBeGreaterThanOrEqual(streams)
      })
    },
    60_000,
  )
})
