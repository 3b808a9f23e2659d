// What the origin reads: exactly the client's end-to-end fields, in their order and spelling. Nothing of one hop,
// no proxy credential, and nothing that names the client or the proxy is in it.
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hashPassword } from '../../src/gateway/users.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { HTTP_WAYS, reach } from '../support/through.ts'
import { startRawOrigin } from '../support/wire.ts'

let stack: Stack
let dir: TempDir
beforeAll(async () => {
  dir = await tempDir()
  await writeFile(dir.file('users'), `ada:${await hashPassword('lace')}\n`)
  stack = await startStack({ users: dir.file('users') })
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
  await dir[Symbol.asyncDispose]()
})

const CREDENTIAL = Buffer.from('ada:lace').toString('base64')

describe('fields at the origin', () => {
  it.each(HTTP_WAYS)('$name', async ({ listener }) => {
    await using origin = await startRawOrigin()
    using client = await reach(stack, listener)
    const host = `127.0.0.1:${origin.port}`
    client.send(
      [
        `POST http://${host}/a%2Fb/../c?q=1&q=2 HTTP/1.1`,
        'User-Agent: test/1',
        'Host: something.else',
        `Proxy-Authorization: Basic ${CREDENTIAL}`,
        'Proxy-Connection: keep-alive',
        'Connection: keep-alive, X-Hop',
        'Keep-Alive: timeout=5',
        'X-Hop: this hop only',
        'TE: trailers',
        'Upgrade: websocket',
        'cookie: a=1',
        'Cookie: b=2',
        'ACCEPT: */*',
        'Authorization: Bearer of-the-site',
        'X-Forwarded-For: what the client says itself',
        'Content-Length: 2',
        '',
        'ok',
      ].join('\r\n'),
    )
    const atOrigin = await origin.wire()
    await atOrigin.untilText('\r\n\r\nok')
    expect(atOrigin.text.split('\r\n')).toEqual([
      'POST /a%2Fb/../c?q=1&q=2 HTTP/1.1',
      `Host: ${host}`,
      'User-Agent: test/1',
      'cookie: a=1',
      'Cookie: b=2',
      'ACCEPT: */*',
      'Authorization: Bearer of-the-site',
      'X-Forwarded-For: what the client says itself',
      'Content-Length: 2',
      '',
      'ok',
    ])
  })

  it.each(HTTP_WAYS)('and those of the answer at the client: $name', async ({ listener }) => {
    await using origin = await startRawOrigin()
    using client = await reach(stack, listener)
    client.send(
      `GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic ${CREDENTIAL}\r\n\r\n`,
    )
    const atOrigin = await origin.wire()
    await atOrigin.untilText('\r\n\r\n')
    atOrigin.send(
      'HTTP/1.1 299 Odd Reason\r\nServer: s\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: max=1\r\n' +
        'Proxy-Authenticate: Basic realm="no"\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok',
    )
    await client.untilText('\r\n\r\nok')
    const [head = ''] = client.text.split('\r\n\r\n')
    const ownHop = /^(connection|keep-alive):/i
    expect(head.split('\r\n').filter((line) => !ownHop.test(line))).toEqual([
      'HTTP/1.1 299 Odd Reason',
      'Server: s',
      'set-cookie: a=1',
      'Set-Cookie: b=2',
      'Content-Length: 2',
    ])
    expect(head).not.toMatch(/X-Hop|max=1/)
  })

  it('a request without the password is answered with 407 and goes nowhere', async () => {
    await using origin = await startRawOrigin()
    using client = await reach(stack, 'http')
    client.send(`GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: x\r\n\r\n`)
    await client.untilText('\r\n\r\n')
    expect(client.text).toMatch(/^HTTP\/1\.1 407 .*\r\nproxy-authenticate: Basic /s)
    expect(origin.wires.length).toBe(0)
  })
})
