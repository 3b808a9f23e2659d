// A WebSocket that carries one mux session. Rules: at most FLUSH_BYTES wait in the socket, so that control
// frames and interactive streams wait for little; frames made in one turn of the event loop leave in one
// write; any received byte counts as life, a peer that is silent past a ping may be away, and past 15 s is dead.
import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { GatewayError, toGatewayError, type ErrorCode } from '../errors.ts'
import { MAX_FRAME_BYTES } from '../protocol/mux/frame.ts'
import { MuxSession, type SessionOptions } from '../protocol/mux/session.ts'
import type { MuxStream } from '../protocol/mux/stream.ts'
import { GrowthBudget } from '../protocol/mux/window.ts'
import { MessageReader } from '../protocol/websocket-messages.ts'
import { abort } from './abort.ts'
import { BUFFERS } from './buffer-budget.ts'
import { MessageWriter, MOST_BYTES, RECORD_BYTES } from './message-writer.ts'
import { readInPlace } from './read-in-place.ts'

/** What one flush makes, with room for the last frame: one buffer, so that one write carries it as it lies. */
const FLUSH_BYTES = MOST_BYTES - RECORD_BYTES
/** A client's are half as long: what it uploads is in the way of its own key presses, in two busy processes. */
const CLIENT_FLUSH_BYTES = MOST_BYTES / 2 - RECORD_BYTES
/** What unread bytes of all tunnels may take beyond the least that each stream has. */
const GROWTH = new GrowthBudget(256 * 1024 * 1024)
const LIVENESS_TICK_MS = 1_000
/** A tick that comes so long after the one before says that this process stood still, not that the peer did. */
const STOOD_STILL_MS = 5_000
/** From which the round trip is learned. */
const FIRST_PINGS = 4
const PING_AFTER_SILENCE_MS = 5_000
/** A ping unanswered for so long, and nothing else heard: the peer may be away, and new streams had better wait. */
const SILENT_AFTER_MS = 2_000
/** What an answer may take before the peer is asked whether it is there at all. */
const PATIENCE_MS = 1_000
/** Life is noticed up to a tick late, and so is its end: the last byte is then at most 15 s ago. */
const DEAD_AFTER_SILENCE_MS = 13_000
const CLOSE_TIMEOUT_MS = 2_000
/** For a peer that has yet to read what was sent before the close, and goes on reading it. */
const LINGER_MS = 30_000
/** For both ends' WebSockets: what a peer may make them keep. A message that is whole has one fragment. */
export const WEBSOCKET_LIMITS = {
  maxPayload: MAX_FRAME_BYTES,
  maxFragments: 64,
  maxBufferedChunks: 4_096,
  autoPong: false,
} as const
const CLOSE_NORMAL = 1000
const CLOSE_PROTOCOL_ERROR = 1002

export interface TunnelConnectionEvents {
  /** The peer opened a stream (gateway's side). */
  open?(stream: MuxStream): void
  /** A stream had no place; gives the reference that its client is told. */
  refused?(code: ErrorCode): string
  goaway?(code: ErrorCode): void
  /** The peer does not answer (true), or was heard again after that. */
  silent?(isSilent: boolean): void
  /** The connection has ended and every stream with it; called once. */
  closed(error: GatewayError): void
}

