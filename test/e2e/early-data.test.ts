// A client that does not wait for the proxy's answer: what it sends in the same packet as its request reaches
// the origin first, whole, and once.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startStack, type Stack } from '../support/stacks.ts'
import { open, WAYS } from '../support/through.ts'
import { startRawOrigin } from '../support/wire.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack()))
afterAll(() => stack[Symbol.asyncDispose]())

describe('early data', () => {
  it.each(WAYS)('$name', async (way) => {
    await using origin = await startRawOrigin((wire) => wire.send('welcome\n'))
    using client = await open(stack, way, '127.0.0.1', origin.port, Buffer.from('early '))
    client.send('late')
    const atOrigin = await origin.wire()
    await atOrigin.untilText('late')
    expect(atOrigin.text).toBe('early late')
    await client.untilText('welcome\n')
    expect(client.text).toBe('welcome\n')
  })

  it('keeps 12 KiB behind a SOCKS request', async () => {
    await using origin = await startRawOrigin()
    const early = Buffer.alloc(12 * 1024, 'abcdefg')
    const socks = WAYS.find(({ name }) => name === 'tunnel by SOCKS5')!
    using client = await open(stack, socks, '127.0.0.1', origin.port, early)
    client.socket.end()
    const atOrigin = await origin.wire()
    await atOrigin.ended()
    expect(atOrigin.received.equals(early)).toBe(true)
  })
})
