// Outbound through a gateway: keeps connections to it up, and opens a stream for each request. Rules: fail closed (no
// destination is ever dialled from here); a request that comes while the tunnel is down waits a moment, then gets an
// error of its protocol; new streams go to the connection that has the fewest.
import { GatewayError } from '../errors.ts'
import type { TunnelConnection } from '../transport/tunnel-connection.ts'
import type { DialRequest, Dialled, Outbound, UdpEvents, UdpOutbound, UdpRequest } from './outbound.ts'
import type { TunnelAccess, TunnelFacts } from './tunnel-dial.ts'
import { Growth, type Load } from './tunnel-growth.ts'
import { openStream } from './tunnel-open.ts'
import { Place, type Live, type PlaceOptions } from './tunnel-place.ts'
import { isFinal } from './tunnel-race.ts'
import { openTunnelUdp } from './tunnel-udp.ts'

/** States that a person may see; `refused` waits for a new certificate. */
export type TunnelState =
  | { readonly state: 'connecting' }
  | { readonly state: 'up'; readonly facts: TunnelFacts; readonly gateway: string }
  | { readonly state: 'down'; readonly error: GatewayError }
  | { readonly state: 'refused'; readonly error: GatewayError }

/** What a tunnel carries at this moment, in numbers. */
export interface TunnelTraffic {
  readonly connections: number
  readonly streams: number
  /** Since the start, headers of the tunnel included. */
  readonly receivedBytes: number
  readonly sentBytes: number
}

export interface TunnelOutboundOptions extends PlaceOptions {
  /** So many at once, or from one on as many as are needed, up to `most`. */
  readonly connections: number | { readonly most: number }
  readonly dialMs: number
  stateChanged(state: TunnelState): void
}

const LOOK_EVERY_MS = 1_000
/** What a request waits for a tunnel that is down, and in all for one that can be heard. */
const WAIT_FOR_TUNNEL_MS = 2_500
const HEARD_WITHIN_MS = 4_500
const MOST_TRIES = 3

interface AskTimes {
  readonly withinMs: number
  readonly heardWithinMs: number
}

export class TunnelOutbound implements Outbound {
  #options: TunnelOutboundOptions
  #places: Place[] = []
  #growth: Growth | undefined
  /** Take no more streams, and are ended when they have none. */
  #leaving = new Set<TunnelConnection>()
  #moved = new WeakMap<TunnelConnection, number>()
  #ended = { receivedBytes: 0, sentBytes: 0 }
  #look: NodeJS.Timeout
  #waiting = new Set<() => void>()
  #said = ''
  #destroyed = false

  constructor(options: TunnelOutboundOptions) {
    this.#options = options
    const { connections, maxStreams } = options
    if (typeof connections !== 'number') this.#growth = new Growth(connections.most, maxStreams)
    const count = typeof connections === 'number' ? connections : 1
    for (let place = 0; place < count; place += 1) this.#addPlace()
    this.#look = setInterval(() => this.#lookAround(), LOOK_EVERY_MS).unref()
  }

