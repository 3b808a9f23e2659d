// Outbound that dials the destination itself. Rule: a name is resolved once, every address is judged, and the
// very address that was judged is dialled, so that an answer that changes in between changes nothing.
import { normalizeHost } from '../policy/egress.ts'
import { connectToFirst } from '../transport/happy-eyeballs.ts'
import type { Found, Lookup, Resolve } from '../transport/resolve.ts'
import { DirectUdp } from './direct-udp.ts'
import type { DialRequest, Dialled, Outbound, UdpEvents, UdpOutbound, UdpRequest } from './outbound.ts'

export interface DirectOptions {
  readonly dialMs: number
  readonly resolve: Resolve
  /** As `resolve`, with what is known at once; left out, `resolve` serves. */
  readonly lookup?: Lookup | undefined
  /** Throws `destination-denied` where the egress rules refuse the address. */
  readonly judge: (request: DialRequest, address: string) => void
  /** Throws `destination-denied` where the egress rules refuse a name for what its addresses are together. */
  readonly judgeAnswer?: ((request: DialRequest, addresses: readonly string[]) => void) | undefined
  /** Address of this machine to dial from. */
  readonly localAddress?: string | undefined
  /** How long one address may take before the next is tried beside it. */
  readonly attemptDelayMs?: number | undefined
}

export class DirectOutbound implements Outbound {
  #options: DirectOptions

  constructor(options: DirectOptions) {
    this.#options = options
  }

  /** Addresses that are refused are passed over; `destination-denied` where none is left. */
  async dial(request: DialRequest): Promise<Dialled> {
    const { dialMs, judge, judgeAnswer, localAddress, attemptDelayMs } = this.#options
    const found = this.#find(request.destination.host)
    const socket = await connectToFirst(found, {
      port: request.destination.port,
      withinMs: dialMs,
      signal: request.signal,
      screen: judgeAnswer && ((addresses) => judgeAnswer(request, addresses)),
      admit: (address) => judge(request, address),
      localAddress,
      attemptDelayMs,
    })
    const bound = { address: socket.localAddress ?? '', port: socket.localPort ?? 0 }
    return { stream: socket, bound, lookedUp: found instanceof Promise }
  }

  async openUdp(request: UdpRequest, events: UdpEvents): Promise<UdpOutbound> {
    return new DirectUdp(request, events, { ...this.#options, nowMs: () => performance.now() })
  }

  destroy(): void {}

  #find(destination: string): readonly string[] | Promise<Found> {
    const host = normalizeHost(destination)
    if (host.kind === 'address') return [host.address]
    const { dialMs, resolve, lookup = resolve } = this.#options
    return lookup(host.name, dialMs)
  }
}
