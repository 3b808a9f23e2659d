// The gateway dies in the middle of a transfer: its tunnel client resets what was under way within 2 s, answers with
// the right errors while it is away, and serves again, unrestarted, once it is back on its port.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ensureDevelopmentPki } from '../../src/pki/store.ts'
import { eventually } from '../support/eventually.ts'
import { serve, startSightline, type SightlineProcess } from '../support/gateway-process.ts'
import { startOrigin, type Origin } from '../support/origin.ts'
import { everyInbound, LOOPBACK_EGRESS } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { encodeAsk } from '../support/through.ts'
import { Wire } from '../support/wire.ts'

let pki: TempDir
let origin: Origin
let gateway: SightlineProcess
let client: SightlineProcess

const startGateway = (port: number): Promise<SightlineProcess> => {
  const tunnel = everyInbound(pki).filter(({ type }) => type === 'tunnel')
  const inbounds = tunnel.map((inbound) => ({ ...inbound, listen: `127.0.0.1:${port}` }))
  return serve(pki.file('gateway.json'), { inbounds, egress: LOOPBACK_EGRESS })
}

beforeAll(async () => {
  pki = await tempDir()
  await ensureDevelopmentPki(pki.path)
  origin = await startOrigin()
  gateway = await startGateway(0)
  const options = [
    '--certificate',
    pki.file('client.crt'),
    '--key',
    pki.file('client.key'),
    '--authority',
    pki.file('ca.crt'),
  ]
  const url = `wss://localhost:${gateway.port('tunnel')}/tunnel`
  client = await startSightline(['connect', url, ...options, '--listen', '127.0.0.1:0'])
})
afterAll(async () => {
  await client[Symbol.asyncDispose]()
  await gateway[Symbol.asyncDispose]()
  await origin.close()
  await pki[Symbol.asyncDispose]()
})

const socks5 = async (): Promise<Wire> => {
  const wire = await Wire.connect(client.port('client'))
  wire.send(Buffer.concat([Buffer.from([5, 1, 0]), encodeAsk('socks5', '127.0.0.1', origin.port)]))
  return wire
}
const http = async (target: string): Promise<Wire> => {
  const wire = await Wire.connect(client.port('client'))
  wire.send(`GET http://127.0.0.1:${origin.port}${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  return wire
}

describe('a gateway that dies', () => {
  it('resets its streams within 2 s, is missed in the right protocol, and is found again', async () => {
    using download = await socks5()
    await download.untilBytes(12)
    download.send('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n')
    using forwarded = await http('/slow')
    using idle = await socks5()
    await download.untilText('HTTP/1.1 200')
    await forwarded.untilText('HTTP/1.1 200')
    await idle.untilBytes(12)

    const port = gateway.port('tunnel')
    const killedMs = performance.now()
    gateway.kill('SIGKILL')
    expect(await download.ended()).toBe('reset')
    expect(await forwarded.ended()).toBe('reset')
    expect(await idle.ended()).toBe('reset')
    expect(download.error?.code).toBe('ECONNRESET')
    expect(performance.now() - killedMs).toBeLessThan(2_000)
    await gateway.exited

    const askedMs = performance.now()
    using bySocks5 = await socks5()
    using bySocks4 = await Wire.connect(client.port('client'))
    bySocks4.send(encodeAsk('socks4', '127.0.0.1', origin.port))
    using byConnect = await Wire.connect(client.port('client'))
    byConnect.send(encodeAsk('http', '127.0.0.1', origin.port))
    using byHttp = await http('/')
    await Promise.all([bySocks5.ended(), bySocks4.ended(), byConnect.ended(), byHttp.ended()])
    expect(performance.now() - askedMs).toBeLessThan(5_000)
    expect(bySocks5.received.toString('hex')).toBe('0500' + '05010001000000000000')
    expect(bySocks4.received.toString('hex')).toBe('005b000000000000')
    expect(byConnect.text).toMatch(/^HTTP\/1\.1 503 .*\r\nsightline-error: tunnel-unavailable\r\n/s)
    expect(byHttp.text).toMatch(/^HTTP\/1\.1 503 .*\r\nsightline-error: tunnel-unavailable\r\n/s)
    expect(client.err.join('\n')).toMatch(/^tunnel down: .*; trying again$/m)

    gateway = await startGateway(port)
    await eventually(async () => {
      using again = await http('/')
      await again.ended()
      expect(again.text).toMatch(/hello\n/)
    })
    expect(client.out.filter((line) => line.startsWith('tunnel up')).length).toBe(2)
  })
})
