// Sightline's listeners as subjects of the tables: the plain one, the encrypted proxy, and the tunnel client before a
// gateway, in this process. Rule: the egress rules refuse what the other programs are told to refuse, and let
// through what they have no rule for.
import { writeFile } from 'node:fs/promises'
import { configSchema } from '../../src/config/schema.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { hashPassword } from '../../src/gateway/users.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { clientConfig, startStack, type Stack } from '../support/stacks.ts'
import { tempDir } from '../support/temp-dir.ts'
import { reach } from '../support/through.ts'
import { Wire } from '../support/wire.ts'
import { DENIED_ADDRESS, USER } from './peers.ts'
import type { Subject } from './player.ts'

export type Family = 'socks' | 'http'

export interface Sightline extends AsyncDisposable {
  /** The plain listener first. */
  readonly subjects: readonly [Subject, ...Subject[]]
}

/** What most of the others let through, and a test of unreachable networks needs; 0.0.0.0 and :: stay denied. */
const EGRESS = {
  allow: ['127.0.0.0/8', '[::1/128]', '224.0.0.0/4', '255.255.255.255/32', '[ff00::/8]'],
  deny: [DENIED_ADDRESS],
}

export async function startSightline(family: Family, auth = false): Promise<Sightline> {
  const dir = await tempDir()
  const users = dir.file('users')
  if (auth) await writeFile(users, `${USER.name}:${await hashPassword(USER.password)}\n`)
  const stack = await startStack({ egress: EGRESS, ...(auth && { users }) })
  const guarded = auth ? await startGuardedClient(stack, users) : undefined
  const port = guarded?.addresses[0]?.address.port ?? stack.ports.client
  const tunnel: Subject = { name: 'tunnel client', connect: () => Wire.connect(port) }
  const plain: Subject =
    family === 'socks'
      ? { name: 'socks-proxy', connect: () => reach(stack, 'socks') }
      : { name: 'http-proxy', connect: () => reach(stack, 'http') }
  const secured: Subject = { name: 'https-proxy', connect: () => reach(stack, 'https') }
  return {
    subjects: family === 'socks' ? [plain, tunnel] : [plain, secured, tunnel],
    [Symbol.asyncDispose]: async () => {
      guarded?.destroy()
      await stack[Symbol.asyncDispose]()
      await dir[Symbol.asyncDispose]()
    },
  }
}

/** A tunnel client that asks its own clients for a password. */
function startGuardedClient(stack: Stack, users: string): Promise<Gateway> {
  const config = clientConfig(stack.pki, stack.ports.tunnel)
  return Gateway.start({
    config: configSchema.parse({
      ...config,
      inbounds: config.inbounds.map((inbound) => ({ ...inbound, auth: { users } })),
    }),
    observer: new Metrics('test').observer,
  })
}
