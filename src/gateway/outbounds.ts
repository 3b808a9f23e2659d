// Opens the outbounds of a config: the only place that knows which outbound type is which class. Rules: all of them
// share one set of names and one guard, whatever a reload puts in their place; and one that a reload takes away is
// ended with its last stream, not before.
import { availableParallelism } from 'node:os'
import { isDeepStrictEqual } from 'node:util'
import type { Config } from '../config/schema.ts'
import { DirectOutbound } from '../outbound/direct.ts'
import type { DialRequest, Outbound } from '../outbound/outbound.ts'
import { TunnelOutbound, type TunnelState, type TunnelTraffic } from '../outbound/tunnel.ts'
import { tunnelGateway } from '../outbound/tunnel-carrier.ts'
import { UpstreamOutbound } from '../outbound/upstream.ts'
import type { Lookup, Names, Resolve } from '../transport/resolve.ts'
import { tunnelEnds, upstreamEnds, type CertificateEnd } from './certificate-ends.ts'
import { readTunnelAccess, readUpstreamServer } from './credentials.ts'
import type { EgressGuard } from './egress-guard.ts'
import type { Watched } from './file-watch.ts'
import type { Prepared } from './inbounds.ts'
import type { LabHooks } from './lab-hooks.ts'

/** What `connections: auto` may come to: each costs a core its share of TLS. */
const MOST_CONNECTIONS = Math.min(4, availableParallelism())

export interface OutboundsOptions {
  readonly egress: EgressGuard
  /** The resolver in force. */
  readonly names: () => Names
  readonly stateChanged: (state: TunnelState) => void
  readonly lab: LabHooks | undefined
}

type OutboundConfig = Config['outbounds'][string]

interface Entry {
  readonly outbound: Outbound
  readonly config: OutboundConfig
  /** All that makes another outbound of it where it changes. */
  readonly settings: unknown
  ends: readonly CertificateEnd[]
  /** Requests that it serves now. */
  uses: number
  started: boolean
  retired: boolean
}

/** An outbound that stays usable until it is given back, whatever is reloaded meanwhile. */
export interface Held {
  readonly outbound: Outbound
  release(): void
}

export class Outbounds {
  #options: OutboundsOptions
  #entries = new Map<string, Entry>()
  #retired = new Set<Entry>()

  constructor(options: OutboundsOptions) {
    this.#options = options
  }

  find(name: string): Outbound | undefined {
    return this.#entries.get(name)?.outbound
  }

  hold(name: string): Held | undefined {
    const entry = this.#entries.get(name)
    if (entry === undefined) return undefined
    entry.uses += 1
    return {
      outbound: entry.outbound,
      release: () => {
        entry.uses -= 1
        if (entry.retired && entry.uses === 0) this.#end(entry)
      },
    }
  }

  /** Of all tunnels that this process keeps to gateways. */
  get tunnelTraffic(): TunnelTraffic {
    const all = [...this.#entries.values()].flatMap(({ outbound }) =>
      outbound instanceof TunnelOutbound ? outbound.traffic : [],
    )
    const sum = (key: keyof TunnelTraffic): number => all.reduce((total, one) => total + one[key], 0)
    return {
      connections: sum('connections'),
      streams: sum('streams'),
      receivedBytes: sum('receivedBytes'),
      sentBytes: sum('sentBytes'),
    }
  }

  /** Connects the tunnels that have not been; resolves when that is decided, whatever came of it. */
  async start(): Promise<void> {
    const starting: Array<Promise<void>> = []
    for (const entry of this.#entries.values()) {
      if (entry.outbound instanceof TunnelOutbound && !entry.started) starting.push(entry.outbound.start())
      entry.started = true
    }
    await Promise.all(starting)
  }

