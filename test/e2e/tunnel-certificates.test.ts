// Who may open a tunnel. Each certificate that is not good is refused before the gateway has read a byte of HTTP:
// these clients finish TLS, send nothing at all, and are told why. TLS 1.2 does not even finish.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isMissing, run } from '../support/programs.ts'
import { sum } from '../support/metrics.ts'
import { makeTestPki, type TestPki } from '../support/pki.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { reachTunnel, UPGRADE } from '../support/tunnel-peer.ts'
import { eventually } from '../support/eventually.ts'

let pki: TestPki
let stack: Stack
beforeAll(async () => {
  pki = await makeTestPki()
  stack = await startStack({ pki })
})
afterAll(() => stack[Symbol.asyncDispose]())

const refusals = async (code: string): Promise<number> =>
  sum(await stack.gatewayMetrics(), 'sightline_refusals_total', { mode: 'tunnel', code })

const CASES = [
  { what: 'no certificate', leaf: () => undefined, code: 'certificate-required' },
  { what: 'one of another authority', leaf: () => pki.foreign, code: 'certificate-untrusted' },
  { what: 'an expired one', leaf: () => pki.expired, code: 'certificate-expired' },
  { what: 'one that is not valid yet', leaf: () => pki.notYetValid, code: 'certificate-not-yet-valid' },
  { what: "a server's", leaf: () => pki.wrongUsage, code: 'certificate-wrong-usage' },
  { what: 'a revoked one', leaf: () => pki.revoked, code: 'certificate-revoked' },
] as const

describe('a tunnel client with', () => {
  it.each(CASES)('$what is refused before it says anything', async ({ leaf, code }) => {
    const before = await refusals(code)
    const { certificate, key } = leaf() ?? {}
    using client = await reachTunnel(stack, { ...(certificate !== undefined && { certificate, key }) })
    await client.ended()
    expect(client.socket.bytesWritten).toBe(0)
    expect(client.text).toMatch(
      new RegExp(
        `^HTTP/1\\.1 403 .*\\r\\nsightline-error: ${code}\\r\\nsightline-reference: [0-9a-f]{12}\\r\\n`,
        's',
      ),
    )
    expect(await refusals(code)).toBe(before + 1)
  })

  it.each(CASES)('$what gets the same answer to an upgrade, and no session', async ({ leaf, code }) => {
    const { certificate, key } = leaf() ?? {}
    using client = await reachTunnel(stack, { ...(certificate !== undefined && { certificate, key }) })
    client.send(UPGRADE)
    await client.ended()
    expect(client.text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 403'])
    expect(client.text).toContain(`sightline-error: ${code}`)
  })

  it('a good one is let in, and hears nothing before it asks', async () => {
    const { certificate, key } = pki.client
    using client = await reachTunnel(stack, { certificate, key })
    expect(client.received.length).toBe(0)
    client.send(UPGRADE)
    await client.untilText('\r\n\r\n')
    expect(client.text).toMatch(
      /^HTTP\/1\.1 101 .*\r\nSec-WebSocket-Protocol: sightline\.v1\r\n.*sightline-session: [0-9a-f]{32}\r\n/s,
    )
  })

  it('TLS 1.2 fails in the handshake, and is counted', async () => {
    const { certificate, key } = pki.client
    const before = await refusals('tls-version')
    await expect(reachTunnel(stack, { certificate, key, maxVersion: 'TLSv1.2' })).rejects.toMatchObject({
      code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    })
    await eventually(async () => expect(await refusals('tls-version')).toBe(before + 1))
  })

  it.skipIf(isMissing('openssl'))(
    'TLS 1.2 by openssl fails in the handshake too (needs openssl)',
    async () => {
      const { stdout } = await run('openssl', [
        's_client',
        '-tls1_2',
        '-connect',
        `127.0.0.1:${stack.ports.tunnel}`,
      ])
      expect(stdout.toString()).toMatch(/Cipher is \(NONE\)/)
      expect(stdout.toString()).not.toMatch(/HTTP\//)
    },
  )

  it('every refusal stands in no session and no stream', async () => {
    const metrics = await stack.gatewayMetrics()
    expect(sum(metrics, 'sightline_streams_total', { mode: 'tunnel' })).toBe(0)
    expect(sum(metrics, 'sightline_refusals_total', { mode: 'tunnel', code: 'bad-request' })).toBe(0)
  })
})
