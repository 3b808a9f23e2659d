// Origin connections are used again where that is safe: by the same client connection, for the same origin and the
// same user, and never after the origin ended them. Each request is authorized and counted for itself.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sum } from '../support/metrics.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { HTTP_WAYS, reach } from '../support/through.ts'
import { startRawOrigin, type RawOrigin, type Wire } from '../support/wire.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack()))
afterAll(() => stack[Symbol.asyncDispose]())

const get = (port: number, path: string, method = 'GET'): string =>
  `${method} http://127.0.0.1:${port}${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'

/** Answers each request with its number on that connection, and ends the connection after `each` answers. */
async function countingOrigin(each = Infinity): Promise<RawOrigin> {
  return startRawOrigin(
    ignoringEnds(async (wire) => {
      for (let number = 1; number <= each; number += 1) {
        await wire.until(() => wire.text.split('\r\n\r\n').length > number)
        wire.send(`${OK}#${number}`)
      }
      wire.socket.end()
    }),
  )
}

/** A script of an origin ends with the test: what it then still waited for is of no interest. */
function ignoringEnds(script: (wire: Wire) => Promise<void>): (wire: Wire) => void {
  return (wire) => void script(wire).catch(() => {})
}

describe('origin connections', () => {
  it.each(HTTP_WAYS)('serve the next request of the same client connection: $name', async ({ listener }) => {
    await using origin = await countingOrigin()
    using client = await reach(stack, listener)
    for (const number of [1, 2, 3]) {
      client.send(get(origin.port, `/${number}`))
      await client.untilText(`#${number}`)
    }
    expect(origin.wires.length).toBe(1)
  })

  it('are not shared between client connections', async () => {
    await using origin = await countingOrigin()
    using first = await reach(stack, 'http')
    using second = await reach(stack, 'http')
    first.send(get(origin.port, '/'))
    await first.untilText('#1')
    second.send(get(origin.port, '/'))
    await second.untilText('#1')
    expect(origin.wires.length).toBe(2)
  })

  it('that the origin ended are not used again', async () => {
    await using origin = await countingOrigin(1)
    using client = await reach(stack, 'http')
    client.send(get(origin.port, '/1'))
    await client.untilText('#1')
    await origin.wires[0]?.ended()
    client.send(get(origin.port, '/2'))
    await client.until(() => client.text.split('#1').length === 3)
    expect(origin.wires.length).toBe(2)
  })

  it('that break under a second request are replaced for what may be sent twice', async () => {
    await using origin = await startRawOrigin(
      ignoringEnds(async (wire) => {
        await wire.untilText('\r\n\r\n')
        wire.send(`${OK}ok`)
        await wire.until(() => wire.text.split('\r\n\r\n').length > 2)
        wire.reset()
      }),
    )
    using client = await reach(stack, 'http')
    client.send(get(origin.port, '/1'))
    await client.untilText('ok')
    client.send(get(origin.port, '/2'))
    await client.until(() => client.text.split('ok').length === 3)
    expect(origin.wires.length).toBe(2)
    client.send(get(origin.port, '/3', 'POST').replace('\r\n\r\n', '\r\nContent-Length: 1\r\n\r\nx'))
    await client.untilText('HTTP/1.1 502')
    expect(origin.wires.length).toBe(2)
  })

  it('count each request for itself', async () => {
    await using fresh = await startStack()
    await using origin = await countingOrigin()
    using client = await reach(fresh, 'http')
    for (const number of [1, 2, 3]) {
      client.send(get(origin.port, `/${number}`))
      await client.untilText(`#${number}`)
    }
    const readable = { mode: 'http-proxy', observer: 'gateway-operator', information: 'url-and-headers' }
    expect(sum(await fresh.gatewayMetrics(), 'sightline_exposed_streams_total', readable)).toBe(3)
  })
})
