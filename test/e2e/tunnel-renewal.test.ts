// A client's certificate that is renewed while its tunnel stands: the new one is read by itself, the tunnel goes on, and
// when the earlier one is not good any more the client comes back with the new one, and not with a complaint.
import { writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { configSchema } from '../../src/config/schema.ts'
import { eventually } from '../support/eventually.ts'
import { sum } from '../support/metrics.ts'
import { makeTestPki } from '../support/pki.ts'
import { everyInbound, LOOPBACK_EGRESS, startStack } from '../support/stacks.ts'
import { open, WAYS } from '../support/through.ts'
import { startRawOrigin } from '../support/wire.ts'

describe('a renewed client certificate', () => {
  it('takes the place of the earlier one when that is over', async () => {
    const pki = await makeTestPki()
    await using origin = await startRawOrigin()
    await using stack = await startStack({ pki })
    const way = WAYS.find(({ name }) => name === 'tunnel by HTTP')!
    using before = await open(stack, way, '127.0.0.1', origin.port)

    const renewed = await pki.issueClient('alice')
    await writeFile(stack.pki.file('client.key'), renewed.key)
    await writeFile(stack.pki.file('client.crt'), renewed.certificate)
    await eventually(async () => {
      const metrics = await stack.clientMetrics()
      expect(sum(metrics, 'sightline_file_reloads_total', { part: 'outbounds', outcome: 'ok' })).toBe(1)
    })
    before.send('goes on')
    await (await origin.wire()).untilText('goes on')
    expect(sum(await stack.gatewayMetrics(), 'sightline_tunnel_sessions')).toBe(1)

    await writeFile(stack.pki.file('ca.crl'), await pki.revoke(pki.client))
    await stack.gateway.reload(
      configSchema.parse({ inbounds: everyInbound(stack.pki), egress: LOOPBACK_EGRESS }),
    )
    expect(await before.ended()).toBe('reset')
    using after = await open(stack, way, '127.0.0.1', origin.port)
    after.send('and on')
    await (await origin.wire(1)).untilText('and on')
  })
})
