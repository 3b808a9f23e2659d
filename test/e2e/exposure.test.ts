// The live exposure metrics on real traffic: ten http and ten https requests, each on a fresh connection, through
// the plain proxy and through the tunnel. The operator reads ten of each mode, the access network ten and none.
import { readFile } from 'node:fs/promises'
import http from 'node:http'
import type { Socket } from 'node:net'
import tls from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { samples, sum } from '../support/metrics.ts'
import { startOrigin, type Origin } from '../support/origin.ts'
import { startStack, type Stack } from '../support/stacks.ts'

const COUNT = 10
const METRIC = 'sightline_exposed_streams_total'

let stack: Stack
let plain: Origin
let secure: Origin
beforeAll(async () => {
  stack = await startStack()
  const [cert, key] = await Promise.all([
    readFile(stack.pki.file('origin.crt')),
    readFile(stack.pki.file('origin.key')),
  ])
  plain = await startOrigin()
  secure = await startOrigin({ tls: { cert, key } })
})
afterAll(async () => {
  await plain.close()
  await secure.close()
  await stack[Symbol.asyncDispose]()
})

const bodyOf = (request: http.ClientRequest): Promise<string> =>
  new Promise((resolve, reject) => {
    request.on('error', reject)
    request.on('response', (response) => {
      response
        .setEncoding('utf8')
        .toArray()
        .then((parts) => resolve(parts.join('')), reject)
    })
    request.end()
  })

const byAbsoluteForm = (proxy: number): Promise<string> =>
  bodyOf(
    http.request({
      port: proxy,
      host: '127.0.0.1',
      agent: false,
      path: `http://127.0.0.1:${plain.port}/page`,
    }),
  )

const byConnect = (proxy: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const authority = `localhost:${secure.port}`
    const connect = http.request({
      port: proxy,
      host: '127.0.0.1',
      agent: false,
      method: 'CONNECT',
      path: authority,
    })
    connect.on('error', reject)
    connect.on('connect', (_response, socket: Socket) => {
      const createConnection = (): Socket =>
        tls.connect({ socket, ca: stack.authority, servername: 'localhost' })
      resolve(bodyOf(http.request({ host: 'localhost', path: '/page', createConnection })))
    })
    connect.end()
  })

async function visit(proxy: number): Promise<void> {
  for (let count = 0; count < COUNT; count += 1) {
    expect(await byAbsoluteForm(proxy)).toBe('hello\n')
    expect(await byConnect(proxy)).toBe('hello\n')
  }
}

describe('exposure metrics', () => {
  it('say what ten http and ten https requests exposed in each mode', async () => {
    await visit(stack.ports.http)
    await visit(stack.ports.client)
    await eventually(async () => {
      const metrics = await stack.gatewayMetrics()
      for (const mode of ['http-proxy', 'tunnel']) {
        expect(sum(metrics, 'sightline_streams_total', { mode, outcome: 'ok' }), mode).toBe(2 * COUNT)
      }
    })
    const metrics = await stack.gatewayMetrics()
    const exposed = (mode: string, observer: string, information: string): number =>
      sum(metrics, METRIC, { mode, observer, information })
    for (const mode of ['http-proxy', 'tunnel']) {
      expect(exposed(mode, 'gateway-operator', 'url-and-headers'), mode).toBe(COUNT)
      expect(exposed(mode, 'gateway-operator', 'content'), mode).toBe(COUNT)
      expect(exposed(mode, 'destination', 'url-and-headers'), mode).toBe(2 * COUNT)
      expect(exposed(mode, 'exit-network', 'url-and-headers'), mode).toBe(COUNT)
      expect(sum(metrics, 'sightline_relayed_bytes_total', { mode, readable: 'yes' }), mode).toBeGreaterThan(
        0,
      )
      expect(sum(metrics, 'sightline_relayed_bytes_total', { mode, readable: 'no' }), mode).toBeGreaterThan(0)
    }
    expect(exposed('http-proxy', 'access-network', 'url-and-headers')).toBe(COUNT)
    expect(exposed('tunnel', 'access-network', 'url-and-headers')).toBe(0)
    expect(exposed('tunnel', 'access-network', 'destination-name')).toBe(0)
    expect(exposed('tunnel', 'access-network', 'traffic-shape')).toBe(2 * COUNT)
    // A client's own end counts nothing of its own: its gateway does.
    expect(samples(await stack.clientMetrics(), METRIC)).toEqual([])
  })

  it('say nothing with exposure: off, and the bytes are of unknown readability', async () => {
    await using silent = await startStack({ exposure: 'off' })
    expect(await byAbsoluteForm(silent.ports.http)).toBe('hello\n')
    expect(await byAbsoluteForm(silent.ports.client)).toBe('hello\n')
    expect(await byConnect(silent.ports.http)).toBe('hello\n')
    await eventually(async () => {
      expect(sum(await silent.gatewayMetrics(), 'sightline_streams_total')).toBe(3)
    })
    const metrics = await silent.gatewayMetrics()
    expect(samples(metrics, METRIC)).toEqual([])
    expect(
      samples(metrics, 'sightline_relayed_bytes_total').map(({ labels }) => labels['readable']),
    ).not.toContain('yes')
    expect(sum(metrics, 'sightline_relayed_bytes_total', { readable: 'unknown' })).toBeGreaterThan(0)
  })
})
