// A client of the encrypted proxy that speaks HTTP/2 and goes away without a word, as a browser does when it is closed:
// its streams, their upstream connections and the session end with its TCP connection, whichever way that ended.
import http2 from 'node:http2'
import net from 'node:net'
import tls from 'node:tls'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { sum } from '../../support/metrics.ts'
import { startOrigin, type Origin } from '../../support/origin.ts'
import { startStack, type Stack } from '../../support/stacks.ts'

let stack: Stack
let origin: Origin
beforeAll(async () => {
  stack = await startStack()
  origin = await startOrigin()
})
afterAll(async () => {
  await origin.close()
  await stack[Symbol.asyncDispose]()
})

it.each([
  ['ends its connection', (carrier: net.Socket) => void carrier.end()],
  ['resets its connection', (carrier: net.Socket) => void carrier.resetAndDestroy()],
])('a client that %s leaves nothing behind', async (_name, leave) => {
  const open = async (name: string): Promise<number> =>
    sum(await stack.gatewayMetrics(), `sightline_${name}`, { mode: 'https-proxy' })
  const carrier = net.connect(stack.ports.https, '127.0.0.1')
  const socket = tls.connect({
    socket: carrier,
    host: 'localhost',
    ca: stack.authority,
    ALPNProtocols: ['h2'],
  })
  await once(socket, 'secureConnect')
  const client = http2.connect('https://localhost', { createConnection: () => socket })
  client.on('error', () => {})
  for (let left = 5; left > 0; left -= 1) {
    const stream = client.request({ ':method': 'CONNECT', ':authority': `localhost:${origin.port}` })
    stream.on('error', () => {})
    await once(stream, 'response')
  }
  expect(await open('streams')).toBe(5)
  expect(await open('connections')).toBe(1)
  leave(carrier)
  await eventually(async () => {
    expect(await open('streams')).toBe(0)
    expect(await open('connections')).toBe(0)
  })
  client.destroy()
})
