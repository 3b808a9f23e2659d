// The console as a browser and a stranger's page meet it: who is answered at all, what only the page itself may do, and
// that nothing on it can run.
import http from 'node:http'
import { describe, expect, it } from 'vitest'
import { startConsole } from '../../../src/lab/console/console.ts'
import type { ConsoleFacts } from '../../../src/lab/console/page.ts'
import type { LabResult } from '../../../src/lab/model.ts'
import { Wire } from '../../support/wire.ts'
import { resultOf, runOf } from '../matrix/results.ts'

const RESULT = resultOf(
  'console',
  runOf('tunnel', null, 'http', { access: 'CSS-SSC-', gateway: 'CCCCCCC-', destination: '--CCCCC-' }),
)
const FACTS: ConsoleFacts = {
  addresses: [{ name: 'http', address: '127.0.0.1:3128' }],
  tries: [{ what: 'plain HTTP proxy', command: 'curl -x http://127.0.0.1:3128 http://localhost:9000/' }],
}

interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

interface Running extends AsyncDisposable {
  readonly host: string
  ask(method: string, target: string, headers?: Record<string, string>): Promise<Answer>
  readonly measured: () => number
}

async function start(
  measure: () => Promise<LabResult> = async () => RESULT,
  facts: ConsoleFacts = FACTS,
): Promise<Running> {
  let calls = 0
  const listener = await startConsole({
    listen: { host: '127.0.0.1', port: 0 },
    facts: () => facts,
    measure: () => {
      calls += 1
      return measure()
    },
  })
  const { port } = listener.address
  const host = `127.0.0.1:${port}`
  return {
    host,
    measured: () => calls,
    ask: (method, target, headers = {}) =>
      new Promise((resolve, reject) => {
        const request = http.request(
          { host: '127.0.0.1', port, method, path: target, headers, agent: false },
          (response) => {
            let body = ''
            response.setEncoding('utf8')
            response.on('data', (text: string) => (body += text))
            response.on('error', reject)
            response.on('end', () =>
              resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
            )
          },
        )
        request.on('error', reject)
        request.end()
      }),
    [Symbol.asyncDispose]: () => listener.close(),
  }
}

