// No descriptors left: new requests are refused with a code, what is open goes on, a reload changes nothing, and once there
// are some again everything is served as before.
import { writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { get, inShell, serve } from '../support/gateway-process.ts'
import { sum } from '../support/metrics.ts'
import { tempDir } from '../support/temp-dir.ts'
import { connectHead } from '../support/through.ts'
import { startRawOrigin, Wire } from '../support/wire.ts'

const DESCRIPTORS = 64

describe('a gateway without descriptors', () => {
  it('refuses by code, keeps what it has, and recovers', { timeout: 30_000 }, async () => {
    await using origin = await startRawOrigin()
    await using dir = await tempDir()
    const users = dir.file('users')
    await writeFile(users, '')
    const config = {
      inbounds: [
        { type: 'http' as const, listen: '127.0.0.1:0' },
        { type: 'socks' as const, listen: '127.0.0.1:0', auth: { users } },
      ],
      egress: { allow: ['127.0.0.0/8'] },
    }
    await using gateway = await serve(
      dir.file('gateway.json'),
      config,
      inShell(`ulimit -n ${DESCRIPTORS}; exec "$@"`),
    )
    const held = await Wire.connect(gateway.port('http'))
    held.send(connectHead('127.0.0.1', origin.port))
    await held.untilText('HTTP/1.1 200 ')

    const wires: Wire[] = []
    for (let index = 0; index < DESCRIPTORS; index += 1) {
      // What cannot be accepted any more may be reset.
      const wire = await Wire.connect(gateway.port('http')).catch(() => undefined)
      if (wire === undefined) continue
      wire.send(connectHead('127.0.0.1', origin.port))
      wires.push(wire)
    }
    const answersOf = (text: string): number => wires.filter((wire) => wire.text.includes(text)).length
    await eventually(() => expect(answersOf('sightline-error: too-many-connections')).toBeGreaterThan(0))
    expect(answersOf('HTTP/1.1 200 ')).toBeGreaterThan(5)
    held.send('still here')
    await (await origin.wire()).untilText('still here')
    // A refusal gives its place back: what says nothing yet takes the last ones.
    for (let index = 0; index < 16; index += 1)
      await Wire.connect(gateway.port('http')).then(
        (wire) => wires.push(wire),
        () => {},
      )
    gateway.kill('SIGHUP')
    await gateway.errLine(/nothing was changed; the running configuration goes on/)
    expect(gateway.err.join('\n')).toMatch(/^error: .*no descriptors are left; hint: raise the limit/m)
    for (const wire of wires) wire.reset()
    await eventually(async () => {
      const wire = await Wire.connect(gateway.port('http'))
      wire.send(connectHead('127.0.0.1', origin.port))
      await wire.untilText('HTTP/1.1 200 ')
      wire.reset()
    })
    held.send(', as before')
    await (await origin.wire()).untilText('still here, as before')
    const { body } = await get(gateway.port('admin'), '/metrics')
    expect(sum(body, 'sightline_refusals_total', { code: 'too-many-connections' })).toBeGreaterThan(0)
    expect(sum(body, 'sightline_refusals_total', { code: 'internal-error' })).toBe(0)
    held.reset()
    gateway.kill('SIGTERM')
    expect(await gateway.exited).toBe(0)
  })
})
