// `pki revoke`, then SIGHUP: the revoked client's live streams end within 2 s, it says why and does not come back;
// another client's go on.
import { copyFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ensureDevelopmentPki, issue } from '../../src/pki/store.ts'
import { eventually } from '../support/eventually.ts'
import { get, serve, sightline, startSightline, type SightlineProcess } from '../support/gateway-process.ts'
import { samples, sum } from '../support/metrics.ts'
import { everyInbound, LOOPBACK_EGRESS } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { connectHead } from '../support/through.ts'
import { startRawOrigin, Wire, type RawOrigin } from '../support/wire.ts'

let pki: TempDir
let origin: RawOrigin
let gateway: SightlineProcess
beforeAll(async () => {
  pki = await tempDir()
  await ensureDevelopmentPki(pki.path)
  await issue(pki.path, 'mallory', { kind: 'client', hosts: [] })
  await issue(pki.path, 'trudy', { kind: 'client', hosts: [] })
  origin = await startRawOrigin()
  gateway = await serve(pki.file('gateway.json'), { inbounds: everyInbound(pki), egress: LOOPBACK_EGRESS })
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await origin[Symbol.asyncDispose]()
  await pki[Symbol.asyncDispose]()
})

const connect = (name: string): Promise<SightlineProcess> => {
  const own = ['--certificate', pki.file(`${name}.crt`), '--key', pki.file(`${name}.key`)]
  const url = `wss://localhost:${gateway.port('tunnel')}/tunnel`
  return startSightline([
    'connect',
    url,
    ...own,
    '--authority',
    pki.file('ca.crt'),
    '--listen',
    '127.0.0.1:0',
  ])
}

async function liveStream(client: SightlineProcess): Promise<Wire> {
  const wire = await Wire.connect(client.port('client'))
  wire.send(connectHead('127.0.0.1', origin.port))
  await wire.untilText('\r\n\r\n')
  return wire
}

describe('a revoked client', () => {
  it('loses its live streams within 2 s of SIGHUP, says why, and stays out; others go on', async () => {
    await using bad = await connect('mallory')
    await using good = await connect('client')
    using badStream = await liveStream(bad)
    using goodStream = await liveStream(good)

    const revoked = await sightline(['pki', 'revoke', 'mallory', '--dir', pki.path])
    expect(revoked.code).toBe(0)
    const askedMs = performance.now()
    gateway.kill('SIGHUP')
    expect(await badStream.ended()).toBe('reset')
    expect(performance.now() - askedMs).toBeLessThan(2_000)
    expect(await bad.errLine(/refused/)).toMatch(
      /^tunnel refused: certificate-revoked \(.*\); waiting for a new certificate/,
    )

    const { body } = await get(gateway.port('admin'), '/metrics')
    expect(sum(body, 'sightline_tunnel_sessions')).toBe(1)
    expect(sum(body, 'sightline_reloads_total', { outcome: 'ok' })).toBe(1)
    expect(
      samples(body, 'sightline_refusals_total', { mode: 'tunnel', code: 'certificate-revoked' }).length,
    ).toBe(1)

    using refused = await Wire.connect(bad.port('client'))
    refused.send(connectHead('127.0.0.1', origin.port))
    await refused.ended()
    expect(refused.text).toMatch(/^HTTP\/1\.1 403 .*\r\nsightline-error: certificate-revoked\r\n/s)

    goodStream.send('still here')
    const atOrigin = await origin.wire(1)
    await atOrigin.untilText('still here')
    expect(goodStream.ending).toBe(undefined)
  })

  it('is let in again with another certificate in its files, which it reads by itself', async () => {
    await using client = await connect('trudy')
    expect((await sightline(['pki', 'revoke', 'trudy', '--dir', pki.path])).code).toBe(0)
    gateway.kill('SIGHUP')
    await client.errLine(/^tunnel refused: certificate-revoked/)
    await copyFile(pki.file('client.key'), pki.file('trudy.key'))
    await copyFile(pki.file('client.crt'), pki.file('trudy.crt'))
    await eventually(() => expect(client.out.filter((line) => line.startsWith('tunnel up')).length).toBe(2))
    using again = await liveStream(client)
    expect(again.text).toMatch(/^HTTP\/1\.1 200 /)
  })
})
