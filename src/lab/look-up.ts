// The look-ups of the user's machine: a stub resolver (c-ares) that asks the name server it was given, from the
// client's address, as the resolver of an operating system does.
import { Resolver } from 'node:dns/promises'
import type { Endpoint } from './capture.ts'

const TIMEOUT_MS = 2_000
const TRIES = 2

export interface LookUp {
  readonly resolver: Endpoint
  /** Address that the client's machine asks from. */
  readonly from: string
}

/** The first IPv4 address of `name`. Rejects with the error of Node's resolver (`ENOTFOUND`, `ETIMEOUT` …). */
export async function lookUp(name: string, { resolver, from }: LookUp): Promise<string> {
  const channel = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES })
  channel.setServers([`${resolver.address}:${resolver.port}`])
  channel.setLocalAddress(from)
  const [address = ''] = await channel.resolve4(name)
  return address
}
