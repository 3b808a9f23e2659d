// TLS session tickets skip OpenSSL's own look at a certificate. A client that was good when it got its ticket and
// was revoked since is refused when it resumes, as the certificate itself would be.
import { writeFile } from 'node:fs/promises'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configSchema } from '../../src/config/schema.ts'
import { makeTestPki, type TestPki } from '../support/pki.ts'
import { everyInbound, LOOPBACK_EGRESS, startStack, type Stack } from '../support/stacks.ts'
import { reachTunnel, UPGRADE } from '../support/tunnel-peer.ts'

let pki: TestPki
let stack: Stack
beforeAll(async () => {
  pki = await makeTestPki()
  stack = await startStack({ pki })
})
afterAll(() => stack[Symbol.asyncDispose]())

/** Opens a tunnel and gives the session ticket that came with it. */
async function ticketOf(certificate: string, key: string): Promise<Buffer> {
  using client = await reachTunnel(stack, { certificate, key })
  const ticket = new Promise<Buffer>((resolve) => client.socket.once('session', resolve))
  client.send(UPGRADE)
  await client.untilText(' 101 ')
  return await ticket
}

describe('a resumed TLS session', () => {
  it('lets a good client in, and refuses it once it is revoked', async () => {
    const leaf = await pki.issueClient('tess')
    const { certificate, key } = leaf
    const session = await ticketOf(certificate, key)

    using resumed = await reachTunnel(stack, { certificate, key, session })
    expect((resumed.socket as TLSSocket).isSessionReused()).toBe(true)
    resumed.send(UPGRADE)
    await resumed.untilText(' 101 ')

    await writeFile(stack.pki.file('ca.crl'), await pki.revoke(pki.revoked, leaf))
    await stack.gateway.reload(
      configSchema.parse({ inbounds: everyInbound(stack.pki), egress: LOOPBACK_EGRESS }),
    )
    await resumed.ended()

    using revoked = await reachTunnel(stack, { certificate, key, session })
    await revoked.ended()
    // A list alone changes nothing about tickets: OpenSSL let this one in, and nobody but our judge was in its way.
    expect((revoked.socket as TLSSocket).isSessionReused()).toBe(true)
    expect(revoked.text).toMatch(/^HTTP\/1\.1 403 .*\r\nsightline-error: certificate-revoked\r\n/s)
  })

  it.each(['revoked', 'expired', 'foreign'] as const)('helps nobody who was refused: %s', async (name) => {
    const { certificate, key } = pki[name]
    using first = await reachTunnel(stack, { certificate, key })
    // In TLS 1.3 the ticket comes with the end of the handshake, before anybody has judged.
    const session = await new Promise<Buffer>((resolve) => first.socket.once('session', resolve))
    using resumed = await reachTunnel(stack, { certificate, key, session })
    expect((resumed.socket as TLSSocket).isSessionReused()).toBe(true)
    resumed.send(UPGRADE)
    await resumed.ended()
    expect(resumed.text).toMatch(
      /^HTTP\/1\.1 403 .*\r\nsightline-error: certificate-(revoked|expired|untrusted)\r\n/s,
    )
  })
})
