// A stream that breaks off is never shown as one that ended: an origin's reset reaches the client as an error,
// and a client's reset reaches the origin as one, on every way.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startStack, type Stack } from '../support/stacks.ts'
import { open, WAYS } from '../support/through.ts'
import { startRawOrigin } from '../support/wire.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack()))
afterAll(() => stack[Symbol.asyncDispose]())

describe('broken off', () => {
  it.each(WAYS)('by the origin: $name', async (way) => {
    await using origin = await startRawOrigin()
    using client = await open(stack, way, '127.0.0.1', origin.port)
    const atOrigin = await origin.wire()
    atOrigin.send('half')
    await client.untilText('half')
    atOrigin.socket.resetAndDestroy()
    expect(await client.ended()).toBe('reset')
  })

  it.each(WAYS)('by the client: $name', async (way) => {
    await using origin = await startRawOrigin()
    using client = await open(stack, way, '127.0.0.1', origin.port)
    const atOrigin = await origin.wire()
    client.send('half')
    await atOrigin.untilText('half')
    client.reset()
    expect(await atOrigin.ended()).toBe('reset')
  })
})
