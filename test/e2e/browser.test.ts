// A real browser loads a page of 50 images through the SOCKS proxy and through the tunnel client. The page counts what
// it got; the origin saw every request; and the gateway's own counters prove that they came this way.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { samples, sum } from '../support/metrics.ts'
import { startOrigin, type Origin } from '../support/origin.ts'
import { isMissing, succeed } from '../support/programs.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { tempDir } from '../support/temp-dir.ts'

const OBJECTS = 50
/** One transparent pixel, with padding behind it that decoders skip: 4 KiB each. */
const PIXEL = Buffer.concat([
  Buffer.from('47494638396101000100800000000000ffffff21f90401000000002c000000000100010000020144003b', 'hex'),
  Buffer.alloc(4096),
])
const PAGE = `<!doctype html><title>fifty</title><link rel="icon" href="data:,"><body>
<script>
const count = { load: 0, error: 0 }
for (let number = 0; number < ${OBJECTS}; number += 1) {
  const image = new Image()
  for (const event of ['load', 'error']) image.addEventListener(event, () => {
    count[event] += 1
    document.body.dataset.result = count.load + ' loaded, ' + count.error + ' failed'
  })
  image.src = '/image/' + number
  document.body.append(image)
}
</script>`

let stack: Stack
let origin: Origin
beforeAll(async () => {
  stack = await startStack()
  origin = await startOrigin({
    handle: (request, response) => {
      const isPage = request.url === '/'
      response.writeHead(200, {
        'content-type': isPage ? 'text/html' : 'image/gif',
        'cache-control': 'no-store',
      })
      response.end(isPage ? PAGE : PIXEL)
    },
  })
})
afterAll(async () => {
  await origin.close()
  await stack[Symbol.asyncDispose]()
})

async function load(proxyPort: number): Promise<string> {
  await using profile = await tempDir()
  const flags = [
    ...[
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-dev-shm-usage',
    ],
    ...[
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--disable-default-apps',
    ],
    `--user-data-dir=${profile.path}`,
    `--proxy-server=socks5://127.0.0.1:${proxyPort}`,
    '--proxy-bypass-list=<-loopback>',
    '--virtual-time-budget=10000',
  ]
  const { stdout } = await succeed('chromium', [...flags, '--dump-dom', `http://localhost:${origin.port}/`], {
    timeoutMs: 60_000,
  })
  return stdout.toString()
}

describe.skipIf(isMissing('chromium'))('chromium (needs chromium)', () => {
  it.each([
    { name: 'the SOCKS proxy', listener: 'socks', mode: 'socks-proxy' },
    { name: 'the tunnel client', listener: 'client', mode: 'tunnel' },
  ] as const)(
    `loads ${OBJECTS} objects through $name`,
    async ({ listener, mode }) => {
      const seenBefore = origin.requests.length
      const dom = await load(stack.ports[listener])
      expect(dom).toContain(`data-result="${OBJECTS} loaded, 0 failed"`)
      const targets = origin.requests.slice(seenBefore).map(({ url }) => url)
      const wanted = ['/', ...Array.from({ length: OBJECTS }, (_, number) => `/image/${number}`)]
      expect(targets.length).toBe(wanted.length)
      expect(new Set(targets)).toEqual(new Set(wanted))
      await eventually(async () => {
        const metrics = await stack.gatewayMetrics()
        expect(sum(metrics, 'sightline_streams', { mode })).toBe(0)
        expect(sum(metrics, 'sightline_streams_total', { mode })).toBeGreaterThan(0)
        expect(sum(metrics, 'sightline_relayed_bytes_total', { mode, direction: 'down' })).toBeGreaterThan(
          OBJECTS * PIXEL.length,
        )
      })
    },
    60_000,
  )

  it('used no other way', async () => {
    const modes = samples(await stack.gatewayMetrics(), 'sightline_streams_total').map(
      ({ labels }) => labels['mode'],
    )
    expect(new Set(modes)).toEqual(new Set(['socks-proxy', 'tunnel']))
  })
})
