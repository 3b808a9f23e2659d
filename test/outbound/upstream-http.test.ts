// HTTP upstreams that are played byte by byte: what they are asked, and what is made of each answer.
import { describe, expect, it } from 'vitest'
import { failureOf, PASSWORD, request, upstream } from '../support/upstream-peer.ts'
import { startRawOrigin, Wire } from '../support/wire.ts'

describe('an HTTP upstream', () => {
  it('is asked by CONNECT, with nothing beside what it needs', async () => {
    await using proxy = await startRawOrigin()
    const credentials = { name: 'ann', password: PASSWORD }
    const dialling = upstream('http', proxy.port, { credentials }).dial(request('Site.test', 8080))
    const wire = await proxy.wire()
    await wire.untilText('\r\n\r\n')
    const basic = Buffer.from(`ann:${PASSWORD}`).toString('base64')
    expect(wire.text).toBe(
      `CONNECT site.test:8080 HTTP/1.1\r\nHost: site.test:8080\r\nProxy-Authorization: Basic ${basic}\r\n\r\n`,
    )
    wire.send('HTTP/1.1 200 OK\r\n\r\n')
    const { stream } = await dialling
    stream.destroy()
  })

  it.each([
    ['401 Unauthorized', '', 'upstream-auth-failed'],
    ['403 Forbidden', '', 'destination-denied'],
    ['407 Proxy Authentication Required', 'proxy-authenticate: Basic realm="x"\r\n', 'upstream-auth-failed'],
    ['429 Too Many Requests', '', 'upstream-unavailable'],
    ['500 Unable to connect', '', 'dial-failed'],
    ['501 Not Implemented', '', 'upstream-unavailable'],
    ['502 Bad Gateway', '', 'dial-failed'],
    ['502 Bad Gateway', 'sightline-error: connection-refused\r\n', 'connection-refused'],
    ['502 Bad Gateway', 'sightline-error: upstream-unavailable\r\n', 'upstream-unavailable'],
    ['407 Proxy', 'sightline-error: destination-denied\r\n', 'upstream-auth-failed'],
    ['429 Too many', 'sightline-error: too-many-from-source\r\n', 'upstream-unavailable'],
    ['503 Service Unavailable', '', 'upstream-unavailable'],
    ['503 Service Unavailable', 'X-Squid-Error: ERR_CONNECT_FAIL 111\r\n', 'connection-refused'],
    ['503 Service Unavailable', 'X-Squid-Error: ERR_DNS_FAIL 0\r\n', 'name-not-found'],
    ['504 Gateway Timeout', '', 'dial-timeout'],
    ['302 Found', 'location: http://portal.test/\r\n', 'upstream-unavailable'],
    ['100 Continue', '', 'upstream-unavailable'],
    ['101 Switching Protocols', 'upgrade: x\r\nconnection: upgrade\r\n', 'upstream-unavailable'],
  ])('that answers %s with "%s" means %s', async (status, fields, code) => {
    await using proxy = await startRawOrigin()
    const failing = failureOf(upstream('http', proxy.port).dial(request()))
    const wire = await proxy.wire()
    await wire.untilText('\r\n\r\n')
    wire.send(`HTTP/1.1 ${status}\r\n${fields}content-length: 3\r\n\r\nno\n`)
    expect((await failing).code).toBe(code)
    await wire.ended()
  })

  it.each([
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n'],
    ['a head without end', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}`],
  ])('that answers with %s is none', async (_, text) => {
    await using proxy = await startRawOrigin((wire) => wire.send(text))
    expect((await failureOf(upstream('http', proxy.port).dial(request()))).code).toBe('upstream-unavailable')
    await (await proxy.wire()).ended()
  })

  it.each(['content-length: 4', 'transfer-encoding: chunked'])(
    'may say %s in its 200: no body follows',
    async (field) => {
      await using proxy = await startRawOrigin()
      const dialling = upstream('http', proxy.port).dial(request())
      const wire = await proxy.wire()
      await wire.untilText('\r\n\r\n')
      wire.send(`HTTP/1.1 200 OK\r\n${field}\r\n\r\nearly`)
      const { stream } = await dialling
      const client = new Wire(stream as Wire['socket'])
      stream.resume()
      await client.untilText('early')
      stream.destroy()
    },
  )
})
