// The tunnel client before gateways that go away, drain, turn silent and come back: which one it uses, what becomes of the
// streams, what who asks meanwhile is told, and how many connections it keeps.
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { GatewayError } from '../../src/errors.ts'
import { eventually } from '../support/eventually.ts'
import { sum } from '../support/metrics.ts'
import { startCable, TunnelScene, type Client } from '../support/tunnel-scene.ts'
import { startRawOrigin, type Wire } from '../support/wire.ts'

let scene: TunnelScene
beforeEach(async () => void (scene = await TunnelScene.make()))
afterEach(async () => {
  vi.useRealTimers()
  await scene[Symbol.asyncDispose]()
})

/** Sends and gets back what tells this stream from any other. */
async function expectEcho(wire: Wire, text = 'hello'): Promise<void> {
  wire.send(text)
  await wire.untilText(text)
}

const codeOf = (dialling: Promise<unknown>): Promise<string> =>
  dialling.then(
    () => 'dialled',
    (thrown: unknown) => (thrown instanceof GatewayError ? thrown.code : String(thrown)),
  )

const lastState = (client: Client): string | undefined => client.states.at(-1)

describe('of several gateways', () => {
  it('the first is used while it can be reached', async () => {
    const [one, two] = [await scene.startGateway(), await scene.startGateway()]
    const client = await scene.startClient([one.port, two.port])
    using wire = await client.open()
    await expectEcho(wire)
    expect(client.states).toEqual(['connecting', `up ${one.port}`])
    expect(sum(await two.metrics(), 'sightline_tunnel_sessions')).toBe(0)
  })

  it('the next is used where the first is away, refuses, or says nothing', async () => {
    const two = await scene.startGateway()
    const gone = await startRawOrigin()
    await gone[Symbol.asyncDispose]()
    await using mute = await startRawOrigin()
    await using other = await startRawOrigin((wire) => wire.socket.end('HTTP/1.1 404 Not Found\r\n\r\n'))
    for (const port of [gone.port, mute.port, other.port]) {
      const client = await scene.startClient([port, two.port])
      using wire = await client.open()
      await expectEcho(wire)
      expect(lastState(client)).toBe(`up ${two.port}`)
      client.outbound.destroy()
    }
  })

  it('the next takes over when the first is gone; what was on it is reset', async () => {
    const [one, two] = [await scene.startGateway(), await scene.startGateway()]
    const client = await scene.startClient([one.port, two.port])
    using before = await client.open()
    await expectEcho(before)
    one.gateway.destroy()
    await before.ended()
    expect((before.error as unknown as GatewayError).code).toMatch(/^(shutting-down|connection-reset)$/)
    using after = await client.open()
    await expectEcho(after)
    expect(lastState(client)).toBe(`up ${two.port}`)
  })

  it('the next takes over when the first drains; what is on it goes on to its end', async () => {
    const [one, two] = [await scene.startGateway(), await scene.startGateway()]
    const client = await scene.startClient([one.port, two.port])
    using before = await client.open()
    await expectEcho(before)
    const drained = one.gateway.drain(10_000)
    await eventually(() => expect(lastState(client)).toBe(`up ${two.port}`))
    using after = await client.open()
    await expectEcho(after)
    await expectEcho(before, 'still here')
    expect(await two.metrics()).toMatch(/^sightline_streams\{mode="tunnel"\} 1$/m)
    before.socket.end()
    expect(await before.ended()).toBe('end')
    expect(await drained).toBe(true)
  })

  it('the first is used again when it has been back for a while; what is on the other goes on', async () => {
    const one = await scene.startGateway()
    const two = await scene.startGateway()
    one.gateway.destroy()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const client = await scene.startClient([one.port, two.port])
    expect(lastState(client)).toBe(`up ${two.port}`)
    using before = await client.open()
    const again = await scene.startGateway(one.port)
    vi.advanceTimersByTime(44_000)
    expect(sum(await again.metrics(), 'sightline_tunnel_sessions')).toBe(0)
    vi.advanceTimersByTime(2_000)
    await eventually(() => expect(lastState(client)).toBe(`up ${one.port}`))
    using after = await client.open()
    await expectEcho(after)
    await expectEcho(before, 'still here')
    expect(client.outbound.traffic).toMatchObject({ connections: 2, streams: 2 })
    before.socket.end()
    await eventually(() => expect(client.outbound.traffic).toMatchObject({ connections: 1, streams: 1 }))
  })
})

