// An end in one direction is no end of the other: on every way through the proxies and the tunnel a client may
// finish and still read, and an origin may finish and still be written to.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startStack, type Stack } from '../support/stacks.ts'
import { open, WAYS } from '../support/through.ts'
import { startRawOrigin } from '../support/wire.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack()))
afterAll(() => stack[Symbol.asyncDispose]())

describe('half-close', () => {
  it.each(WAYS)('client first: $name', async (way) => {
    await using origin = await startRawOrigin()
    using client = await open(stack, way, '127.0.0.1', origin.port)
    client.socket.end('question')
    const atOrigin = await origin.wire()
    expect(await atOrigin.ended()).toBe('end')
    expect(atOrigin.text).toBe('question')
    atOrigin.send('the answer, ')
    await client.untilText('the answer, ')
    expect(client.ending).toBe(undefined)
    atOrigin.socket.end('later')
    expect(await client.ended()).toBe('end')
    expect(client.text).toBe('the answer, later')
  })

  it.each(WAYS)('origin first: $name', async (way) => {
    await using origin = await startRawOrigin((wire) => wire.socket.end('greeting'))
    using client = await open(stack, way, '127.0.0.1', origin.port)
    expect(await client.ended()).toBe('end')
    expect(client.text).toBe('greeting')
    client.send('still ')
    const atOrigin = await origin.wire()
    await atOrigin.untilText('still ')
    expect(atOrigin.ending).toBe(undefined)
    client.socket.end('here')
    expect(await atOrigin.ended()).toBe('end')
    expect(atOrigin.text).toBe('still here')
  })

  it('counts such streams as ended in order', async () => {
    const metrics = await stack.gatewayMetrics()
    expect(metrics).toContain('sightline_streams_total{mode="http-proxy",outcome="ok"}')
    expect(metrics).not.toMatch(/sightline_streams_total\{[^}]*outcome="(?!ok")/)
  })
})
