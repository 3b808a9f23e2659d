// One client connection, many requests: to different origins, in a pipeline, and with answers that have no body
// (HEAD, 204, 304), after which the connection must still be in step.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startOrigin } from '../support/origin.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { HTTP_WAYS, reach } from '../support/through.ts'
import { startRawOrigin } from '../support/wire.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack()))
afterAll(() => stack[Symbol.asyncDispose]())

const get = (port: number, target: string, method = 'GET'): string =>
  `${method} http://127.0.0.1:${port}${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`

describe('HTTP keep-alive', () => {
  it.each(HTTP_WAYS)('two origins on one connection: $name', async ({ listener }) => {
    await using first = await startRawOrigin(
      (wire) =>
        void wire
          .untilText('\r\n\r\n')
          .then(() => wire.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst')),
    )
    await using second = await startRawOrigin(
      (wire) =>
        void wire
          .untilText('\r\n\r\n')
          .then(() => wire.send('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond')),
    )
    using client = await reach(stack, listener)
    client.send(get(first.port, '/1'))
    await client.untilText('\r\n\r\nfirst')
    client.send(get(second.port, '/2'))
    await client.untilText('\r\n\r\nsecond')
    expect(client.ending).toBe(undefined)
    expect(first.wires[0]?.text).toContain('GET /1 HTTP/1.1\r\n')
    expect(second.wires[0]?.text).toContain('GET /2 HTTP/1.1\r\n')
  })

  it.each(HTTP_WAYS)('answers without a body keep the connection in step: $name', async ({ listener }) => {
    const origin = await startOrigin({
      handle: (request, response) => {
        const status = Number(request.url?.slice(1)) || 200
        response.writeHead(status, status === 204 ? {} : { 'content-length': '5', etag: '"x"' })
        response.end(request.method === 'HEAD' || status !== 200 ? undefined : 'whole')
      },
    })
    using client = await reach(stack, listener)
    client.send(
      get(origin.port, '/', 'HEAD') +
        get(origin.port, '/204') +
        get(origin.port, '/304') +
        get(origin.port, '/'),
    )
    await client.untilText('whole')
    const heads = client.text.split('\r\n\r\n')
    expect(heads.map((head) => head.split('\r\n')[0])).toEqual([
      'HTTP/1.1 200 OK',
      'HTTP/1.1 204 No Content',
      'HTTP/1.1 304 Not Modified',
      'HTTP/1.1 200 OK',
      'whole',
    ])
    expect(heads[0]).toContain('content-length: 5')
    expect(heads[1]).not.toMatch(/content-length|transfer-encoding/i)
    expect(origin.requests.length).toBe(4)
    await origin.close()
  })

  it('ends a connection that asks for its end', async () => {
    const origin = await startOrigin()
    using client = await reach(stack, 'http')
    client.send(`GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    expect(await client.ended()).toBe('end')
    expect(client.text).toMatch(/hello\n/)
    await origin.close()
  })
})
