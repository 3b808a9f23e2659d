// WebSocket through the proxy, as an absolute-form request that upgrades; and upgrades that the proxy does not offer.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { startOrigin } from '../support/origin.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { HTTP_WAYS, reach } from '../support/through.ts'
import { startRawOrigin } from '../support/wire.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack()))
afterAll(() => stack[Symbol.asyncDispose]())

const upgrade = (port: number, protocol = 'websocket'): string =>
  [
    `GET http://127.0.0.1:${port}/chat HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    'Connection: Upgrade',
    `Upgrade: ${protocol}`,
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    '',
    '',
  ].join('\r\n')

/** A masked text frame (RFC 6455 section 5.2) with a mask of zeros. */
const frame = (text: string): Buffer =>
  Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)])

describe('HTTP upgrade', () => {
  it.each(HTTP_WAYS)('to WebSocket carries frames both ways: $name', async ({ listener }) => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    server.on('connection', (socket) =>
      socket.on('message', (data: Buffer) => socket.send(`echo ${data.toString()}`)),
    )
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    using client = await reach(stack, listener)
    client.send(upgrade(port))
    await client.untilText('\r\n\r\n')
    expect(client.text).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/)
    // The accept key of RFC 6455 section 1.3: the origin's own field came through.
    expect(client.text).toContain('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
    client.send(frame('one'))
    await client.untilText('echo one')
    client.send(frame('two'))
    await client.untilText('echo two')
    await new Promise((resolve) => {
      server.close(resolve)
      for (const socket of server.clients) socket.terminate()
    })
    expect(await client.ended()).not.toBe(undefined)
  })

  it('that the origin declines is an answer like any other', async () => {
    const origin = await startOrigin({ handle: (_request, response) => response.writeHead(403).end('no') })
    using client = await reach(stack, 'http')
    client.send(upgrade(origin.port))
    expect(await client.ended()).toBe('end')
    expect(client.text).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n[^]*no/)
    await origin.close()
  })

  it('to anything else is not offered to the origin', async () => {
    await using origin = await startRawOrigin()
    using client = await reach(stack, 'http')
    client.send(upgrade(origin.port, 'h2c'))
    const wire = await origin.wire()
    await wire.untilText('\r\n\r\n')
    expect(wire.text).not.toMatch(/upgrade/i)
  })

  it('to a refused destination is refused', async () => {
    using client = await reach(stack, 'http')
    client.send(upgrade(1).replaceAll('127.0.0.1', '10.0.0.1'))
    expect(await client.ended()).toBe('end')
    expect(client.text).toMatch(/^HTTP\/1\.1 403 /)
  })
})
