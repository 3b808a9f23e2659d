// Asks DNS servers through c-ares, which waits on sockets and not in the thread pool that scrypt and getaddrinfo
// share. Rule: a channel is replaced before it is old: c-ares reads the system's servers once, and a gateway that
// moves to another network must notice.
import { Resolver } from 'node:dns'
import type { Clock } from './resolve.ts'

export type Family = 4 | 6

/** One family's answer. `missing`: the name exists without such an address; `none`: it does not exist. */
export type FamilyAnswer =
  | { readonly kind: 'addresses'; readonly addresses: readonly string[]; readonly ttlMs: number }
  | { readonly kind: 'missing' | 'none' | 'failed' }

export interface DnsChannelOptions {
  /** `192.0.2.1`, `192.0.2.1:53`, `[2001:db8::1]:53`; the system's servers where there are none. */
  readonly servers?: readonly string[] | undefined
  readonly localAddress?: string | undefined
  /** For each question, all tries together, about. */
  readonly timeoutMs: number
  /** What is more is cut off. */
  readonly maxAddresses: number
  readonly clock: Clock
}

const TRIES = 2
const RENEW_MS = 10_000

export class DnsChannel {
  #options: DnsChannelOptions
  #resolver: Resolver | undefined
  #renewMs = 0

  constructor(options: DnsChannelOptions) {
    this.#options = options
  }

  /** Calls back exactly once, never before it returns. Search domains are not applied: the name is asked as it is. */
  ask(name: string, family: Family, answered: (answer: FamilyAnswer) => void): void {
    const { maxAddresses } = this.#options
    const read = (
      error: NodeJS.ErrnoException | null,
      records: Array<{ address: string; ttl: number }>,
    ): void => {
      if (error !== null) return answered({ kind: failureKind(error.code) })
      if (records.length === 0) return answered({ kind: 'missing' })
      const kept = records.slice(0, maxAddresses)
      const ttlMs = 1_000 * Math.min(...kept.map(({ ttl }) => ttl))
      answered({ kind: 'addresses', addresses: [...new Set(kept.map(({ address }) => address))], ttlMs })
    }
    try {
      const resolver = this.#current()
      if (family === 4) resolver.resolve4(name, { ttl: true }, read)
      else resolver.resolve6(name, { ttl: true }, read)
    } catch {
      queueMicrotask(() => answered({ kind: 'failed' }))
    }
  }

  /** Every open question of the newest channel fails. Older ones end by their own time. */
  destroy(): void {
    this.#resolver?.cancel()
  }

  #current(): Resolver {
    const { clock, servers, localAddress, timeoutMs } = this.#options
    const nowMs = clock.now()
    if (this.#resolver !== undefined && nowMs < this.#renewMs) return this.#resolver
    // c-ares doubles the time at each try: 1 + 2 parts.
    const resolver = new Resolver({ timeout: Math.max(1, Math.floor(timeoutMs / 3)), tries: TRIES })
    if (servers !== undefined && servers.length > 0) resolver.setServers(servers)
    if (localAddress !== undefined) resolver.setLocalAddress(localAddress)
    this.#renewMs = nowMs + RENEW_MS
    this.#resolver = resolver
    return resolver
  }
}

/** By the code of the resolver, never by what an errno of the same name means to a dial (ECONNREFUSED is a DNS server's). */
function failureKind(code: string | undefined): 'missing' | 'none' | 'failed' {
  if (code === 'ENODATA') return 'missing'
  return code === 'ENOTFOUND' || code === 'EBADNAME' ? 'none' : 'failed'
}
