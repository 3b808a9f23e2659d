// The console as a browser and a stranger's page meet it: who is answered at all, what only the page itself may do, and
// what is served.
import { describe, expect, it } from 'vitest'
import { EventReader } from '../../support/console-events.ts'
import { ORDER, runConsole } from '../../support/console.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { Wire } from '../../support/wire.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

describe('who is answered', () => {
  it.each([
    'sightline.example',
    '127.0.0.1.example.org',
    'localhost.example:9900',
    '10.0.0.1:9900',
    'localhost@x',
    'x:80',
  ])('refuses the Host %j with 403 and shows nothing, whatever is asked', async (host) => {
    await using running = await runConsole()
    for (const [method, target] of [
      ['GET', '/'],
      ['GET', '/api/events'],
      ['POST', '/api/replay'],
    ] as const) {
      const headers = { host, origin: `http://${host}`, ...JSON_TYPE }
      const { status, body } = await running.ask(method, target, headers, JSON.stringify(ORDER))
      expect([status, body]).toEqual([403, 'error: this page is for this machine alone\n'])
    }
  })

  it('refuses a request that names no Host', async () => {
    await using running = await runConsole()
    const wire = await Wire.connect(running.port)
    wire.send('GET / HTTP/1.0\r\n\r\n')
    await wire.ended()
    expect(wire.text).toMatch(/^HTTP\/1\.1 403 .*this machine alone\n$/s)
  })

  it.each(['localhost', 'localhost:9900', '127.0.0.1:1', '[::1]:9900'])(
    'answers the Host %j',
    async (host) => {
      await using running = await runConsole()
      expect((await running.ask('GET', '/', { host })).status).toBe(200)
    },
  )

  it.each(['cross-site', 'same-site'])('lets no other page read: Sec-Fetch-Site %s is 403', async (site) => {
    await using running = await runConsole()
    expect((await running.ask('GET', '/', { 'sec-fetch-site': site })).status).toBe(403)
    expect((await running.ask('GET', '/api/events', { 'sec-fetch-site': site })).status).toBe(403)
    expect((await running.ask('GET', '/', { 'sec-fetch-site': 'none' })).status).toBe(200)
  })
})

describe('what makes the machine work', () => {
  it.each([
    ['no Origin', {}],
    ['another origin', { origin: 'http://sightline.example' }],
    ['another port of this machine', { origin: 'http://127.0.0.1:1' }],
    ['https', { origin: 'https://HOST' }],
    ['the origin null of a sandboxed page', { origin: 'null' }],
  ])('is refused to a POST with %s', async (_, { origin }: { origin?: string }) => {
    await using running = await runConsole()
    const headers = { ...JSON_TYPE, ...(origin && { origin: origin.replace('HOST', running.host) }) }
    const { status, body } = await running.ask('POST', '/api/replay', headers, JSON.stringify(ORDER))
    expect([status, body]).toEqual([403, 'error: this request is not from the page\n'])
  })

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])(
    'is refused to a body of %s, which a form of another page can send',
    async (type) => {
      await using running = await runConsole()
      const headers = { origin: `http://${running.host}`, 'content-type': type }
      expect((await running.ask('POST', '/api/replay', headers, JSON.stringify(ORDER))).status).toBe(415)
    },
  )

  it('is bounded: a body above 8 KiB, and one that is no order, are 400', async () => {
    await using running = await runConsole()
    const long = await running.post('/api/replay', { ...ORDER, message: 'x'.repeat(9000) })
    expect([long.status, long.body]).toEqual([400, 'error: the body is too long\n'])
    const headers = { origin: `http://${running.host}`, ...JSON_TYPE }
    expect((await running.ask('POST', '/api/replay', headers, '{')).body).toBe(
      'error: the body is not JSON\n',
    )
    expect((await running.post('/api/replay', [])).body).toBe('error: this is no order\n')
  })

  it('is no GET, and nothing but what there is', async () => {
    await using running = await runConsole()
    expect((await running.ask('GET', '/api/replay')).status).toBe(404)
    expect((await running.post('/api/other', ORDER)).status).toBe(404)
    const origin = `http://${running.host}`
    const deleted = await running.ask('DELETE', '/', { origin, ...JSON_TYPE })
    expect([deleted.status, deleted.headers.allow]).toEqual([405, 'GET, HEAD, POST'])
  })
})

describe('what is served', () => {
  it('allows script and style from its own files alone, in every answer', async () => {
    await using running = await runConsole()
    for (const [target, status] of [
      ['/', 200],
      ['/nothing', 404],
      ['/../package.json', 404],
      ['/assets/..%2f..%2fmain.js', 404],
    ] as const) {
      const answer = await running.ask('GET', target)
      expect(answer.status).toBe(status)
      expect(answer.headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'cross-origin-resource-policy': 'same-origin',
        'cross-origin-opener-policy': 'same-origin',
      })
      const policy = String(answer.headers['content-security-policy'])
      expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'")
      expect(policy).not.toMatch(/unsafe|\*|https?:/)
    }
  })

  it('the page refers to its own files alone, and these are kept by a browser', async () => {
    await using running = await runConsole()
    const { body, headers } = await running.ask('GET', '/')
    expect(headers['cache-control']).toBe('no-cache')
    const files = [...body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file = '']) => file)
    expect(files).toHaveLength(3)
    for (const file of files) {
      expect(file).toMatch(/^\/assets\/[\w.-]+$/)
      const answer = await running.ask('GET', file)
      expect([answer.status, answer.headers['cache-control']]).toEqual([200, 'max-age=31536000, immutable'])
      const again = await running.ask('GET', file, { 'if-none-match': String(answer.headers.etag) })
      expect([again.status, again.body]).toEqual([304, ''])
    }
    // No script or style in the HTML itself: the policy would not let it run.
    expect(body).not.toMatch(/<script(?![^>]*src=)|<style|\son\w+=|style="/)
  })

  it('the first load is under 150 kB, compressed', async () => {
    await using running = await runConsole()
    const { body } = await running.ask('GET', '/')
    const files = ['/', ...[...body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file = '']) => file)]
    const sizes = await Promise.all(
      files.map(async (file) => {
        const { headers } = await running.ask('GET', file, { 'accept-encoding': 'br' })
        expect(headers['content-encoding']).toBe('br')
        return Number(headers['content-length'])
      }),
    )
    expect(Math.min(...sizes)).toBeGreaterThan(0)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(150_000)
  })

  it('says what to do where the page has not been built', async () => {
    await using directory = await tempDir()
    await expect(runConsole({ assets: directory.path })).rejects.toMatchObject({
      code: 'file-unusable',
      hint: 'npm run build makes it (npm ci does so too)',
    })
  })
})

describe('events', () => {
  it('begin with what runs here, for at most eight pages at once', async () => {
    await using running = await runConsole({
      welcome: () => ({ version: '9', addresses: [{ name: 'http', address: 'a' }], tries: [], settings: '' }),
    })
    const readers = await Promise.all(Array.from({ length: 8 }, () => EventReader.open(running.port)))
    const { welcome } = await (readers[0] as EventReader).event('welcome')
    expect(welcome).toMatchObject({ version: '9', addresses: [{ name: 'http' }], gateway: false })
    expect(welcome.choices).toContainEqual({ mode: 'socks-proxy', variant: 'socks5h' })
    await expect(EventReader.open(running.port)).rejects.toThrow('503')
    for (const reader of readers) reader[Symbol.dispose]()
  })
})
