// The signals of a process that serves: SIGTERM lets what is open finish and ends with 0, a second one ends at once,
// and there is one `ready` line.
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { get, serve, type SightlineProcess } from '../support/gateway-process.ts'
import { everyInbound, LOOPBACK_EGRESS } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { connectHead } from '../support/through.ts'
import { startRawOrigin, Wire, type RawOrigin } from '../support/wire.ts'

let pki: TempDir
let origin: RawOrigin
beforeAll(async () => {
  pki = await tempDir()
  await ensureDevelopmentPki(pki.path)
  origin = await startRawOrigin()
})
afterAll(async () => {
  await origin[Symbol.asyncDispose]()
  await pki[Symbol.asyncDispose]()
})

const startGateway = (): Promise<SightlineProcess> =>
  serve(pki.file('gateway.json'), { inbounds: everyInbound(pki), egress: LOOPBACK_EGRESS })

/** A relay under way through `gateway`, and its origin's end. */
async function transfer(gateway: SightlineProcess): Promise<{ client: Wire; atOrigin: Wire }> {
  const index = origin.wires.length
  const client = await Wire.connect(gateway.port('http'))
  client.send(connectHead('127.0.0.1', origin.port))
  await client.untilText('\r\n\r\n')
  const atOrigin = await origin.wire(index)
  atOrigin.send('first half, ')
  await client.untilText('first half, ')
  return { client, atOrigin }
}

describe('sightline serve', () => {
  it('prints one ready line with every address, and answers /readyz', async () => {
    await using gateway = await startGateway()
    expect(gateway.out.length).toBe(1)
    expect(gateway.addresses.map(({ name }) => name)).toEqual([
      'http',
      'socks',
      'https',
      'mixed',
      'tunnel',
      'admin',
    ])
    expect(await get(gateway.port('admin'), '/readyz')).toEqual({ status: 200, body: 'ready\n' })
  })

  it('drains on SIGTERM: nothing new, what is open finishes, exit 0', async () => {
    await using gateway = await startGateway()
    const { client, atOrigin } = await transfer(gateway)
    const httpPort = gateway.port('http')
    gateway.kill('SIGTERM')
    await gateway.errLine(/"draining"/)
    expect(await get(gateway.port('admin'), '/readyz')).toMatchObject({ status: 503 })
    await expect(Wire.connect(httpPort)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    client.send('still here')
    await atOrigin.untilText('still here')
    client.socket.end()
    atOrigin.socket.end('second half')
    expect(await client.ended()).toBe('end')
    expect(client.text).toMatch(/first half, second half$/)
    expect(await gateway.exited).toBe(0)
  })

  it('is not ready from SIGTERM on, and accepts for drainDelayMs all the same', async () => {
    await using dir = await tempDir()
    await using gateway = await serve(dir.file('gateway.json'), {
      inbounds: [{ type: 'http', listen: '127.0.0.1:0' }],
      egress: LOOPBACK_EGRESS,
      drainDelayMs: 2_500,
    })
    gateway.kill('SIGTERM')
    await gateway.errLine(/"leaving"/)
    expect(await get(gateway.port('admin'), '/readyz')).toMatchObject({ status: 503 })
    expect(await get(gateway.port('admin'), '/healthz')).toMatchObject({ status: 200 })
    const { client, atOrigin } = await transfer(gateway)
    await gateway.errLine(/"draining"/)
    await expect(Wire.connect(gateway.port('http'))).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    client.socket.end()
    atOrigin.socket.end('second half')
    expect(await client.ended()).toBe('end')
    expect(client.text).toMatch(/first half, second half$/)
    expect(await gateway.exited).toBe(0)
  })

  it('puts another file in force on SIGHUP, and says on which addresses; a bad one changes nothing', async () => {
    await using dir = await tempDir()
    const file = dir.file('gateway.json')
    const config = {
      inbounds: [{ type: 'http' as const, listen: '127.0.0.1:0' }],
      admin: { listen: '127.0.0.1:0' },
    }
    await using gateway = await serve(file, config)
    const port = gateway.port('http')
    await writeFile(file, JSON.stringify({ ...config, inbounds: [{ type: 'http', listen: 'nowhere' }] }))
    gateway.kill('SIGHUP')
    await gateway.errLine(/nothing was changed/)
    expect(gateway.err.join('\n')).toMatch(/^error: .*inbounds\[0\]\.listen: not an address to listen on/m)
    const socks = { type: 'socks', listen: '127.0.0.1:0' }
    await writeFile(file, JSON.stringify({ ...config, inbounds: [...config.inbounds, socks] }))
    gateway.kill('SIGHUP')
    const line = await gateway.outLine(/^reloaded /)
    expect(line).toMatch(
      new RegExp(`^reloaded http 127\\.0\\.0\\.1:${port}  socks 127\\.0\\.0\\.1:\\d+  admin `),
    )
    using wire = await Wire.connect(Number(/socks \S+:(\d+)/.exec(line)?.[1]))
    wire.send(Uint8Array.of(5, 1, 0))
    expect([...(await wire.untilBytes(2))]).toEqual([5, 0])
  })

  it('ends at once on a second SIGTERM', async () => {
    await using gateway = await startGateway()
    const { client } = await transfer(gateway)
    gateway.kill('SIGTERM')
    await gateway.errLine(/"draining"/)
    const askedMs = performance.now()
    gateway.kill('SIGTERM')
    expect(await gateway.exited).toBe(1)
    expect(performance.now() - askedMs).toBeLessThan(2_000)
    expect(await client.ended()).toBe('reset')
  })
})
