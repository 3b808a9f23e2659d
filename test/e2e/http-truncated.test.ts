// An answer that the origin cut off is cut off for the client too: it never ends as if it were whole.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startStack, type Stack } from '../support/stacks.ts'
import { HTTP_WAYS, reach } from '../support/through.ts'
import { startRawOrigin } from '../support/wire.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack()))
afterAll(() => stack[Symbol.asyncDispose]())

const CUTS = [
  {
    cut: 'a length not reached, then an end',
    answer: 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf',
    how: 'end',
  },
  {
    cut: 'a length not reached, then a reset',
    answer: 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf',
    how: 'reset',
  },
  {
    cut: 'a chunk cut, then an end',
    answer: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf',
    how: 'end',
  },
  {
    cut: 'no last chunk, then a reset',
    answer: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
    how: 'reset',
  },
] as const
const CASES = HTTP_WAYS.flatMap((way) => CUTS.map((cut) => ({ ...way, ...cut })))

describe('a truncated answer', () => {
  it.each(CASES)('$cut: $name', async ({ listener, answer, how }) => {
    await using origin = await startRawOrigin()
    using client = await reach(stack, listener)
    client.send(`GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: x\r\n\r\n`)
    const atOrigin = await origin.wire()
    await atOrigin.untilText('\r\n\r\n')
    atOrigin.send(answer)
    await client.untilText('half')
    if (how === 'end') atOrigin.socket.end()
    else atOrigin.socket.resetAndDestroy()
    await client.ended()
    expect(client.text).toMatch(/half(\r\n)?$/)
  })

  it.each(HTTP_WAYS)(
    'to an HTTP/1.0 client, who knows the end by the connection alone, is a reset: $name',
    async ({ listener }) => {
      await using origin = await startRawOrigin()
      using client = await reach(stack, listener)
      client.send(`GET http://127.0.0.1:${origin.port}/ HTTP/1.0\r\nHost: x\r\n\r\n`)
      const atOrigin = await origin.wire()
      await atOrigin.untilText('\r\n\r\n')
      atOrigin.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf')
      await client.untilText('half')
      atOrigin.socket.resetAndDestroy()
      expect(await client.ended()).toBe('reset')
    },
  )

  it.each(HTTP_WAYS)('no answer at all is a 502: $name', async ({ listener }) => {
    await using origin = await startRawOrigin()
    using client = await reach(stack, listener)
    client.send(`GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: x\r\n\r\n`)
    const atOrigin = await origin.wire()
    await atOrigin.untilText('\r\n\r\n')
    atOrigin.socket.end()
    await client.ended()
    expect(client.text).toMatch(/^HTTP\/1\.1 502 /)
  })

  it.each(HTTP_WAYS)('an answer that is not HTTP is a 502: $name', async ({ listener }) => {
    await using origin = await startRawOrigin((wire) => wire.send('220 mail.example ESMTP\r\n'))
    using client = await reach(stack, listener)
    client.send(`GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: x\r\n\r\n`)
    await client.ended()
    expect(client.text).toMatch(/^HTTP\/1\.1 502 .*\r\nsightline-error: upstream-protocol-error\r\n/s)
  })
})
