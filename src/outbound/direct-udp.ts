// Sends an association's datagrams from this machine. Rules: a name is resolved once, every address is judged, and
// the very address that was judged is sent to, until the answer is old; what waits for a look-up is bounded; a reply
// passes only from an address that the client has sent to, whatever its port (RFC 4787 section 5, address-dependent
// filtering), so that a stranger cannot reach a client through the gateway. (Dante by default takes replies of the
// very port only, which breaks TFTP; a full cone would let anybody in.)
import { GatewayError, toGatewayError } from '../errors.ts'
import { normalizeHost } from '../policy/egress.ts'
import { formatAddress, parseAddress } from '../policy/ip-address.ts'
import type { DatagramDrop } from '../protocol/association.ts'
import type { BoundAddress, Destination } from '../protocol/request.ts'
import type { Resolve } from '../transport/resolve.ts'
import { UdpSocket } from '../transport/udp-socket.ts'
import type { UdpEvents, UdpOutbound, UdpRequest } from './outbound.ts'

export interface DirectUdpOptions {
  readonly resolve: Resolve
  /** What a look-up gets. */
  readonly dialMs: number
  /** Address of this machine to send from; its family is then the only one. */
  readonly localAddress?: string | undefined
  readonly nowMs: () => number
}

/** Where one destination's datagrams go. */
interface Route {
  readonly destination: Destination
  /** Judged; the first is in use, the others are for when it cannot be reached. Empty: none may be used. */
  addresses: string[]
  failure: GatewayError | undefined
  /** Waiting for the look-up; undefined once it is done. */
  waiting: Uint8Array[] | undefined
  /** After this, names are looked up and addresses judged again. */
  freshUntilMs: number
  lastUsedMs: number
}

/** A verdict's and a look-up's life: what a changed record or a reloaded rule needs to act. */
const FRESH_MS = 30_000
/** What failed otherwise is tried again sooner. */
const RETRY_MS = 1_000
/** A destination that is quiet for so long gives its place to another, where there is none left. */
const RECLAIM_MS = 30_000
const MAX_WAITING_BYTES = 64 * 1024
const MAX_WAITING = 64
const MAX_LOOKUPS = 8

export class DirectUdp implements UdpOutbound {
  #request: UdpRequest
  #events: UdpEvents
  #options: DirectUdpOptions
  /** By destination as asked for, the longest unused first. */
  #routes = new Map<string, Route>()
  /** Addresses that may answer, the longest unused first. */
  #peers = new Set<string>()
  #sockets = new Map<4 | 6, UdpSocket>()
  #waiting = { count: 0, bytes: 0, lookups: 0 }
  #closed = false

  constructor(request: UdpRequest, events: UdpEvents, options: DirectUdpOptions) {
    this.#request = request
    this.#events = events
    this.#options = options
  }

  send(destination: Destination, payload: Uint8Array): void {
    if (this.#closed) return
    const route = this.#route(destination)
    if (route === undefined) return this.#events.dropped('too-many-destinations')
    if (route.waiting === undefined) return this.#transmit(route, payload)
    const { count, bytes } = this.#waiting
    if (count >= MAX_WAITING || bytes + payload.length > MAX_WAITING_BYTES)
      return this.#events.dropped('queue-full')
    this.#waiting.count += 1
    this.#waiting.bytes += payload.length
    route.waiting.push(payload)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#routes.clear()
    for (const socket of this.#sockets.values()) socket.close()
  }

  /** The route of a destination, begun where it is new or old; undefined where there is no place for one. */
  #route(destination: Destination): Route | undefined {
    const key = `${destination.port} ${destination.host}`
    const nowMs = this.#options.nowMs()
    let route = this.#routes.get(key)
    if (route === undefined) {
      if (!this.#hasPlace(nowMs)) return undefined
      route = {
        destination,
        addresses: [],
        failure: undefined,
        waiting: undefined,
        freshUntilMs: 0,
        lastUsedMs: nowMs,
      }
    }
    route.lastUsedMs = nowMs
    this.#routes.delete(key)
    this.#routes.set(key, route)
    if (route.waiting === undefined && nowMs >= route.freshUntilMs) {
      route.waiting = []
      void this.#prepare(route)
    }
    return route
  }

  #hasPlace(nowMs: number): boolean {
    if (this.#routes.size < this.#request.maxDestinations) return true
    const [oldest] = this.#routes
    if (oldest === undefined || oldest[1].waiting !== undefined || nowMs - oldest[1].lastUsedMs < RECLAIM_MS)
      return false
    return this.#routes.delete(oldest[0])
  }

  /** Looks up, judges, opens the sockets that are needed, then sends what waited. Never rejects. */
  async #prepare(route: Route): Promise<void> {
    try {
      route.addresses = await this.#addresses(route.destination)
      route.failure = undefined
    } catch (thrown) {
      route.addresses = []
      route.failure = toGatewayError(thrown, 'upstream', 'name-lookup-failed')
    }
    const isVerdict = route.failure === undefined || route.failure.code === 'destination-denied'
    route.freshUntilMs = this.#options.nowMs() + (isVerdict ? FRESH_MS : RETRY_MS)
    const waiting = route.waiting ?? []
    route.waiting = undefined
    for (const payload of waiting) {
      this.#waiting.count -= 1
      this.#waiting.bytes -= payload.length
      this.#transmit(route, payload)
    }
  }

  /** The addresses of a destination that may be sent to. Errors: why there is none. */
  async #addresses(destination: Destination): Promise<string[]> {
    const { judge, judgeAnswer } = this.#request
    judge(destination)
    const host = normalizeHost(destination.host)
    let failure: GatewayError | undefined
    const allowed: string[] = []
    const addresses = host.kind === 'address' ? [host.address] : await this.#lookUp(host.name)
    if (host.kind === 'name') judgeAnswer(destination, addresses)
    for (const address of addresses) {
      try {
        judge(destination, address)
        await this.#open(familyOf(address))
        allowed.push(address)
      } catch (thrown) {
        failure ??= toGatewayError(thrown, 'self', 'network-unreachable')
      }
    }
    if (allowed.length === 0) throw failure ?? new GatewayError('name-not-found', { side: 'upstream' })
    return allowed
  }

