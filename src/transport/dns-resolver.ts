// Names to addresses: the hosts file, localhost, the cache, then DNS by c-ares. Rules: what is known comes at once
// and without a promise; one look-up a name at a time; look-ups, cache and answers are bounded; search domains are
// not applied, so that a name means the same from every machine.
import { GatewayError, type ErrorCode } from '../errors.ts'
import { DnsCache } from './dns-cache.ts'
import { DnsChannel } from './dns-channel.ts'
import { DnsQuestion } from './dns-question.ts'
import { HostsFile } from './hosts-file.ts'
import { SYSTEM_CLOCK, type Clock, type Lookup, type Names, type Resolve } from './resolve.ts'

export interface DnsOptions {
  /** The system's where there are none. */
  readonly servers?: readonly string[] | undefined
  /** Address of this machine to ask from, for servers of its family. */
  readonly localAddress?: string | undefined
  readonly timeoutMs: number
  readonly cacheEntries: number
  readonly maxTtlMs: number
  readonly minTtlMs: number
  readonly hostsFile?: string
  /** RFC 8305 section 8: 50 ms. */
  readonly resolutionDelayMs?: number
  readonly clock?: Clock
}

/** Of one family; a name with more is a mistake or an attempt to keep us busy. */
const MAX_ADDRESSES = 8
const MAX_QUESTIONS = 4_096
const NEGATIVE_MS = 5_000
/** For what failed, or lacks the family that failed: long enough to stop a storm, short enough to mend. */
const FAILED_MS = 1_000
const RESOLUTION_DELAY_MS = 50
/** The order of RFC 6724 section 2.1: ::1 comes before IPv4. */
const LOOPBACK = ['::1', '127.0.0.1'] as const
/** Names that no DNS server may be told of: RFC 6761 section 6.4, RFC 7686. */
const NEVER_ASKED = /(?:^|\.)(?:invalid|onion)$/

export class DnsResolver implements Names {
  #options: DnsOptions
  #clock: Clock
  #hosts: HostsFile
  #cache: DnsCache
  #channel: DnsChannel
  #questions = new Map<string, DnsQuestion>()

  constructor(options: DnsOptions) {
    const { clock = SYSTEM_CLOCK, hostsFile = '/etc/hosts', servers, localAddress, timeoutMs } = options
    this.#options = options
    this.#clock = clock
    this.#hosts = new HostsFile(hostsFile, () => clock.now())
    this.#cache = new DnsCache(options.cacheEntries, () => clock.now())
    this.#channel = new DnsChannel({ servers, localAddress, timeoutMs, maxAddresses: MAX_ADDRESSES, clock })
  }

  /** Takes a lower-case name without trailing dot (`normalizeHost`). Whoever calls keeps the time. */
  readonly lookup: Lookup = (name) => this.#known(name) ?? this.#question(name).first

  readonly resolve: Resolve = async (name, withinMs) => {
    const known = this.#known(name)
    if (known !== undefined) return known
    const late = Promise.withResolvers<never>()
    const stop = this.#clock.after(withinMs, () => late.reject(failure('name-lookup-failed')))
    try {
      return await Promise.race([this.#question(name).all, late.promise])
    } finally {
      stop()
    }
  }

  /** Open look-ups fail. */
  destroy(): void {
    this.#channel.destroy()
  }

  /** Throws where it is known that there are no addresses. */
  #known(name: string): readonly string[] | undefined {
    const written = this.#hosts.find(name)
    if (written !== undefined) return written
    const cached = this.#cache.find(name)
    if (cached !== undefined) {
      if ('addresses' in cached) return cached.addresses
      throw failure(cached.code)
    }
    if (name === 'localhost' || name.endsWith('.localhost')) return LOOPBACK
    if (NEVER_ASKED.test(name)) throw failure('name-not-found')
    return undefined
  }

  #question(name: string): DnsQuestion {
    const open = this.#questions.get(name)
    if (open !== undefined) return open
    if (this.#questions.size >= MAX_QUESTIONS) throw failure('name-lookup-failed')
    const { timeoutMs, resolutionDelayMs = RESOLUTION_DELAY_MS, minTtlMs, maxTtlMs } = this.#options
    const question = new DnsQuestion({
      timeoutMs,
      resolutionDelayMs,
      clock: this.#clock,
      ask: (family, answered) => this.#channel.ask(name, family, answered),
      ended: (outcome, ttlMs) => {
        this.#questions.delete(name)
        const isNegative = 'code' in outcome && outcome.code === 'name-not-found'
        const forMs = isNegative ? NEGATIVE_MS : FAILED_MS
        this.#cache.keep(
          name,
          outcome,
          ttlMs === undefined ? Math.min(forMs, maxTtlMs) : Math.min(Math.max(ttlMs, minTtlMs), maxTtlMs),
        )
      },
    })
    this.#questions.set(name, question)
    return question
  }
}

function failure(code: ErrorCode): GatewayError {
  return new GatewayError(code, { side: 'upstream' })
}
