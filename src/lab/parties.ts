// Who is who on one machine: each party gets a loopback address of its own, drawn from the seed, so that addresses
// can be told apart in captures as canaries are.
import { createHash } from 'node:crypto'
import net from 'node:net'

export interface Parties {
  readonly client: string
  readonly gateway: string
  readonly resolver: string
  readonly destination: string
}

/** What the gateway's certificate says; programs know a proxy by a name. */
export const GATEWAY_NAME = 'gateway.sightline.test'

/** Addresses of 127.0.0.0/8 with three digits in every part, so that none is the beginning of another. */
export function partiesOf(seed: string): Parties {
  const address = (party: string): string => {
    const digest = createHash('sha256').update(`${seed}:${party}`).digest()
    return `127.${[0, 1, 2].map((index) => 100 + ((digest[index] ?? 0) % 150)).join('.')}`
  }
  return {
    client: address('client'),
    gateway: address('gateway'),
    resolver: address('resolver'),
    destination: address('destination'),
  }
}

/** The name in this world whose first label is `label`. */
export function siteName(label: string): string {
  return `${label}.sightline.test`
}

/** Whether this machine has an address of its own for each; macOS has only 127.0.0.1 unless it was told otherwise. */
export async function hasAddressesFor(parties: Parties): Promise<boolean> {
  for (const host of Object.values(parties) as string[]) {
    const server = net.createServer()
    const isThere = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen({ host, port: 0 }, () => resolve(true))
    })
    server.close()
    if (!isThere) return false
  }
  return true
}

/** Every party on one address. */
export function allOn(address: string): Parties {
  return { client: address, gateway: address, resolver: address, destination: address }
}