  async #lookUp(name: string): Promise<readonly string[]> {
    if (this.#waiting.lookups >= MAX_LOOKUPS) throw new GatewayError('name-lookup-failed')
    this.#waiting.lookups += 1
    try {
      return await this.#options.resolve(name, this.#options.dialMs)
    } finally {
      this.#waiting.lookups -= 1
    }
  }

  /** Opens the socket of a family with the first destination that needs it. Errors: those of UdpSocket.bind. */
  async #open(family: 4 | 6): Promise<void> {
    if (this.#sockets.has(family)) return
    const { localAddress = family === 6 ? '::' : '0.0.0.0' } = this.#options
    if (familyOf(localAddress) !== family) throw new GatewayError('network-unreachable')
    const events = { message: (bytes: Buffer, from: BoundAddress): void => this.#received(bytes, from) }
    const socket = await UdpSocket.bind({ address: localAddress, port: 0 }, events)
    // Meanwhile another destination may have opened one, or the association have ended.
    if (this.#closed || this.#sockets.has(family)) socket.close()
    else this.#sockets.set(family, socket)
  }

  #transmit(route: Route, payload: Uint8Array): void {
    if (this.#closed) return
    const [address] = route.addresses
    const socket = address === undefined ? undefined : this.#sockets.get(familyOf(address))
    if (address === undefined || socket === undefined)
      return this.#events.dropped(dropOf(route.failure), route.failure)
    this.#admit(address)
    const { destination } = route
    socket.send({ address, port: destination.port }, [payload], (why) => {
      if (why === undefined) return this.#events.sent(destination, payload)
      // No way there (no IPv6, say): the next of the addresses, and this datagram with it.
      const isCurrent = route.addresses[0] === address
      if (why !== 'unreachable' || (isCurrent && route.addresses.length < 2)) return this.#events.dropped(why)
      if (isCurrent) route.addresses.shift()
      this.#transmit(route, payload)
    })
  }

  #admit(address: string): void {
    const peer = canonical(address)
    this.#peers.delete(peer)
    this.#peers.add(peer)
    if (this.#peers.size <= this.#request.maxDestinations) return
    const [oldest] = this.#peers
    if (oldest !== undefined) this.#peers.delete(oldest)
  }

  #received(bytes: Buffer, from: BoundAddress): void {
    if (this.#closed) return
    if (!this.#peers.has(canonical(from.address))) return this.#events.dropped('unsolicited')
    this.#events.message(from, bytes)
  }
}

function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4
}

function dropOf(failure: GatewayError | undefined): DatagramDrop {
  switch (failure?.code) {
    case 'destination-denied':
      return 'destination-denied'
    case 'bad-request':
      return 'malformed'
    case 'name-not-found':
    case 'name-lookup-failed':
      return 'name-not-resolved'
    default:
      return 'unreachable'
  }
}

/** The kernel's spelling and ours differ for some IPv6 addresses. */
function canonical(address: string): string {
  const [bare = ''] = address.split('%')
  const bytes = parseAddress(bare)
  return bytes === undefined ? address : formatAddress(bytes)
}
