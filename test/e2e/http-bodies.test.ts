// Absolute-form requests with bodies: chunked ones stay chunked with their trailers, in both directions, and
// what comes in pieces goes on in pieces, without waiting for the end.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startStack, type Stack } from '../support/stacks.ts'
import { HTTP_WAYS, reach } from '../support/through.ts'
import { startRawOrigin } from '../support/wire.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack()))
afterAll(() => stack[Symbol.asyncDispose]())

describe('HTTP bodies', () => {
  it.each(HTTP_WAYS)('chunked with trailers, both ways: $name', async ({ listener }) => {
    await using origin = await startRawOrigin()
    using client = await reach(stack, listener)
    client.send(
      `POST http://127.0.0.1:${origin.port}/up HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n` +
        'Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n',
    )
    const atOrigin = await origin.wire()
    await atOrigin.untilText('5\r\nhello\r\n')
    client.send('6\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n')
    await atOrigin.untilText('X-Sum: 11\r\n\r\n')
    expect(atOrigin.text).toMatch(/\r\nTransfer-Encoding: chunked\r\n/)
    expect(atOrigin.text).toMatch(/\r\nTrailer: X-Sum\r\n/)
    expect(atOrigin.text).toMatch(/5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n$/)

    atOrigin.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n3\r\none\r\n')
    await client.untilText('one')
    atOrigin.send('3\r\ntwo\r\n0\r\nX-End: yes\r\n\r\n')
    await client.untilText('X-End: yes\r\n\r\n')
    expect(client.text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(client.text).toMatch(/3\r\none\r\n3\r\ntwo\r\n0\r\nX-End: yes\r\n\r\n$/)
  })

  it.each(HTTP_WAYS)('with a length, streamed from the first byte: $name', async ({ listener }) => {
    await using origin = await startRawOrigin()
    using client = await reach(stack, listener)
    client.send(`PUT http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nfour`)
    const atOrigin = await origin.wire()
    await atOrigin.untilText('\r\n\r\nfour')
    client.send('more')
    await atOrigin.untilText('fourmore')
    atOrigin.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n')
    await client.untilText('\r\n\r\n')
    atOrigin.send('a')
    await client.untilText('\r\n\r\na')
    atOrigin.send('bcd')
    await client.untilText('\r\n\r\nabcd')
  })

  it.each(HTTP_WAYS)('an answer that ends with its connection: $name', async ({ listener }) => {
    await using origin = await startRawOrigin()
    using client = await reach(stack, listener)
    client.send(`GET http://127.0.0.1:${origin.port}/ HTTP/1.0\r\nHost: x\r\n\r\n`)
    const atOrigin = await origin.wire()
    await atOrigin.untilText('\r\n\r\n')
    atOrigin.socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end')
    expect(await client.ended()).toBe('end')
    expect(client.text).toMatch(/\r\n\r\nuntil the end$/)
  })
})