  /** Reads what `config` names. Errors: `file-unusable`, `pki-invalid`, `config-invalid`; nothing is changed then. */
  prepare(config: Config): Prepared {
    const entries = new Map<string, Entry>()
    const fresh: Outbound[] = []
    const renewals: Array<() => void> = []
    const abandon = (): void => fresh.forEach((outbound) => outbound.destroy())
    try {
      for (const [name, wanted] of Object.entries(config.outbounds)) {
        const settings = settingsOf(wanted, config)
        const known = this.#entries.get(name)
        if (known !== undefined && isDeepStrictEqual(known.settings, settings)) {
          const renew = renewal(known)
          if (renew !== undefined) renewals.push(renew)
          entries.set(name, known)
          continue
        }
        const { outbound, ends } = this.#open(wanted, config)
        this.#options.lab?.onOutbound?.(outbound)
        fresh.push(outbound)
        const state = { uses: 0, started: false, retired: false }
        entries.set(name, { outbound, config: wanted, settings, ends, ...state })
      }
    } catch (thrown) {
      abandon()
      throw thrown
    }
    return {
      commit: () => {
        for (const renew of renewals) renew()
        const kept = new Set(entries.values())
        for (const entry of this.#entries.values()) if (!kept.has(entry)) this.#retire(entry)
        this.#entries = entries
      },
      abandon,
    }
  }

  /** What is read again by itself. */
  get watched(): Watched[] {
    return [...this.#entries.values()].flatMap((entry) => {
      const files = filesOfOutbound(entry.config)
      if (files.length === 0) return []
      return [{ part: 'outbounds', files, read: () => renewal(entry)?.(), ends: () => entry.ends }]
    })
  }

  destroy(): void {
    for (const { outbound } of [...this.#entries.values(), ...this.#retired]) outbound.destroy()
  }

  #retire(entry: Entry): void {
    entry.retired = true
    this.#retired.add(entry)
    if (entry.uses === 0) this.#end(entry)
  }

  #end(entry: Entry): void {
    this.#retired.delete(entry)
    entry.outbound.destroy()
  }

  #open(wanted: OutboundConfig, { limits }: Config): Pick<Entry, 'outbound' | 'ends'> {
    const { egress, names, lab, stateChanged } = this.#options
    const { dialMs, handshakeMs, streamsPerTunnel } = limits
    const lookup: Lookup = (name, withinMs) => names().lookup(name, withinMs)
    if (wanted.type === 'tunnel') {
      const access = readTunnelAccess(wanted)
      const outbound = new TunnelOutbound({
        gateways: [wanted.url].flat().map((url) => tunnelGateway(url, lab?.tunnelWithoutTls === true)),
        ...access,
        lookup,
        handshakeMs,
        dialMs,
        connections: wanted.connections === 'auto' ? { most: MOST_CONNECTIONS } : wanted.connections,
        maxStreams: streamsPerTunnel,
        localAddress: lab?.tunnelLocalAddress,
        onKeylog: lab?.onClientKeylog,
        tlsVersion: lab?.tunnelInTls12 === true ? 'TLSv1.2' : undefined,
        random: Math.random,
        stateChanged,
      })
      return { outbound, ends: tunnelEnds(access) }
    }
    const resolve: Resolve = (name, withinMs) => names().resolve(name, withinMs)
    const judge = (request: DialRequest, address: string): void => egress.address(request, address)
    const judgeAnswer = (request: DialRequest, addresses: readonly string[]): void =>
      egress.answer(request, addresses)
    const judged = { dialMs, resolve, lookup, judge, judgeAnswer }
    if (wanted.type === 'direct') {
      return { outbound: new DirectOutbound({ ...judged, localAddress: wanted.localAddress }), ends: [] }
    }
    const admit = (address: string, port: number): void => egress.upstream(address, port)
    const server = readUpstreamServer(wanted)
    return { outbound: new UpstreamOutbound({ ...judged, admit, server }), ends: upstreamEnds(server) }
  }
}

/** Reads again what an outbound was given in files, and gives a call that puts it in force. Errors as for `prepare`. */
function renewal(entry: Entry): (() => void) | undefined {
  const { outbound, config } = entry
  if (outbound instanceof TunnelOutbound && config.type === 'tunnel') {
    const access = readTunnelAccess(config)
    return () => {
      outbound.reload(access)
      entry.ends = tunnelEnds(access)
    }
  }
  if (outbound instanceof UpstreamOutbound && (config.type === 'socks' || config.type === 'http')) {
    const server = readUpstreamServer(config)
    return () => {
      outbound.reload(server)
      entry.ends = upstreamEnds(server)
    }
  }
  return undefined
}

/** All that an outbound is given in files. */
export function filesOfOutbound(config: OutboundConfig): string[] {
  if (config.type === 'direct') return []
  const { passwordFile } = config.type === 'tunnel' ? (config.proxy ?? {}) : config
  const certificates =
    config.type === 'tunnel'
      ? [config.certificate, config.key, config.authority, config.proxy?.authority]
      : [config.type === 'http' ? config.authority : undefined]
  return [passwordFile, ...certificates].flatMap((file) => file ?? [])
}

function settingsOf(outbound: OutboundConfig, { limits }: Config): unknown {
  const { dialMs, handshakeMs, streamsPerTunnel } = limits
  return { outbound, dialMs, handshakeMs, streamsPerTunnel }
}
