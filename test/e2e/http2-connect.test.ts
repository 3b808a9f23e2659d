// HTTP/2 clients of the encrypted proxy: CONNECT as RFC 9113 section 8.5 has it, requests for http sites beside it on
// the same connection, refusals as statuses, and streams that break off as resets.
import http2 from 'node:http2'
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hashPassword } from '../../src/gateway/users.ts'
import { eventually } from '../support/eventually.ts'
import { sum } from '../support/metrics.ts'
import { bytesHash, startOrigin, type Origin } from '../support/origin.ts'
import { createHash } from 'node:crypto'
import { startStack, type Stack } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { startRawOrigin, Wire } from '../support/wire.ts'

let stack: Stack
let origin: Origin
beforeAll(async () => {
  stack = await startStack()
  origin = await startOrigin()
})
afterAll(async () => {
  await origin.close()
  await stack[Symbol.asyncDispose]()
})

function session(of: Stack = stack): http2.ClientHttp2Session & Disposable {
  const client = http2.connect(`https://localhost:${of.ports.https}`, { ca: of.authority })
  client.on('error', () => {})
  return Object.assign(client, { [Symbol.dispose]: () => client.destroy() })
}

interface Reply {
  readonly headers: http2.IncomingHttpHeaders
  readonly body: Buffer
  readonly rstCode: number
}

function reply(stream: http2.ClientHttp2Stream): Promise<Reply> {
  return new Promise((resolve) => {
    let headers: http2.IncomingHttpHeaders = {}
    const chunks: Buffer[] = []
    stream.on('response', (fields) => (headers = fields))
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', () => {})
    stream.on('close', () => resolve({ headers, body: Buffer.concat(chunks), rstCode: stream.rstCode ?? 0 }))
  })
}

const status = (stream: http2.ClientHttp2Stream): Promise<number> =>
  new Promise((resolve) => stream.once('response', (headers) => resolve(Number(headers[':status']))))

/** One frame (RFC 9113 section 4.1), of stream 1 where nothing else is said. */
function frame(type: number, flags: number, payload: Buffer, stream = 1): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A field with a name of the static table (RFC 7541 section 6.2.2). */
function field(name: number, value: string): Buffer {
  return Buffer.concat([Buffer.from([name, value.length]), Buffer.from(value)])
}