describe('a gateway that turns silent', () => {
  const CLOCK = {
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
  } as const

  /** Waits for `work` on a clock that runs ten times as fast; gives how long it took by that clock, too. */
  async function timed<T>(work: Promise<T>): Promise<[T, number]> {
    const startedMs = performance.now()
    const state = { isOver: false }
    const over = (): void => {
      state.isOver = true
    }
    work.then(over, over)
    while (!state.isOver) {
      vi.advanceTimersByTime(50)
      await wait(5)
    }
    return [await work, performance.now() - startedMs]
  }

  it('is passed over within seconds, and the request that found it out is served by the next', async () => {
    const [one, two] = [await scene.startGateway(), await scene.startGateway()]
    await using cable = await startCable(one.port)
    vi.useFakeTimers({ toFake: [...CLOCK.toFake] })
    const client = await scene.startClient([cable.port, two.port])
    using before = await client.open()
    await expectEcho(before)
    cable.pull()
    const [wire, tookMs] = await timed(client.open())
    await expectEcho(wire)
    wire.socket.destroy()
    expect(tookMs).toBeLessThan(5_000)
    expect(client.states.slice(-2)).toEqual(['down tunnel-dead', `up ${two.port}`])
  })

  it('is told of within 5 s where there is no other, and its next requests within 3 s', async () => {
    const one = await scene.startGateway()
    await using cable = await startCable(one.port)
    vi.useFakeTimers({ toFake: [...CLOCK.toFake] })
    const client = await scene.startClient([cable.port])
    using before = await client.open()
    cable.pull()
    const [code, tookMs] = await timed(codeOf(client.open()))
    expect(code).toMatch(/^tunnel-(dead|unavailable)$/)
    expect(tookMs).toBeLessThan(5_000)
    expect(tookMs).toBeGreaterThan(2_000)
    const [next, nextMs] = await timed(codeOf(client.open()))
    expect(next).toBe('tunnel-unavailable')
    expect(nextMs).toBeLessThan(3_000)
    const [, deadMs] = await timed(before.ended())
    expect((before.error as unknown as GatewayError).code).toBe('tunnel-dead')
    expect(tookMs + nextMs + deadMs).toBeLessThan(15_500)
  })
})

describe('connections: auto', () => {
  const tick = async (): Promise<void> => {
    vi.advanceTimersByTime(1_000)
    await new Promise((resolve) => setImmediate(resolve))
  }

  it('opens another while the first is busy, spreads new streams, and lets it go again', async () => {
    const one = await scene.startGateway()
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const client = await scene.startClient([one.port], { connections: { most: 2 } })
    const wires: Wire[] = []
    const move = async (): Promise<void> => {
      const block = Buffer.alloc(100_000)
      await Promise.all(
        wires.map(async (wire) => {
          const until = wire.received.length + block.length
          wire.send(block)
          await wire.untilBytes(until)
        }),
      )
    }
    for (let count = 0; count < 3; count += 1) wires.push(await client.open())
    for (let looks = 0; looks < 4; looks += 1) {
      await move()
      await tick()
    }
    expect(client.outbound.traffic.connections).toBe(1)
    wires.push(await client.open())
    for (let looks = 0; looks < 3; looks += 1) {
      await move()
      await tick()
    }
    await eventually(() => expect(client.outbound.traffic.connections).toBe(2))
    for (let count = 0; count < 4; count += 1) wires.push(await client.open())
    expect(sum(await one.metrics(), 'sightline_tunnel_sessions')).toBe(2)
    // Busy as both are, there may be two.
    for (let looks = 0; looks < 5; looks += 1) {
      await move()
      await tick()
    }
    expect(client.outbound.traffic.connections).toBe(2)
    for (const wire of wires.splice(1)) wire.socket.destroy()
    await eventually(() => expect(client.outbound.traffic.streams).toBe(1))
    for (let looks = 0; looks < 62; looks += 1) await tick()
    await eventually(() => expect(client.outbound.traffic).toMatchObject({ connections: 1, streams: 1 }))
    await expectEcho(wires[0]!, 'last')
    expect(client.states).toEqual(['connecting', `up ${one.port}`])
  })

  it('gives up one that it cannot have, and goes on with the one it has', async () => {
    const one = await scene.startGateway(0, {}, { sessionsPerIdentity: 1 })
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] })
    const client = await scene.startClient([one.port], { connections: { most: 2 }, maxStreams: 4 })
    const wires = await Promise.all([client.open(), client.open(), client.open()])
    const refused = async (): Promise<number> =>
      sum(await one.metrics(), 'sightline_refusals_total', { code: 'too-many-for-identity' })
    // Three of four streams: there is hardly room for more.
    for (let looks = 0; looks < 2; looks += 1) await tick()
    await eventually(async () => expect(await refused()).toBe(1))
    // Its failure is seen at the next look at the latest, before which it may try once more.
    for (let looks = 0; looks < 30; looks += 1) {
      await tick()
      await wait(10)
    }
    expect([(await refused()) <= 2, client.outbound.traffic.connections]).toEqual([true, 1])
    for (const wire of wires) await expectEcho(wire)
    expect(client.states).toEqual(['connecting', `up ${one.port}`])
    for (const wire of wires) wire.socket.destroy()
  })
})
