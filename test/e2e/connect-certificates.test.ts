// sightline connect as a process, before a gateway that does not let it in: it says which it was on standard error,
// with a hint, and ends with 1; the gateway's /metrics counts each by its reason.
import { readFile } from 'node:fs/promises'
import tls from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { get, serve, sightline, type SightlineProcess } from '../support/gateway-process.ts'
import { sum } from '../support/metrics.ts'
import { makeTestPki } from '../support/pki.ts'
import { everyInbound, LOOPBACK_EGRESS, writePki } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { startRawOrigin } from '../support/wire.ts'

let dir: TempDir
let gateway: SightlineProcess
beforeAll(async () => {
  dir = await tempDir()
  await writePki(dir, await makeTestPki())
  gateway = await serve(dir.file('gateway.json'), { inbounds: everyInbound(dir), egress: LOOPBACK_EGRESS })
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await dir[Symbol.asyncDispose]()
})

const connect = (
  port: number,
  name: string | undefined,
  authority = 'ca.crt',
): ReturnType<typeof sightline> => {
  const own =
    name === undefined ? [] : ['--certificate', dir.file(`${name}.crt`), '--key', dir.file(`${name}.key`)]
  const url = `wss://localhost:${port}/tunnel`
  return sightline(['connect', url, ...own, '--authority', dir.file(authority), '--listen', '127.0.0.1:0'])
}

describe('sightline connect with', () => {
  it.each([
    ['no certificate', undefined, 'certificate-required'],
    ['one of another authority', 'foreign', 'certificate-untrusted'],
    ['an expired one', 'expired', 'certificate-expired'],
    ["a server's", 'wrongUsage', 'certificate-wrong-usage'],
    ['a revoked one', 'revoked', 'certificate-revoked'],
  ] as const)('%s', async (_what, name, code) => {
    const { code: exit, stdout, stderr } = await connect(gateway.port('tunnel'), name)
    expect(stderr).toMatch(new RegExp(`^error: ${code} \\(.*, reference [0-9a-f]{12}\\); hint: .+\\n$`))
    expect(stdout.toString()).toBe('')
    expect(exit).toBe(1)
    const { body } = await get(gateway.port('admin'), '/metrics')
    expect(sum(body, 'sightline_refusals_total', { mode: 'tunnel', code })).toBe(1)
  })

  it('a gateway of another authority', async () => {
    const { code, stderr } = await connect(gateway.port('tunnel'), 'client', 'other.crt')
    expect(stderr).toMatch(/^error: gateway-untrusted \(.*; hint: .+\n$/)
    expect(code).toBe(1)
  })

  it('a gateway that speaks TLS 1.2 only', async () => {
    const [cert, key] = await Promise.all([
      readFile(dir.file('gateway.crt')),
      readFile(dir.file('gateway.key')),
    ])
    const old = tls.createServer({ cert, key, maxVersion: 'TLSv1.2' })
    await new Promise<void>((resolve) => old.listen(0, '127.0.0.1', resolve))
    const address = old.address()
    const { code, stderr } = await connect(
      typeof address === 'object' && address !== null ? address.port : 0,
      'client',
    )
    old.close()
    expect(stderr).toMatch(/^error: tls-version \([a-z0-9 ]+\); hint: .+\n$/)
    expect(code).toBe(1)
  })

  it('what speaks no TLS at all', async () => {
    await using origin = await startRawOrigin((wire) => wire.send('220 hello\r\n'))
    const { code, stderr } = await connect(origin.port, 'client')
    expect(stderr).toMatch(/^error: tls-version \([a-z0-9 ]+\); hint: .+\n$/)
    expect(code).toBe(1)
  })
})
