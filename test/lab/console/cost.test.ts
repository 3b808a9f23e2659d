// The cost: every way reaches the same site through a gateway that runs, and what cannot be measured is an error, never a
// figure.
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { measureCost, type CostSite, type Way } from '../../../src/lab/console/cost.ts'
import { waysOf } from '../../../src/lab/console/ways.ts'
import { runConsole } from '../../support/console.ts'
import { startStack, type Stack } from '../../support/stacks.ts'

const LARGE_BYTES = 300_000
const at = (port: number): { address: string; port: number } => ({ address: '127.0.0.1', port })

let stack: Stack
let server: http.Server
let site: CostSite
let ways: readonly Way[]
let asked = 0
beforeAll(async () => {
  stack = await startStack()
  server = http.createServer((request, response) => {
    asked += 1
    response.end(request.url === '/large' ? 'x'.repeat(LARGE_BYTES) : 'small')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  site = { host: `127.0.0.1:${port}`, small: '/', large: '/large', largeBytes: LARGE_BYTES }
  ways = waysOf({
    site: at(port),
    http: at(stack.ports.http),
    socks: at(stack.ports.socks),
    https: { ...at(stack.ports.https), name: 'localhost', authority: stack.authority },
    tunnel: at(stack.ports.client),
  })
})
afterAll(async () => {
  server.close()
  await stack[Symbol.asyncDispose]()
})

describe('measureCost', () => {
  it('measures every mode through the gateway that runs, one request after the other', async () => {
    const costs = await measureCost(ways, site)
    expect(costs.map(({ mode }) => mode)).toEqual([
      'direct',
      'http-proxy',
      'socks-proxy',
      'https-proxy',
      'tunnel',
    ])
    for (const { latencyMs, megabytesPerSecond } of costs) {
      expect(latencyMs).toBeGreaterThan(0)
      expect(megabytesPerSecond).toBeGreaterThan(0)
    }
    // Beside what it hides from the access network: of the tunnel, all but the address and the shape.
    const hidden = [
      'client-identity',
      'destination-name',
      'destination-address',
      'url-and-headers',
      'content',
    ]
    expect(costs.map(({ hides }) => hides)).toEqual([[], [], [], hidden, hidden])
    expect(asked).toBe(5 * (1 + 15 + 3))
    // Each went through its mode.
    const metrics = await stack.gatewayMetrics()
    for (const mode of ['http-proxy', 'socks-proxy', 'https-proxy', 'tunnel'])
      expect(metrics).toMatch(new RegExp(`sightline_streams_total{mode="${mode}",outcome="ok"} \\d`))
  })

  it('fails, with the way, where the site does not answer or answers short', async () => {
    const short = measureCost(ways.slice(0, 1), { ...site, largeBytes: LARGE_BYTES * 2 })
    await expect(short).rejects.toMatchObject({
      code: 'dial-failed',
      message: /^direct: only \d+ bytes came$/,
    })
    const refused = ways.slice(1, 2).map((way) => ({ ...way, target: () => 'http://10.0.0.1/' }))
    await expect(measureCost(refused, site)).rejects.toMatchObject({
      code: 'dial-failed',
      message: expect.stringContaining('HTTP/1.1 403') as string,
    })
  })
})

describe('POST /api/cost', () => {
  it('gives the figures, measures once for two that ask, and is not there without a gateway', async () => {
    let calls = 0
    const cost = { mode: 'direct', variant: null, latencyMs: 1, megabytesPerSecond: 2, hides: [] } as const
    const { promise, resolve } = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    await using running = await runConsole({
      cost: async () => {
        calls += 1
        begun.resolve()
        await promise
        return [cost]
      },
    })
    const both = [running.post('/api/cost', {}), running.post('/api/cost', {})]
    await begun.promise
    await running.ask('GET', '/')
    resolve()
    for (const { body } of await Promise.all(both)) expect(JSON.parse(body)).toEqual([cost])
    expect(calls).toBe(1)
    await using alone = await runConsole()
    expect((await alone.post('/api/cost', {})).status).toBe(404)
  })
})