export class TunnelConnection {
  readonly session: MuxSession
  #webSocket: WebSocket
  #socket: Socket
  #events: TunnelConnectionEvents
  #writer: MessageWriter
  /** Under way to the kernel. */
  #writes = 0
  #flushBytes: number
  #flushQueued = false
  #paused = false
  #closed = false
  #silent = false
  #error: GatewayError | undefined
  #heardGoaway: ErrorCode | undefined
  #liveness: NodeJS.Timeout
  #lastBytesRead = 0
  #lastLifeMs = performance.now()
  #lastTickMs = performance.now()
  #pingSentMs: number | undefined
  #pings = 0
  /** Only the latest ping is answered (RFC 6455 section 5.5.3), when there is room: a flood of them costs nothing. */
  #wantedPong: Buffer | undefined
  #probe: NodeJS.Timeout | undefined
  #watching = new Set<() => void>()

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
    this.#flushBytes = options.role === 'client' ? CLIENT_FLUSH_BYTES : FLUSH_BYTES
    this.session = new MuxSession({
      sharedGrowth: GROWTH,
      ...options,
      events: {
        open: (stream) => this.#events.open?.(stream),
        refused: (code) => this.#events.refused?.(code) ?? '',
        goaway: (code) => {
          this.#heardGoaway = code
          this.#events.goaway?.(code)
        },
        ready: () => this.#queueFlush(),
      },
    })
    this.#writer = new MessageWriter(BUFFERS, options.role === 'client', (bytes, sent) => {
      this.#writes += 1
      socket.write(bytes, () => {
        sent()
        this.#writes -= 1
        if (this.session.hasFrames || this.#wantedPong !== undefined) this.#queueFlush()
      })
    })
    socket.setNoDelay(true)
    webSocket.binaryType = 'nodebuffer'
    webSocket.on('message', (data: Buffer, isBinary) => this.#receive(data, isBinary))
    this.#readMessages(options.role === 'gateway')
    webSocket.on('pong', () => this.#receivePong())
    webSocket.on('ping', (data: Buffer) => {
      this.#wantedPong = data
      this.#queueFlush()
    })
    webSocket.on('error', (error) => (this.#error ??= webSocketError(error)))
    webSocket.on('close', () => this.#end())
    this.#liveness = setInterval(() => this.#checkLife(), LIVENESS_TICK_MS).unref()
    this.#ping()
  }

  get closed(): boolean {
    return this.#closed
  }

  /** True from an unanswered ping until the next byte: not dead yet, but nothing to begin anything on. */
  get silent(): boolean {
    return this.#silent
  }

  /** Bytes that have come and gone on this connection, WebSocket and mux included. */
  get receivedBytes(): number {
    return this.#socket.bytesRead
  }

  get sentBytes(): number {
    return this.#socket.bytesWritten
  }

  /** The peer takes bytes more slowly than they come: some wait behind those in the socket. */
  get blocked(): boolean {
    return this.#writes > 0 && this.session.hasFrames
  }

  /**
   * For whoever waits for the peer's answer: calls `unheard` where the peer turns silent. While somebody waits, a peer from
   * which not one byte comes for a second is probed, and from which none comes within `withinMs` is not waited for
   * longer. Gives what ends the watch.
   */
  watch(unheard: () => void, withinMs: number): () => void {
    const bytesAtFirst = this.#socket.bytesRead
    let heardBytes = bytesAtFirst
    const deadline = setTimeout(() => {
      if (this.#socket.bytesRead === bytesAtFirst) unheard()
    }, withinMs).unref()
    const timer = setInterval(() => {
      if (this.#socket.bytesRead === heardBytes) this.probe()
      heardBytes = this.#socket.bytesRead
    }, PATIENCE_MS).unref()
    this.#watching.add(unheard)
    return () => {
      clearInterval(timer)
      clearTimeout(deadline)
      this.#watching.delete(unheard)
    }
  }

  /** Asks for a sign of life: a peer that gives none within 2 s is silent. */
  probe(): void {
    if (this.#closed || this.#probe !== undefined) return
    const heardBytes = this.#socket.bytesRead
    this.#ping()
    this.#probe = setTimeout(() => {
      this.#probe = undefined
      if (!this.#closed && this.#socket.bytesRead === heardBytes) this.#setSilent(true)
    }, SILENT_AFTER_MS).unref()
  }

  /** Ends the connection at once; `code` is told to the peer if it can still be. */
  destroy(code: ErrorCode): void {
    if (this.#closed) return
    this.#error ??= new GatewayError(code)
    this.session.goaway(code)
    // Also behind a write that is under way: there is no later.
    this.#send()
    this.#webSocket.close(code === 'shutting-down' ? CLOSE_NORMAL : CLOSE_PROTOCOL_ERROR)
    this.#webSocket.resume()
    this.#linger(code === 'shutting-down' ? performance.now() + LINGER_MS : 0)
    this.#end()
  }

  /** Waits for the peer's own close, which comes behind all that it has still to read. */
  #linger(untilMs: number): void {
    const heardBytes = this.#socket.bytesRead
    setTimeout(() => {
      const reads = this.#socket.bytesRead !== heardBytes && performance.now() < untilMs
      if (reads) this.#linger(untilMs)
      else this.#socket.destroy()
    }, CLOSE_TIMEOUT_MS).unref()
  }

  /** Whole messages are taken out of what comes before the WebSocket sees it: it gets the rest. */
  #readMessages(isMasked: boolean): void {
    const [webSocket, socket] = [this.#webSocket, this.#socket]
    const [toWebSocket] = socket.listeners('data')
    if (toWebSocket === undefined) return
    let isBroken = false
    webSocket.on('error', () => (isBroken = true))
    const reader = new MessageReader({
      isMasked,
      mostBytes: MAX_FRAME_BYTES,
      message: (payload) => {
        if (webSocket.readyState === webSocket.OPEN) this.#receive(payload, true)
      },
      // It keeps what it is given until it has a whole frame.
      other: (bytes) => {
        if (!isBroken) Reflect.apply(toWebSocket, socket, [Buffer.from(bytes)])
      },
    })
    socket.off('data', toWebSocket as () => void)
    socket.on('data', (bytes: Buffer) => reader.push(bytes))
    // Before the WebSocket reads what is left.
    socket.prependListener('close', () => {
      const rest = socket.read() as Buffer | null
      if (rest !== null) reader.push(rest)
    })
    readInPlace(socket, (bytes) => {
      // Behind what waits to be read, if anything does.
      if (socket.readableLength > 0 || socket.readableFlowing !== true) return socket.push(Buffer.from(bytes))
      reader.push(bytes)
      return true
    })
  }

  #receive(data: Uint8Array, isBinary: boolean): void {
    if (this.#closed) return
    if (this.#silent) this.#setSilent(false)
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
    // Once all that came in this turn has been read: a write costs more than most of what is in it.
    setImmediate(this.#flush)
  }

  #flush = (): void => {
    this.#flushQueued = false
    // Two writes that wait would be joined by a copy.
    if (this.#writes === 0) this.#send()
  }

  #send(): void {
    if (this.#closed || this.#webSocket.readyState !== this.#webSocket.OPEN) return
    if (this.#wantedPong !== undefined) this.#webSocket.pong(this.#wantedPong)
    this.#wantedPong = undefined
    if (!this.session.hasFrames) return
    // Between whole messages of the WebSocket's own, which are pings, pongs and the close.
    let roomBytes = this.#flushBytes
    while (roomBytes > 0) {
      const frame = this.session.pullParts(this.#writer.room)
      if (frame === undefined) break
      roomBytes -= this.#writer.add(frame)
    }
    this.#writer.flush()
    if (this.#paused && !this.session.congested) {
      this.#paused = false
      this.#webSocket.resume()
    }
  }

  #ping(): void {
    if (this.#pingSentMs !== undefined || this.#webSocket.readyState !== this.#webSocket.OPEN) return
    this.#pingSentMs = performance.now()
    this.#pings += 1
    this.#webSocket.ping()
  }

  #receivePong(): void {
    if (this.#silent) this.#setSilent(false)
    if (this.#pingSentMs === undefined) return
    const roundTripMs = performance.now() - this.#pingSentMs
    this.#pingSentMs = undefined
    const known = this.session.roundTripMs
    if (known === 0 || roundTripMs < known) this.session.roundTripMs = roundTripMs
  }

  #checkLife(): void {
    const nowMs = performance.now()
    const stoodStill = nowMs - this.#lastTickMs > STOOD_STILL_MS
    this.#lastTickMs = nowMs
    if (this.#socket.bytesRead !== this.#lastBytesRead || stoodStill) {
      this.#lastBytesRead = this.#socket.bytesRead
      this.#lastLifeMs = nowMs
      // A machine that slept wakes up on another network as often as not.
      if (stoodStill) return this.probe()
      if (this.#silent) this.#setSilent(false)
      // The first round trip was measured by processes that had hardly begun.
      if (this.#pings < FIRST_PINGS) this.#ping()
      return
    }
    const silenceMs = nowMs - this.#lastLifeMs
    if (silenceMs >= DEAD_AFTER_SILENCE_MS && this.#pingSentMs !== undefined) {
      this.#error = new GatewayError('tunnel-dead', { side: 'upstream' })
      // RST: what still waits for the peer must not reach it later, when all this is over.
      abort(this.#socket)
      return this.#end()
    }
    if (silenceMs >= PING_AFTER_SILENCE_MS) this.#ping()
    const unansweredMs = this.#pingSentMs === undefined ? 0 : nowMs - this.#pingSentMs
    if (Math.min(unansweredMs, silenceMs) >= SILENT_AFTER_MS) this.#setSilent(true)
  }

  #setSilent(isSilent: boolean): void {
    if (this.#silent === isSilent) return
    this.#silent = isSilent
    if (isSilent) {
      for (const unheard of [...this.#watching]) unheard()
    }
    this.#events.silent?.(isSilent)
  }

  #end(): void {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#liveness)
    clearTimeout(this.#probe)
    // A peer that said why it is about to go has gone for that reason.
    const error =
      this.#error ?? new GatewayError(this.#heardGoaway ?? 'connection-reset', { side: 'upstream' })
    this.session.end(error.code)
    this.#events.closed(error)
  }
}

function webSocketError(thrown: unknown): GatewayError {
  const isTooLarge =
    thrown instanceof Error && 'code' in thrown && thrown.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH'
  return isTooLarge
    ? new GatewayError('frame-too-large', { side: 'client' })
    : toGatewayError(thrown, 'client', 'frame-malformed')
}