describe('the console', () => {
  it.each([
    'sightline.example',
    '127.0.0.1.example.org',
    'localhost.example:9900',
    '10.0.0.1:9900',
    'localhost@x',
    'x:80',
  ])('refuses the Host %j with 403 and shows nothing, whatever is asked', async (host) => {
    await using running = await start()
    for (const [method, target] of [
      ['GET', '/'],
      ['GET', '/matrix.json'],
      ['POST', '/measure'],
    ] as const) {
      const { status, body } = await running.ask(method, target, { host, origin: `http://${host}` })
      expect([status, body]).toEqual([403, 'error: this page is for this machine alone\n'])
    }
    expect(running.measured()).toBe(0)
  })

  it('refuses a request that names no Host', async () => {
    await using running = await start()
    const wire = await Wire.connect(Number(running.host.split(':')[1]))
    wire.send('GET / HTTP/1.0\r\n\r\n')
    await wire.ended()
    expect(wire.text).toMatch(/^HTTP\/1\.1 403 .*this machine alone\n$/s)
  })

  it.each(['localhost', 'localhost:9900', '127.0.0.1:1', '[::1]:9900'])(
    'answers the Host %j',
    async (host) => {
      await using running = await start()
      expect((await running.ask('GET', '/', { host })).status).toBe(200)
    },
  )

  it.each([
    ['no Origin', {}],
    ['another origin', { origin: 'http://sightline.example' }],
    ['another port of this machine', { origin: 'http://127.0.0.1:1' }],
    ['https', { origin: 'https://HOST' }],
    ['the origin null of a sandboxed page', { origin: 'null' }],
  ])('refuses to measure for a POST with %s', async (_, { origin }: { origin?: string }) => {
    await using running = await start()
    const headers: Record<string, string> =
      origin === undefined ? {} : { origin: origin.replace('HOST', running.host) }
    const { status, body } = await running.ask('POST', '/measure', headers)
    expect([status, body]).toEqual([403, 'error: this request is not from the page\n'])
    expect(running.measured()).toBe(0)
  })

  it('does not measure for a GET', async () => {
    await using running = await start()
    expect((await running.ask('GET', '/measure')).status).toBe(404)
    expect(running.measured()).toBe(0)
  })

  it('measures for its own POST, then shows the cells, and gives them as JSON', async () => {
    await using running = await start()
    expect((await running.ask('GET', '/matrix.json')).status).toBe(404)
    expect((await running.ask('GET', '/')).body).toContain('Not measured yet')
    const posted = await running.ask('POST', '/measure', { origin: `http://${running.host}` })
    expect([posted.status, posted.headers.location]).toEqual([303, '/#matrix'])
    const { body } = await running.ask('GET', '/')
    expect(body).toContain('<tr><th scope="row">content</th><td class="sealed">sealed</td></tr>')
    expect(body).toContain('Every cell agrees with the truth table, and the controls passed (seed console).')
    const json = await running.ask('GET', '/matrix.json')
    expect(json.headers['content-type']).toBe('application/json')
    expect(JSON.parse(json.body)).toEqual(RESULT)
  })

  it('measures once for two that ask at the same time', async () => {
    const { promise, resolve } = Promise.withResolvers<LabResult>()
    await using running = await start(() => promise)
    const asked = [1, 2].map(() => running.ask('POST', '/measure', { origin: `http://${running.host}` }))
    // The first has to be under way before its answer may come.
    while (running.measured() === 0) await new Promise((next) => setImmediate(next))
    await running.ask('GET', '/')
    resolve(RESULT)
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([303, 303])
    expect(running.measured()).toBe(1)
  })

  it('says when a measurement fails, and can measure again', async () => {
    let fails = true
    await using running = await start(async () => {
      if (fails) throw new Error('no address')
      return RESULT
    })
    const origin = `http://${running.host}`
    const failed = await running.ask('POST', '/measure', { origin })
    expect([failed.status, failed.body]).toEqual([500, 'error: the measurement failed: no address\n'])
    fails = false
    expect((await running.ask('POST', '/measure', { origin })).status).toBe(303)
  })

  it('allows no script, no frame around it, no outside source, in every answer', async () => {
    await using running = await start()
    for (const [method, target, status] of [
      ['GET', '/', 200],
      ['GET', '/nothing', 404],
      ['DELETE', '/', 405],
      ['HEAD', '/', 200],
    ] as const) {
      const answer = await running.ask(method, target)
      expect(answer.status).toBe(status)
      expect(answer.headers).toMatchObject({
        'content-security-policy':
          "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'same-origin',
        'cache-control': 'no-store',
      })
      if (status === 405) expect(answer.headers.allow).toBe('GET, HEAD')
      if (method === 'HEAD') expect(answer.body).toBe('')
    }
  })

  it('escapes what comes from elsewhere', async () => {
    const evil = `<img src=x onerror="alert('1')">&`
    const safe = '&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;'
    const red: LabResult = {
      ...RESULT,
      seed: evil,
      agreesWithTruthTable: false,
      runs: RESULT.runs.map((run) => ({ ...run, findings: [`found ${evil}`] })),
    }
    await using running = await start(async () => red, {
      addresses: [{ name: evil, address: evil }],
      tries: [{ what: evil, command: evil }],
    })
    await running.ask('POST', '/measure', { origin: `http://${running.host}` })
    const { body } = await running.ask('GET', '/')
    expect(body).not.toContain('<img')
    expect(body.split(safe)).toHaveLength(7)
    expect(body).toContain(`<li>tunnel, http: found ${safe}</li>`)
    // Whatever was put in, the tags are the page's own, and none of them can act.
    const tags = [...body.matchAll(/<([a-z0-9]+)([^>]*)>/g)]
    expect(
      tags.filter(
        ([, name = '', attributes = '']) =>
          /^(script|img|iframe|object|link|base)$/.test(name) || /\bon\w+=|\bsrc=/.test(attributes),
      ),
    ).toEqual([])
  })
})
