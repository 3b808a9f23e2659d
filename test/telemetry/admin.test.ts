// The admin listener over real HTTP: who may ask, what there is, and that nothing else is answered.
import http, { type IncomingHttpHeaders } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Admin, type AdminOptions } from '../../src/telemetry/admin.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { startRawOrigin } from '../support/wire.ts'

interface Answer {
  readonly status: number
  readonly body: string
  readonly headers: IncomingHttpHeaders
}

interface Ask {
  readonly method?: string
  readonly path?: string
  readonly headers?: Record<string, string>
  readonly from?: string
}

/** Starts one, and gives a way to ask it. */
async function admin(
  config: Partial<AdminOptions['config']> = {},
  options: Partial<AdminOptions> = {},
): Promise<(ask: Ask) => Promise<Answer>> {
  const listener = await Admin.start({
    config: { listen: '127.0.0.1:0', ...config },
    token: undefined,
    registry: new Metrics('1.2.3').registry,
    ready: () => true,
    ...options,
  })
  onTestFinished(() => listener.close())
  return ({ method = 'GET', path = '/healthz', headers = {}, from = '127.0.0.1' }) =>
    new Promise((resolve, reject) => {
      const target = { host: '127.0.0.1', port: listener.address.port, localAddress: from }
      const request = http.request({ ...target, method, path, headers, agent: false }, (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (text: string) => (body += text))
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body, headers: response.headers }),
        )
      })
      request.on('error', reject).end()
    })
}

describe('the admin listener', () => {
  it('answers three paths', async () => {
    const ask = await admin()
    expect(await ask({ path: '/healthz' })).toMatchObject({ status: 200, body: 'ok\n' })
    expect(await ask({ path: '/readyz' })).toMatchObject({ status: 200, body: 'ready\n' })
    const metrics = await ask({ path: '/metrics?name=x' })
    expect(metrics.status).toBe(200)
    expect(metrics.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/)
    expect(metrics.body).toContain('sightline_build_info{version="1.2.3"} 1')
    expect(metrics.headers['cache-control']).toBe('no-store')
    expect(metrics.headers['x-content-type-options']).toBe('nosniff')
  })

  it.each(['/', '/metrics/', '/Metrics', '//metrics', '/healthz/../metrics', '/secret-path'])(
    '404 for %s, without its name',
    async (path) => {
      const ask = await admin()
      expect(await ask({ path })).toMatchObject({
        status: 404,
        body: 'error: there is /metrics, /healthz and /readyz\n',
      })
    },
  )

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('405 for %s', async (method) => {
    const ask = await admin()
    expect(await ask({ method, path: '/metrics' })).toMatchObject({
      status: 405,
      body: 'error: only GET and HEAD\n',
    })
  })

  it('HEAD has the status and no body', async () => {
    const ask = await admin({}, { ready: () => false })
    expect(await ask({ method: 'HEAD', path: '/metrics' })).toMatchObject({ status: 200, body: '' })
    expect(await ask({ method: 'HEAD', path: '/readyz' })).toMatchObject({ status: 503, body: '' })
    expect(await ask({ method: 'HEAD', path: '/nothing' })).toMatchObject({ status: 404, body: '' })
  })

  it('is healthy but not ready while the gateway drains', async () => {
    let draining = false
    const ask = await admin({}, { ready: () => !draining })
    expect((await ask({ path: '/readyz' })).status).toBe(200)
    draining = true
    expect(await ask({ path: '/readyz' })).toMatchObject({ status: 503, body: 'not ready\n' })
    expect((await ask({ path: '/healthz' })).status).toBe(200)
  })
})

describe('who may ask', () => {
  it('403 outside allowFrom, before anything else is looked at', async () => {
    const ask = await admin({ allowFrom: ['127.0.9.0/24'] }, { token: 'sesame' })
    for (const path of ['/metrics', '/healthz', '/readyz', '/nothing']) {
      expect(await ask({ path, headers: { authorization: 'Bearer sesame' } })).toMatchObject({
        status: 403,
        body: 'error: this address may not ask\n',
      })
    }
    expect((await ask({ from: '127.0.9.1', headers: { authorization: 'Bearer sesame' } })).status).toBe(200)
  })

  it('every address of this machine by default', async () => {
    const ask = await admin()
    expect((await ask({ from: '127.0.9.1' })).status).toBe(200)
  })

  it.each([
    ['none', {}],
    ['another', { authorization: 'Bearer sesam' }],
    ['one that is longer', { authorization: 'Bearer sesame ' + 'x' }],
    ['another scheme', { authorization: 'Basic sesame' }],
    ['only the word', { authorization: 'sesame' }],
    ['an empty one', { authorization: 'Bearer ' }],
  ] as Array<[string, Record<string, string>]>)(
    '401 with a token missing or wrong: %s',
    async (_name, headers) => {
      const ask = await admin({}, { token: 'sesame' })
      for (const path of ['/metrics', '/healthz', '/readyz', '/nothing']) {
        const answer = await ask({ path, headers })
        expect(answer).toMatchObject({ status: 401, body: 'error: a bearer token is required\n' })
        expect(answer.headers['www-authenticate']).toBe('Bearer realm="sightline admin"')
      }
    },
  )

  it('whoever holds the token', async () => {
    const ask = await admin({}, { token: 'sesame' })
    expect((await ask({ path: '/metrics', headers: { authorization: 'Bearer sesame' } })).status).toBe(200)
  })
})

describe('starting', () => {
  it('a port in use is named, with a hint', async () => {
    await using taken = await startRawOrigin()
    const listen = `127.0.0.1:${taken.port}`
    await expect(admin({ listen })).rejects.toMatchObject({
      code: 'address-in-use',
      message: `${listen} is in use`,
    })
  })
})
