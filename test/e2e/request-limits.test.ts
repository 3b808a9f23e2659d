// What takes too long or too much before it is a request: a slow head is answered with 408, a large one with 431,
// a slow SOCKS or TLS handshake is closed, and each is counted.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { sum } from '../support/metrics.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { HTTP_WAYS, reach } from '../support/through.ts'
import { Wire } from '../support/wire.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack({ limits: { handshakeMs: 400, headBytes: 2048 } })))
afterAll(() => stack[Symbol.asyncDispose]())

describe('limits of a request', () => {
  it.each(HTTP_WAYS)('a slow head is a 408: $name', async ({ listener }) => {
    using client = await reach(stack, listener)
    client.send('GET http://127.0.0.1/ HTTP/1.1\r\nHost: ')
    expect(await client.ended()).toBe('end')
    expect(client.text).toMatch(/^HTTP\/1\.1 408 .*\r\nsightline-error: handshake-timeout\r\n/s)
  })

  it.each(HTTP_WAYS)('one that drips is no exception: $name', async ({ listener }) => {
    using client = await reach(stack, listener)
    const drip = setInterval(() => client.socket.writable && client.send('X'), 50)
    client.send('GET http://127.0.0.1/ HTTP/1.1\r\nX: ')
    await client.ended()
    clearInterval(drip)
    expect(client.text).toMatch(/^HTTP\/1\.1 408 /)
  })

  it.each(HTTP_WAYS)('a large head is a 431: $name', async ({ listener }) => {
    using client = await reach(stack, listener)
    client.send(`GET http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(4000)}\r\n\r\n`)
    await client.ended()
    expect(client.text).toMatch(/^HTTP\/1\.1 431 .*\r\nsightline-error: head-too-large\r\n/s)
  })

  it.each(['socks', 'https', 'tunnel', 'mixed', 'client'] as const)(
    'silence is closed: %s',
    async (listener) => {
      using client = await Wire.connect(stack.ports[listener])
      await client.ended()
      expect(client.received.length).toBe(0)
    },
  )

  it('a SOCKS handshake that stops half-way is closed', async () => {
    using client = await Wire.connect(stack.ports.socks)
    client.send(Buffer.from('050100', 'hex'))
    await client.untilBytes(2)
    await client.ended()
    expect(client.received.toString('hex')).toBe('0500')
  })

  it('counts them', async () => {
    await eventually(async () => {
      const metrics = await stack.gatewayMetrics()
      const refused = (mode: string, code: string): number =>
        sum(metrics, 'sightline_refusals_total', { mode, code })
      expect(refused('http-proxy', 'handshake-timeout')).toBeGreaterThanOrEqual(5)
      expect(refused('https-proxy', 'handshake-timeout')).toBe(3)
      expect(refused('https-proxy', 'head-too-large')).toBe(1)
      expect(refused('socks-proxy', 'handshake-timeout')).toBe(2)
      expect(refused('tunnel', 'handshake-timeout')).toBe(1)
    })
  })
})
