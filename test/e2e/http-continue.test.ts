// Expect: 100-continue goes to the origin, whose word it is: nothing of the body is asked for by the proxy itself.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startStack, type Stack } from '../support/stacks.ts'
import { HTTP_WAYS, reach } from '../support/through.ts'
import { startRawOrigin } from '../support/wire.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack()))
afterAll(() => stack[Symbol.asyncDispose]())

const head = (port: number): string =>
  `PUT http://127.0.0.1:${port}/f HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n`

describe('100-continue', () => {
  it.each(HTTP_WAYS)('accepted: $name', async ({ listener }) => {
    await using origin = await startRawOrigin()
    using client = await reach(stack, listener)
    client.send(head(origin.port))
    const atOrigin = await origin.wire()
    await atOrigin.untilText('\r\n\r\n')
    expect(atOrigin.text).toMatch(/\r\nExpect: 100-continue\r\n/)
    expect(client.text).toBe('')
    atOrigin.send('HTTP/1.1 100 Continue\r\n\r\n')
    await client.untilText('HTTP/1.1 100 Continue\r\n\r\n')
    client.send('body')
    await atOrigin.untilText('\r\n\r\nbody')
    atOrigin.send('HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n')
    await client.untilText('HTTP/1.1 201 Created\r\n')
  })

  it.each(HTTP_WAYS)('refused with 417: $name', async ({ listener }) => {
    await using origin = await startRawOrigin()
    using client = await reach(stack, listener)
    client.send(head(origin.port))
    const atOrigin = await origin.wire()
    await atOrigin.untilText('\r\n\r\n')
    atOrigin.send('HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno')
    await client.untilText('\r\n\r\nno')
    expect(client.text).toMatch(/^HTTP\/1\.1 417 /)
    expect(atOrigin.text).toMatch(/\r\n\r\n$/)
  })

  it.each(HTTP_WAYS)('an early hint passes: $name', async ({ listener }) => {
    await using origin = await startRawOrigin()
    using client = await reach(stack, listener)
    client.send(`GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: x\r\n\r\n`)
    const atOrigin = await origin.wire()
    await atOrigin.untilText('\r\n\r\n')
    atOrigin.send('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n')
    await client.untilText('HTTP/1.1 103 Early Hints\r\n')
    atOrigin.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    await client.untilText('\r\n\r\nok')
  })
})
