// A WebSocket that carries one mux session. Rules: at most FLUSH_BYTES wait in the socket, so that control
// frames and interactive streams wait for little; frames made in one turn of the event loop leave in one
// write; any received byte counts as life, and a peer that is silent past a ping is dead.
import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { GatewayError, toGatewayError, type ErrorCode } from '../errors.ts'
import { MuxSession, type SessionOptions } from '../protocol/mux/session.ts'
import type { MuxStream } from '../protocol/mux/stream.ts'

const FLUSH_BYTES = 256 * 1024
const LIVENESS_TICK_MS = 2_500
const PING_AFTER_SILENCE_MS = 5_000
const DEAD_AFTER_SILENCE_MS = 15_000
const CLOSE_TIMEOUT_MS = 2_000
const CLOSE_NORMAL = 1000
const CLOSE_PROTOCOL_ERROR = 1002

export interface TunnelConnectionEvents {
  /** The peer opened a stream (gateway's side). */
  open?(stream: MuxStream): void
  goaway?(code: ErrorCode): void
  /** The connection has ended and every stream with it; called once. */
  closed(error: GatewayError): void
}

export class TunnelConnection {
  readonly session: MuxSession
  #webSocket: WebSocket
  #socket: Socket
  #events: TunnelConnectionEvents
  #flushQueued = false
  #paused = false
  #closed = false
  #error: GatewayError | undefined
  #heardGoaway: ErrorCode | undefined
  #liveness: NodeJS.Timeout
  #lastBytesRead = 0
  #lastLifeMs = performance.now()
  #lastTickMs = performance.now()
  #pingSentMs: number | undefined

  /** `socket` is the connection under `webSocket`, whose buffer is what limits how much is sent ahead. */
  constructor(
    webSocket: WebSocket,
    socket: Socket,
    options: Omit<SessionOptions, 'events'>,
    events: TunnelConnectionEvents,
  ) {
    this.#webSocket = webSocket
    this.#socket = socket
    this.#events = events
    this.session = new MuxSession({
      ...options,
      events: {
        open: (stream) => this.#events.open?.(stream),
        goaway: (code) => {
          this.#heardGoaway = code
          this.#events.goaway?.(code)
        },
        ready: () => this.#queueFlush(),
      },
    })
    socket.setNoDelay(true)
    webSocket.binaryType = 'nodebuffer'
    webSocket.on('message', (data: Buffer, isBinary) => this.#receive(data, isBinary))
    webSocket.on('pong', () => this.#receivePong())
    webSocket.on('error', (error) => (this.#error ??= toGatewayError(error, 'client', 'frame-malformed')))
    webSocket.on('close', () => this.#end())
    socket.on('drain', this.#flush)
    this.#liveness = setInterval(() => this.#checkLife(), LIVENESS_TICK_MS).unref()
    this.#ping()
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Ends the connection at once; `code` is told to the peer if it can still be. */
  destroy(code: ErrorCode): void {
    if (this.#closed) return
    this.#error ??= new GatewayError(code)
    this.session.goaway(code)
    this.#flush()
    this.#webSocket.close(code === 'shutting-down' ? CLOSE_NORMAL : CLOSE_PROTOCOL_ERROR)
    const socket = this.#socket
    setTimeout(() => socket.destroy(), CLOSE_TIMEOUT_MS).unref()
    this.#end()
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (this.#closed) return
    try {
      if (!isBinary) throw new GatewayError('frame-malformed', { side: 'client' })
      this.session.receive(data)
    } catch (thrown) {
      const error = toGatewayError(thrown, 'client')
      this.#error = error
      return this.destroy(error.code)
    }
    if (this.session.congested && !this.#paused) {
      this.#paused = true
      this.#webSocket.pause()
    }
  }

  #queueFlush(): void {
    if (this.#flushQueued || this.#closed) return
    this.#flushQueued = true
    process.nextTick(this.#flush)
  }

  #flush = (): void => {
    this.#flushQueued = false
    if (this.#closed || this.#webSocket.readyState !== this.#webSocket.OPEN) return
    if (!this.session.hasFrames || this.#socket.writableLength >= FLUSH_BYTES) return
    this.#socket.cork()
    while (this.#socket.writableLength < FLUSH_BYTES) {
      const frame = this.session.pull()
      if (frame === undefined) break
      this.#webSocket.send(frame, { binary: true, compress: false })
    }
    this.#socket.uncork()
    if (this.#paused && !this.session.congested) {
      this.#paused = false
      this.#webSocket.resume()
    }
  }

  #ping(): void {
    if (this.#pingSentMs !== undefined || this.#webSocket.readyState !== this.#webSocket.OPEN) return
    this.#pingSentMs = performance.now()
    this.#webSocket.ping()
  }

  #receivePong(): void {
    if (this.#pingSentMs === undefined) return
    const roundTripMs = performance.now() - this.#pingSentMs
    this.#pingSentMs = undefined
    const known = this.session.roundTripMs
    if (known === 0 || roundTripMs < known) this.session.roundTripMs = roundTripMs
  }

  #checkLife(): void {
    const nowMs = performance.now()
    // A tick that is itself late says that this process stood still, not that the peer did.
    const late = nowMs - this.#lastTickMs > 2 * LIVENESS_TICK_MS
    this.#lastTickMs = nowMs
    if (this.#socket.bytesRead !== this.#lastBytesRead || late) {
      this.#lastBytesRead = this.#socket.bytesRead
      this.#lastLifeMs = nowMs
      return
    }
    const silenceMs = nowMs - this.#lastLifeMs
    if (silenceMs >= DEAD_AFTER_SILENCE_MS && this.#pingSentMs !== undefined) {
      this.#error = new GatewayError('tunnel-dead', { side: 'upstream' })
      this.#socket.destroy()
      return this.#end()
    }
    if (silenceMs >= PING_AFTER_SILENCE_MS) this.#ping()
  }

  #end(): void {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#liveness)
    this.#socket.off('drain', this.#flush)
    // A peer that said why it is about to go has gone for that reason.
    const error =
      this.#error ?? new GatewayError(this.#heardGoaway ?? 'connection-reset', { side: 'upstream' })
    this.session.end(error.code)
    this.#events.closed(error)
  }
}