  /** Connects for the first time. Resolves when the first attempts are decided, whatever came of them. */
  async start(): Promise<void> {
    await Promise.all(this.#places.map((place) => place.connect()))
  }

  dial({ destination, signal }: DialRequest): Promise<Dialled> {
    return this.#ask(signal, (connection, times) => openStream(connection, destination, { signal, ...times }))
  }

  openUdp(request: UdpRequest, events: UdpEvents): Promise<UdpOutbound> {
    return this.#ask(request.signal, (connection, times) => openTunnelUdp(connection, request, events, times))
  }

  /** Uses another certificate from the next connection on; one that was refused is tried again at once. */
  reload(access: TunnelAccess): void {
    this.#options = { ...this.#options, ...access }
    for (const place of this.#places) place.reload(access)
  }

  get traffic(): TunnelTraffic {
    let { receivedBytes, sentBytes } = this.#ended
    let streams = 0
    const open = this.#open()
    for (const connection of open) {
      receivedBytes += connection.receivedBytes
      sentBytes += connection.sentBytes
      streams += connection.session.streamCount
    }
    return { connections: open.length, streams, receivedBytes, sentBytes }
  }

  destroy(): void {
    this.#destroyed = true
    clearInterval(this.#look)
    for (const place of this.#places) place.destroy()
    for (const connection of this.#leaving) connection.destroy('shutting-down')
    this.#wake()
  }

  #addPlace(): Place {
    const place = new Place(this.#options, {
      changed: () => this.#changed(),
      left: (connection) => this.#leaving.add(connection),
      ended: (connection) => {
        this.#leaving.delete(connection)
        this.#ended.receivedBytes += connection.receivedBytes
        this.#ended.sentBytes += connection.sentBytes
      },
    })
    this.#places.push(place)
    return place
  }

  #open(): TunnelConnection[] {
    return [...this.#places.flatMap(({ live }) => live?.connection ?? []), ...this.#leaving]
  }

  /** Asks on the best connection. What goes away while it is asked has sent nothing on: then another one is asked. */
  async #ask<T>(
    signal: AbortSignal,
    ask: (connection: TunnelConnection, times: AskTimes) => Promise<T>,
  ): Promise<T> {
    const startedMs = performance.now()
    for (let tries = 1; ; tries += 1) {
      const connection = await this.#connection(signal, startedMs)
      const passedMs = performance.now() - startedMs
      try {
        return await ask(connection, {
          withinMs: this.#options.dialMs - passedMs,
          heardWithinMs: HEARD_WITHIN_MS - passedMs,
        })
      } catch (thrown) {
        const isAway = connection.silent || connection.closed || connection.session.draining
        if (!isAway || signal.aborted) throw thrown
        if (tries === MOST_TRIES || performance.now() - startedMs >= HEARD_WITHIN_MS)
          throw this.#failure(thrown)
      }
    }
  }

  /** A connection that can be heard, and has the fewest streams; waits a moment where there is none. */
  async #connection(signal: AbortSignal, startedMs: number): Promise<TunnelConnection> {
    const untilMs = Math.min(performance.now() + WAIT_FOR_TUNNEL_MS, startedMs + HEARD_WITHIN_MS)
    for (;;) {
      const best = this.#best()
      if (best !== undefined) return best.connection
      if (this.#destroyed) throw new GatewayError('shutting-down')
      const leftMs = untilMs - performance.now()
      if (leftMs <= 0 || signal.aborted || this.#places.every(({ refused }) => refused)) throw this.#failure()
      for (const place of this.#places) place.asked()
      await this.#change(leftMs, signal)
    }
  }

  #best(): Live | undefined {
    let best: Live | undefined
    for (const { live } of this.#places) {
      if (live === undefined || live.connection.silent || live.connection.session.draining) continue
      if (best === undefined || live.connection.session.streamCount < best.connection.session.streamCount)
        best = live
    }
    return best
  }

  /** What the gateway says of itself is not what this machine's user did wrong. */
  #failure(thrown?: unknown): GatewayError {
    const error = this.#places.find(({ failure }) => failure !== undefined)?.failure
    const code = error !== undefined && isFinal(error) ? error.code : 'tunnel-unavailable'
    return new GatewayError(code, { side: 'upstream', cause: error ?? thrown })
  }

  /** Resolves when a place has changed, when the time is over, or when `signal` ends. */
  #change(withinMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const timer = setTimeout(wake, withinMs)
      this.#waiting.add(wake)
      signal.addEventListener('abort', wake)
    })
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  #changed(): void {
    if (this.#destroyed) return
    // What has silenced one connection has most likely silenced them all.
    if (this.#places.some(({ live }) => live?.connection.silent)) {
      for (const { live } of this.#places) if (live?.connection.silent === false) live.connection.probe()
    }
    this.#tell()
    this.#wake()
  }

  /** Says what the tunnel as a whole is, once for each change of it. */
  #tell(): void {
    const state = this.#state()
    const said = 'error' in state ? `${state.state} ${state.error.code}` : JSON.stringify(state)
    if (said === this.#said) return
    this.#said = said
    this.#options.stateChanged(state)
  }

  #state(): TunnelState {
    const best = this.#best()
    if (best !== undefined) return { state: 'up', facts: best.facts, gateway: nameOf(best) }
    const error = this.#places.find(({ failure }) => failure !== undefined)?.failure
    if (error === undefined) return { state: 'connecting' }
    return { state: this.#places.every(({ refused }) => refused) ? 'refused' : 'down', error }
  }

  /** Once a second: ends connections that were left and have no streams, adds one or lets one go. */
  #lookAround(): void {
    for (const connection of this.#leaving)
      if (connection.session.streamCount === 0) connection.destroy('shutting-down')
    this.#dropFailed()
    const loads = this.#places.flatMap(({ live }) => (live === undefined ? [] : this.#loadOf(live)))
    if (this.#growth === undefined || loads.length < this.#places.length) return
    const wanted = this.#growth.look(loads)
    if (wanted === 'more') void this.#addPlace().connect()
    if (wanted !== 'fewer') return
    const connection = this.#places.pop()?.retire()
    if (connection !== undefined) this.#leaving.add(connection)
    this.#changed()
  }

  /** What `auto` has added and cannot be kept up is given up: the first place alone looks for a gateway that is away. */
  #dropFailed(): void {
    if (this.#growth === undefined) return
    for (const place of this.#places.slice(1)) {
      if (place.live !== undefined || place.failure === undefined) continue
      this.#places.splice(this.#places.indexOf(place), 1)
      place.destroy()
      this.#growth.hold()
    }
  }

  #loadOf({ connection }: Live): Load {
    const bytes = connection.receivedBytes + connection.sentBytes
    const movedBytes = bytes - (this.#moved.get(connection) ?? bytes)
    this.#moved.set(connection, bytes)
    return { streams: connection.session.streamCount, movedBytes, blocked: connection.blocked }
  }
}

/** Host and port, as a person knows the gateway. */
function nameOf({ gateway: { host, port } }: Live): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
