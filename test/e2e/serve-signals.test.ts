// The signals of a process that serves: SIGTERM lets what is open finish and ends with 0, a second one ends at once,
// and there is one `ready` line.
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
