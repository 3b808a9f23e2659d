// Outbound through a gateway: keeps its connections up, and opens a stream for each request. Rules: fail closed
// (no destination is ever dialled from here), reconnect with jittered exponential back-off, and a request that
// comes while the tunnel is down waits a moment, then gets an error of its protocol.
import { GatewayError, toGatewayError, type ErrorCode } from '../errors.ts'
import type { Destination } from '../protocol/request.ts'
import { StreamSocket } from '../transport/stream-socket.ts'
import { TunnelConnection } from '../transport/tunnel-connection.ts'
import type { DialRequest, Dialled, Outbound, UdpEvents, UdpOutbound, UdpRequest } from './outbound.ts'
import {
  dialTunnel,
  type TunnelCredentials,
  type TunnelDialOptions,
  type TunnelFacts,
} from './tunnel-dial.ts'
import { openTunnelUdp } from './tunnel-udp.ts'

/** States that a person may see; `refused` waits for a new certificate. */
export type TunnelState =
  | { readonly state: 'connecting' }
  | { readonly state: 'up'; readonly facts: TunnelFacts }
  | { readonly state: 'down'; readonly error: GatewayError; readonly retryMs: number }
  | { readonly state: 'refused'; readonly error: GatewayError }

export interface TunnelOutboundOptions extends TunnelDialOptions {
  readonly connections: number
  readonly dialMs: number
  readonly maxStreams: number
  stateChanged(state: TunnelState): void
  /** 0 to 1; for the jitter. */
  random(): number
}

/** What no waiting mends: the gateway knows this certificate and refuses it. */
const FINAL: ReadonlySet<ErrorCode> = new Set([
  'certificate-required',
  'certificate-untrusted',
  'certificate-expired',
  'certificate-wrong-usage',
  'certificate-revoked',
])

const FIRST_RETRY_MS = 250
const LONGEST_RETRY_MS = 4_000
const WAIT_FOR_TUNNEL_MS = 3_000

export class TunnelOutbound implements Outbound {
  #slots: Slot[]
  #options: TunnelOutboundOptions
  #destroyed = false

  constructor(options: TunnelOutboundOptions) {
    this.#options = options
    this.#slots = Array.from({ length: options.connections }, () => new Slot(options))
  }

  /** Connects for the first time. Resolves when the first attempts are decided, whatever came of them. */
  async start(): Promise<void> {
    await Promise.all(this.#slots.map((slot) => slot.start()))
  }

  async dial({ destination, signal }: DialRequest): Promise<Dialled> {
    const deadlineMs = performance.now() + this.#options.dialMs
    const connection = await this.#connection(signal)
    return openStream(connection, destination, signal, deadlineMs - performance.now())
  }

  async openUdp(request: UdpRequest, events: UdpEvents): Promise<UdpOutbound> {
    const deadlineMs = performance.now() + this.#options.dialMs
    const { session } = await this.#connection(request.signal)
    return openTunnelUdp(session, request, events, deadlineMs - performance.now())
  }

  /** Uses another certificate from the next connection on; one that was refused is tried again at once. */
  reload(credentials: TunnelCredentials): void {
    for (const slot of this.#slots) slot.reload(credentials)
  }

  destroy(): void {
    this.#destroyed = true
    for (const slot of this.#slots) slot.destroy()
  }

  /** The connection with the fewest streams; waits a moment where none is up. */
  async #connection(signal: AbortSignal): Promise<TunnelConnection> {
    const up = this.#best()
    if (up !== undefined) return up
    if (this.#destroyed) throw new GatewayError('shutting-down')
    const waits = this.#slots.map((slot) => slot.waitUntilUp(WAIT_FOR_TUNNEL_MS, signal))
    await Promise.any(waits).catch(() => {})
    const connection = this.#best()
    if (connection === undefined) throw this.#slots[0]?.failure ?? new GatewayError('tunnel-unavailable')
    return connection
  }

  #best(): TunnelConnection | undefined {
    let best: TunnelConnection | undefined
    for (const { connection } of this.#slots) {
      if (connection === undefined || connection.session.draining) continue
      if (best === undefined || connection.session.streamCount < best.session.streamCount) best = connection
    }
    return best
  }
}

function openStream(
  connection: TunnelConnection,
  destination: Destination,
  signal: AbortSignal,
  withinMs: number,
): Promise<Dialled> {
  return new Promise((resolve, reject) => {
    const stop = (error: GatewayError): void => {
      settle()
      socket.destroy(error)
      reject(error)
    }
    const cancelled = (): void => stop(new GatewayError('stream-cancelled', { side: 'client' }))
    const timer = setTimeout(() => stop(new GatewayError('dial-timeout', { side: 'upstream' })), withinMs)
    const settle = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', cancelled)
    }
    const noEvents = { opened() {}, refused() {}, data() {}, fin() {}, reset() {} }
    let socket: StreamSocket
    try {
      const stream = connection.session.open('tcp', destination, noEvents)
      socket = new StreamSocket(stream, {
        opened: (bound) => {
          settle()
          resolve({ stream: socket, bound })
        },
        refused: (error) => {
          settle()
          reject(error)
        },
      })
      socket.on('error', () => {})
      signal.addEventListener('abort', cancelled)
    } catch (thrown) {
      clearTimeout(timer)
      reject(toGatewayError(thrown, 'upstream'))
    }
  })
}

/** One place for a connection: connects, waits, connects again. */
class Slot {
  connection: TunnelConnection | undefined
  failure: GatewayError | undefined
  #options: TunnelOutboundOptions
  #attempt = 0
  #connecting = false
  /** Told to go elsewhere: their streams go on until they end. */
  #leaving = new Set<TunnelConnection>()
  #retry: NodeJS.Timeout | undefined
  #waiters = new Set<() => void>()
  #destroyed = false