describe('HTTP/2 to the encrypted proxy', () => {
  it('is negotiated by ALPN', async () => {
    using client = session()
    await new Promise((resolve) => client.once('connect', resolve))
    expect(client.alpnProtocol).toBe('h2')
  })

  it('CONNECT opens a byte stream, several at once on one connection', async () => {
    using client = session()
    const replies = [1, 2, 3].map(async (number) => {
      const stream = client.request(
        { ':method': 'CONNECT', ':authority': `127.0.0.1:${origin.port}` },
        { endStream: false },
      )
      expect(await status(stream)).toBe(200)
      const whole = reply(stream)
      stream.end(`GET /bytes/${number * 100_000} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      const { body, rstCode } = await whole
      const content = body.subarray(body.indexOf('\r\n\r\n') + 4)
      expect(createHash('sha256').update(content).digest('hex')).toBe(bytesHash(number * 100_000))
      expect(rstCode).toBe(http2.constants.NGHTTP2_NO_ERROR)
    })
    await Promise.all(replies)
  })

  it('keeps half-close: the origin answers after the client has ended its direction', async () => {
    await using raw = await startRawOrigin()
    using client = session()
    const stream = client.request(
      { ':method': 'CONNECT', ':authority': `127.0.0.1:${raw.port}` },
      { endStream: false },
    )
    expect(await status(stream)).toBe(200)
    const whole = reply(stream)
    stream.end('question')
    const wire = await raw.wire()
    expect(await wire.ended()).toBe('end')
    expect(wire.text).toBe('question')
    wire.send('answer')
    wire.socket.end()
    expect((await whole).body.toString()).toBe('answer')
  })

  it('a stream that the origin resets is reset, not ended', async () => {
    await using raw = await startRawOrigin()
    using client = session()
    const stream = client.request(
      { ':method': 'CONNECT', ':authority': `127.0.0.1:${raw.port}` },
      { endStream: false },
    )
    expect(await status(stream)).toBe(200)
    const whole = reply(stream)
    const wire = await raw.wire()
    wire.send('half')
    await new Promise((resolve) => stream.once('data', resolve))
    wire.reset()
    expect((await whole).rstCode).not.toBe(http2.constants.NGHTTP2_NO_ERROR)
  })

  it.each([
    ['by RST_STREAM', (wire: Wire) => wire.send(frame(3, 0, Buffer.from([0, 0, 0, 8])))],
    ['by leaving', (wire: Wire) => wire.reset()],
  ])('a byte stream that the client breaks off %s is reset, and leaves nothing open', async (_how, leave) => {
    await using raw = await startRawOrigin()
    using client = await Wire.connectTls(stack.ports.https, { ca: stack.authority, ALPNProtocols: ['h2'] })
    client.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    client.send(frame(4, 0, Buffer.alloc(0), 0))
    client.send(frame(1, 4, Buffer.concat([field(2, 'CONNECT'), field(1, `127.0.0.1:${raw.port}`)])))
    client.send(frame(0, 0, Buffer.from('half')))
    const wire = await raw.wire()
    await wire.untilText('half')
    leave(client)
    expect(await wire.ended()).toBe('reset')
    await eventually(async () => expect(sum(await stack.gatewayMetrics(), 'sightline_streams')).toBe(0))
  })

  it.each([
    ['by RST_STREAM', (wire: Wire) => wire.send(frame(3, 0, Buffer.from([0, 0, 0, 8])))],
    ['by leaving', (wire: Wire) => wire.reset()],
  ])('a request whose body the client breaks off %s never looks whole to the origin', async (_how, leave) => {
    await using raw = await startRawOrigin()
    using client = await Wire.connectTls(stack.ports.https, { ca: stack.authority, ALPNProtocols: ['h2'] })
    client.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    client.send(frame(4, 0, Buffer.alloc(0), 0))
    const head = [field(2, 'POST'), field(6, 'http'), field(4, '/'), field(1, `127.0.0.1:${raw.port}`)]
    client.send(frame(1, 4, Buffer.concat(head)))
    client.send(frame(0, 0, Buffer.from('half')))
    const wire = await raw.wire()
    await wire.untilText('half')
    leave(client)
    expect(await wire.ended()).toBe('reset')
    expect(wire.text).toMatch(/transfer-encoding: chunked\r\n/i)
    expect(wire.text).not.toContain('0\r\n\r\n')
    await eventually(async () => expect(sum(await stack.gatewayMetrics(), 'sightline_streams')).toBe(0))
  })

  it('requests for http sites go through as well, with and without a body', async () => {
    using client = session()
    const authority = `127.0.0.1:${origin.port}`
    const got = client.request({
      ':method': 'GET',
      ':scheme': 'http',
      ':authority': authority,
      ':path': '/bytes/70000',
    })
    expect((await reply(got)).body.length).toBe(70_000)
    const put = client.request(
      { ':method': 'PUT', ':scheme': 'http', ':authority': authority, ':path': '/hash' },
      { endStream: false },
    )
    const answer = reply(put)
    put.end('abc')
    const { headers, body } = await answer
    expect(headers[':status']).toBe(200)
    expect(body.toString()).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3\n')
  })

  it.each([
    ['a refused destination', '10.0.0.1:80', 403, 'destination-denied'],
    ['a refused connection', '127.0.0.1:1', 502, 'connection-refused'],
    ['an authority without a port', 'example.org', 400, 'bad-request'],
  ])('%s is a status with a code', async (_what, authority, expected, code) => {
    using client = session()
    const stream = client.request({ ':method': 'CONNECT', ':authority': authority }, { endStream: false })
    const { headers } = await reply(stream)
    expect(headers[':status']).toBe(expected)
    expect(headers['sightline-error']).toBe(code)
  })

  describe('with users', () => {
    let directory: TempDir
    let guarded: Stack
    beforeAll(async () => {
      directory = await tempDir()
      await writeFile(directory.file('users'), `alice:${await hashPassword('secret')}\n`)
      guarded = await startStack({ users: directory.file('users') })
    })
    afterAll(async () => {
      await guarded[Symbol.asyncDispose]()
      await directory[Symbol.asyncDispose]()
    })

    it.each([
      ['no password', undefined, 407],
      ['a wrong password', 'alice:wrong', 407],
      ['the password', 'alice:secret', 200],
    ])('%s', async (_what, credentials, expected) => {
      using client = session(guarded)
      const stream = client.request(
        {
          ':method': 'CONNECT',
          ':authority': `127.0.0.1:${origin.port}`,
          ...(credentials !== undefined && {
            'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}`,
          }),
        },
        { endStream: false },
      )
      expect(await status(stream)).toBe(expected)
      stream.close()
    })
  })
})
