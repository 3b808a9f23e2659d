// A name that no frame can carry costs the request that asked for it, and not the session that all others share.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sum } from '../support/metrics.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { Wire } from '../support/wire.ts'

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack[Symbol.asyncDispose]())

describe('a tunnel client asked for', () => {
  it.each([
    ['a name that is not ASCII, by CONNECT', 'CONNECT sit\xe9.example:443 HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a name that is not ASCII', 'GET http://sit\xe9.example/ HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a name of 256 characters', `CONNECT ${'a'.repeat(256)}:443 HTTP/1.1\r\nHost: a\r\n\r\n`],
  ])('%s says 400 and keeps its tunnel', async (_name, head) => {
    using wire = await Wire.connect(stack.ports.client)
    wire.send(Buffer.from(head, 'latin1'))
    await wire.ended()
    expect(wire.text).toMatch(/^HTTP\/1\.1 400 .*\r\nsightline-error: bad-request\r\n/s)
    expect(sum(await stack.gatewayMetrics(), 'sightline_tunnel_sessions_closed_total')).toBe(0)
    expect(sum(await stack.clientMetrics(), 'sightline_tunnel_up')).toBe(1)
  })
})
