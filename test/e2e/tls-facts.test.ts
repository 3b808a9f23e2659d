// What `sightline connect` says of the link that it has negotiated, to a person and to a script. tshark.test.ts has the
// same facts from the bytes. Rule: the hybrid group is what our own two ends agree on without being told to.
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { startSightline } from '../support/gateway-process.ts'
import { start } from '../support/programs.ts'
import { startStack, type Stack } from '../support/stacks.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

function connectArguments(stack: Stack): string[] {
  const file = (name: string): string => stack.pki.file(name)
  const trust = [
    '--certificate',
    file('client.crt'),
    '--key',
    file('client.key'),
    '--authority',
    file('ca.crt'),
  ]
  return ['connect', `wss://localhost:${stack.ports.tunnel}/tunnel`, ...trust, '--listen', '127.0.0.1:0']
}

describe('sightline connect', () => {
  it('prints version, cipher and hybrid key exchange', async () => {
    await using stack = await startStack()
    await using connect = await startSightline(connectArguments(stack))
    expect(await connect.outLine(/^tunnel /)).toBe(
      `tunnel up: localhost:${stack.ports.tunnel}, TLSv1.3, TLS_AES_256_GCM_SHA384, key exchange X25519MLKEM768`,
    )
  })

  it('prints them as JSON', async () => {
    await using stack = await startStack()
    const child = start(process.execPath, [MAIN, ...connectArguments(stack), '--json'])
    const exited = once(child, 'close')
    try {
      let found: unknown
      if (child.stdout === null) throw new Error('no standard output')
      for await (const line of createInterface(child.stdout)) {
        const event = JSON.parse(line) as { event?: string }
        if (event.event === 'tunnel') found = event
        if (found !== undefined) break
      }
      expect(found).toEqual({
        event: 'tunnel',
        state: 'up',
        gateway: `localhost:${stack.ports.tunnel}`,
        protocol: 'TLSv1.3',
        cipher: 'TLS_AES_256_GCM_SHA384',
        group: 'X25519MLKEM768',
      })
    } finally {
      child.kill('SIGKILL')
      await exited
    }
  })
})