  constructor(options: TunnelOutboundOptions) {
    this.#options = options
  }

  start(): Promise<void> {
    return this.#connect()
  }

  /** Resolves when the connection stands, rejects when it does not in time. */
  waitUntilUp(withinMs: number, signal: AbortSignal): Promise<void> {
    if (this.connection !== undefined) return Promise.resolve()
    // What no waiting mends is not waited for.
    if (!this.#connecting && this.failure !== undefined && FINAL.has(this.failure.code))
      return Promise.reject(this.failure)
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer)
        this.#waiters.delete(finish)
        signal.removeEventListener('abort', finish)
        if (this.connection === undefined) reject(this.failure ?? new GatewayError('tunnel-unavailable'))
        else resolve()
      }
      const timer = setTimeout(finish, withinMs)
      this.#waiters.add(finish)
      signal.addEventListener('abort', finish)
    })
  }

  reload(credentials: TunnelCredentials): void {
    this.#options = { ...this.#options, credentials }
    if (this.#connecting || this.connection !== undefined) return
    clearTimeout(this.#retry)
    this.#attempt = 0
    void this.#connect()
  }

  destroy(): void {
    this.#destroyed = true
    clearTimeout(this.#retry)
    this.connection?.destroy('shutting-down')
    for (const connection of this.#leaving) connection.destroy('shutting-down')
    this.#wake()
  }

  #wake(): void {
    for (const wake of [...this.#waiters]) wake()
  }

  async #connect(): Promise<void> {
    if (this.#destroyed) return
    this.#connecting = true
    this.#options.stateChanged({ state: 'connecting' })
    try {
      const link = await dialTunnel(this.#options)
      this.#connecting = false
      if (this.#destroyed) return link.webSocket.terminate()
      const connection = new TunnelConnection(
        link.webSocket,
        link.socket,
        { role: 'client', maxStreams: this.#options.maxStreams },
        {
          goaway: (code) => {
            this.#leaving.add(connection)
            this.#lost(connection, new GatewayError(code, { side: 'upstream' }))
          },
          closed: (error) => {
            this.#leaving.delete(connection)
            this.#lost(connection, error)
          },
        },
      )
      this.connection = connection
      this.failure = undefined
      this.#attempt = 0
      this.#options.stateChanged({ state: 'up', facts: link.facts })
      this.#wake()
    } catch (thrown) {
      this.#connecting = false
      this.#failed(toGatewayError(thrown, 'upstream', 'tunnel-unavailable'))
    }
  }

  /** A connection takes no more streams (GOAWAY) or is gone: another one takes its place. */
  #lost(connection: TunnelConnection, error: GatewayError): void {
    if (this.connection !== connection) return
    this.connection = undefined
    this.#failed(error)
  }

  #failed(error: GatewayError): void {
    if (this.#destroyed) return
    // What the gateway says of itself is not what this machine's user did wrong.
    this.failure = new GatewayError(FINAL.has(error.code) ? error.code : 'tunnel-unavailable', {
      side: 'upstream',
      cause: error,
    })
    if (FINAL.has(error.code)) {
      this.#options.stateChanged({ state: 'refused', error })
      return this.#wake()
    }
    const longestMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#attempt)
    const retryMs = Math.round(longestMs * (0.5 + this.#options.random() / 2))
    this.#attempt += 1
    this.#options.stateChanged({ state: 'down', error, retryMs })
    this.#retry = setTimeout(() => void this.#connect(), retryMs)
  }
}
