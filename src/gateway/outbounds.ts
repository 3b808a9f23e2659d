// Opens the outbounds of a config: the only place that knows which outbound type is which class. Rule: all of them
// share one set of names and one guard, whatever a reload puts in their place.
import type { Config } from '../config/schema.ts'
import { DirectOutbound } from '../outbound/direct.ts'
import type { DialRequest, Outbound } from '../outbound/outbound.ts'
import { TunnelOutbound, type TunnelState } from '../outbound/tunnel.ts'
import { UpstreamOutbound } from '../outbound/upstream.ts'
import type { Lookup, Names, Resolve } from '../transport/resolve.ts'
import { readTunnelCredentials, readUpstreamServer, readUpstreamServers } from './credentials.ts'
import type { EgressGuard } from './egress-guard.ts'
import type { LabHooks } from './lab-hooks.ts'

export interface OutboundsOptions {
  readonly config: Config
  readonly egress: EgressGuard
  /** The resolver in force. */
  readonly names: () => Names
  readonly stateChanged: (state: TunnelState) => void
  readonly lab: LabHooks | undefined
}

export class Outbounds {
  #byName = new Map<string, Outbound>()
  #tunnels: TunnelOutbound[] = []
  #upstreams = new Map<string, UpstreamOutbound>()

  /** Errors: `file-unusable`, `pki-invalid`, `config-invalid`. */
  constructor({ config, egress, names, stateChanged, lab }: OutboundsOptions) {
    const resolve: Resolve = (name, withinMs) => names().resolve(name, withinMs)
    const lookup: Lookup = (name, withinMs) => names().lookup(name, withinMs)
    const judge = (request: DialRequest, address: string): void => egress.address(request, address)
    const judgeAnswer = (request: DialRequest, addresses: readonly string[]): void =>
      egress.answer(request, addresses)
    const admit = (address: string, port: number): void => egress.upstream(address, port)
    const { dialMs, handshakeMs, streamsPerTunnel } = config.limits
    const judged = { dialMs, resolve, lookup, judge, judgeAnswer }
    for (const [name, outbound] of Object.entries(config.outbounds)) {
      if (outbound.type === 'direct') {
        this.#byName.set(name, new DirectOutbound({ ...judged, localAddress: outbound.localAddress }))
      } else if (outbound.type === 'tunnel') {
        const tunnel = new TunnelOutbound({
          url: lab?.tunnelWithoutTls === true ? outbound.url.replace(/^wss:/, 'ws:') : outbound.url,
          credentials: readTunnelCredentials(outbound),
          handshakeMs,
          dialMs,
          connections: outbound.connections,
          maxStreams: streamsPerTunnel,
          localAddress: lab?.tunnelLocalAddress,
          onKeylog: lab?.onClientKeylog,
          random: Math.random,
          stateChanged,
        })
        this.#tunnels.push(tunnel)
        this.#byName.set(name, tunnel)
      } else {
        const upstream = new UpstreamOutbound({ ...judged, admit, server: readUpstreamServer(outbound) })
        this.#upstreams.set(name, upstream)
        this.#byName.set(name, upstream)
      }
    }
  }

  find(name: string): Outbound | undefined {
    return this.#byName.get(name)
  }

  /** Connects the tunnels for the first time; resolves when that is decided, whatever came of it. */
  async start(): Promise<void> {
    await Promise.all(this.#tunnels.map((tunnel) => tunnel.start()))
  }

  /** Reads what `config` names, and gives a call that puts it in force. Errors as above, before anything changes. */
  prepareReload(config: Config): () => void {
    const upstreams = readUpstreamServers(config)
    const tunnels = Object.values(config.outbounds)
      .filter((outbound) => outbound.type === 'tunnel')
      .map(readTunnelCredentials)
    return () => {
      this.#tunnels.forEach((tunnel, index) => {
        const fresh = tunnels[index]
        if (fresh !== undefined) tunnel.reload(fresh)
      })
      for (const [name, server] of upstreams) this.#upstreams.get(name)?.reload(server)
    }
  }

  destroy(): void {
    for (const outbound of this.#byName.values()) outbound.destroy()
  }
}
