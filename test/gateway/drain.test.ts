// Draining: what is open finishes, in every mode, and nothing new begins; and the drain ends when the last one does, or
// when its time is up.
import { describe, expect, it } from 'vitest'
import { sum } from '../support/metrics.ts'
import { eventually } from '../support/eventually.ts'
import { startStack } from '../support/stacks.ts'
import { ask, open, reach, WAYS } from '../support/through.ts'
import { startRawOrigin, type Wire } from '../support/wire.ts'

const MODES = WAYS.filter(({ name }) =>
  ['http-proxy', 'https-proxy', 'socks-proxy by SOCKS5', 'tunnel by SOCKS5'].includes(name),
)

/** Answers every request head, and nothing else. */
function answering(wire: Wire): void {
  wire.socket.on('data', (chunk: Buffer) => {
    if (chunk.includes('\r\n\r\n')) wire.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
}

/** One request by absolute-form; gives the answer. */
async function exchange(wire: Wire, port: number): Promise<string> {
  wire.take(wire.received.length)
  wire.send(`GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`)
  await wire.untilText('\r\n\r\nok')
  return wire.text
}

describe.concurrent('drain', () => {
  it('lets open streams finish, then ends', async () => {
    await using origin = await startRawOrigin((wire) => wire.send('hello'))
    await using stack = await startStack()
    const wires = []
    for (const way of MODES) wires.push(await open(stack, way, '127.0.0.1', origin.port))
    for (const wire of wires) await wire.untilText('hello')
    let drained: boolean | undefined
    const draining = stack.gateway.drain(30_000).then((finished) => (drained = finished))
    expect(stack.gateway.draining).toBe(true)

    for (const [index, wire] of wires.entries()) {
      wire.send('still open')
      await (await origin.wire(index)).untilText('still open')
      expect(drained).toBe(undefined)
      origin.wires[index]?.send(' and answered')
      await wire.untilText('hello and answered')
      wire.socket.end()
      origin.wires[index]?.socket.end()
      expect(await wire.ended()).toBe('end')
    }
    await draining
    expect(drained).toBe(true)
    expect(sum(await stack.gatewayMetrics(), 'sightline_streams_total', { outcome: 'ok' })).toBe(MODES.length)
  })

  it('takes no new connection, and no new stream on an open tunnel', async () => {
    await using origin = await startRawOrigin()
    await using stack = await startStack()
    const way = WAYS.find(({ name }) => name === 'tunnel by HTTP')
    using held = await open(stack, way!, '127.0.0.1', origin.port)
    const draining = stack.gateway.drain(30_000)
    for (const listener of ['http', 'socks', 'https', 'mixed', 'tunnel'] as const) {
      await expect(reach(stack, listener)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    }
    using late = await reach(stack, 'client')
    expect((await ask(late, way!, '127.0.0.1', origin.port)).reply).toBe(503)
    held.send('unharmed')
    await (await origin.wire()).untilText('unharmed')
    held.socket.end()
    origin.wires[0]?.socket.end()
    expect(await draining).toBe(true)
  })

  it('serves on while it leaves; an answer then is the last of its connection', async () => {
    await using origin = await startRawOrigin(answering)
    await using stack = await startStack()
    using kept = await reach(stack, 'http')
    expect(await exchange(kept, origin.port)).toMatch(/^connection: keep-alive\r$/im)
    const draining = stack.gateway.drain(30_000, 2_000)
    expect(stack.gateway.draining).toBe(true)
    for (const way of MODES) {
      const wire = await open(stack, way, '127.0.0.1', origin.port)
      expect(await exchange(wire, origin.port)).toContain('HTTP/1.1 200 ')
      wire.reset()
    }
    expect(await exchange(kept, origin.port)).toMatch(/^connection: close\r$/im)
    expect(await kept.ended()).toBe('end')
    expect(await draining).toBe(true)
    await expect(reach(stack, 'http')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('ends connections that wait for another request, and no request that is on its way', async () => {
    await using origin = await startRawOrigin(answering)
    await using stack = await startStack()
    using idle = await reach(stack, 'http')
    await exchange(idle, origin.port)
    using fresh = await reach(stack, 'http')
    await eventually(async () =>
      expect(sum(await stack.gatewayMetrics(), 'sightline_connections', { mode: 'http-proxy' })).toBe(2),
    )
    const draining = stack.gateway.drain(30_000)
    expect(await idle.ended()).toBe('end')
    expect(await exchange(fresh, origin.port)).toContain('HTTP/1.1 200 ')
    expect(await fresh.ended()).toBe('end')
    expect(await draining).toBe(true)
  })

  it('breaks off what has not finished in time, and says so', async () => {
    await using origin = await startRawOrigin()
    await using stack = await startStack()
    const wires = []
    for (const way of MODES) wires.push(await open(stack, way, '127.0.0.1', origin.port))
    expect(await stack.gateway.drain(50)).toBe(false)
    for (const wire of wires) await wire.ended()
    await eventually(async () => {
      const metrics = await stack.gatewayMetrics()
      expect([sum(metrics, 'sightline_streams'), sum(metrics, 'sightline_connections')]).toEqual([0, 0])
    })
  })

  it('with nothing open is over at once', async () => {
    await using stack = await startStack()
    expect(await stack.gateway.drain(30_000)).toBe(true)
  })
})
