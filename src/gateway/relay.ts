// Moves bytes between a client and an upstream until both directions have ended. Rules: back-pressure reaches
// the sender, an end in one direction leaves the other open, and a side that breaks off makes the other break
// off too, never end as if all were well.
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { GatewayError, toGatewayError, type ErrorSide } from '../errors.ts'
import { abort } from '../transport/abort.ts'
import type { IdleSweep, Watched } from '../transport/deadline.ts'
import { recycleReads, type Recycler } from '../transport/read-in-place.ts'
import { StreamSocket } from '../transport/stream-socket.ts'
import { TcpSocket } from '../transport/tcp-socket.ts'
import type { Direction } from './observer.ts'
import { Mover } from './turns.ts'

export interface RelayOptions {
  readonly sweep: IdleSweep
  readonly idleMs: number
  /**
   * Called for every chunk before it is written on; must not keep it. Gives the milliseconds for which this direction
   * is not read after it: 0 where its rate is not limited.
   */
  readonly moved: (direction: Direction, chunk: Buffer) => number
  /** Breaks the relay off with its reason, a GatewayError. */
  readonly over?: AbortSignal | undefined
}

/** Resolves when both sides are done: with undefined after two orderly ends, else with what broke them off. */
export function relay(
  client: Duplex,
  upstream: Duplex,
  options: RelayOptions,
): Promise<GatewayError | undefined> {
  return new Promise((resolve) => new Relay(client, upstream, options, resolve))
}

function recyclerOf(from: Duplex): Recycler | undefined {
  if (from instanceof TcpSocket || from instanceof StreamSocket) return from
  return from instanceof Socket ? recycleReads(from) : undefined
}

class Relay implements Watched {
  readonly idleMs: number
  lastActivityMs = 0
  #client: Duplex
  #upstream: Duplex
  #options: RelayOptions
  #resolve: (error: GatewayError | undefined) => void
  #openDirections = 2
  /** Directions that are not read for a while, since too much came. */
  #resting = new Map<Direction, NodeJS.Timeout>()
  #done = false

  constructor(
    client: Duplex,
    upstream: Duplex,
    options: RelayOptions,
    resolve: (error: GatewayError | undefined) => void,
  ) {
    this.#client = client
    this.#upstream = upstream
    this.#options = options
    this.#resolve = resolve
    this.idleMs = options.idleMs
    options.sweep.watch(this)
    this.#pump(client, upstream, 'up', 'client')
    this.#pump(upstream, client, 'down', 'upstream')
    options.over?.addEventListener('abort', this.#over)
    if (options.over?.aborted === true) this.#over()
  }

  expired(): void {
    if (this.#resting.size > 0) {
      // To rest is not to be idle.
      this.lastActivityMs = this.#options.sweep.nowMs
      return this.#options.sweep.watch(this)
    }
    this.#breakOff(new GatewayError('idle-timeout'))
  }

  #pump(from: Duplex, to: Duplex, direction: Direction, side: ErrorSide): void {
    const { sweep, moved } = this.#options
    const recycler = to instanceof Socket || to instanceof StreamSocket ? recyclerOf(from) : undefined
    let full = false
    const goOn = (): void => {
      this.lastActivityMs = sweep.nowMs
      if (!full && !mover?.waits && !this.#resting.has(direction)) from.resume()
    }
    // What comes on a stream of a tunnel has been read already.
    const mover = from instanceof Socket ? new Mover(goOn) : undefined
    from.on('data', (chunk: Buffer) => {
      this.lastActivityMs = sweep.nowMs
      const restMs = moved(direction, chunk)
      if (this.#done) return
      // A socket writes at once what it can: where nothing is left, all is with the kernel, whatever the high-water mark.
      full = !to.write(chunk) && to.writableLength > 0
      // Other streams than sockets may keep the bytes although nothing is left to write.
      if (to.writableLength === 0) recycler?.recycle()
      if (restMs > 0) this.#rest(direction, restMs, goOn)
      mover?.moved(chunk.length)
      if (full || restMs > 0 || mover?.waits) from.pause()
    })
    to.on('drain', () => {
      full = false
      if (to.writableLength === 0) recycler?.recycleKept()
      goOn()
    })
    from.on('end', () => to.end(() => this.#directionEnded()))
    from.on('error', (error) => this.#breakOff(toGatewayError(error, side, 'connection-reset')))
    from.on('close', () => {
      // Closed before its end was read, or while the other side still has to write to it.
      if (!from.readableEnded || !from.writableFinished)
        this.#breakOff(new GatewayError('connection-reset', { side }))
    })
    if (from.destroyed) this.#breakOff(new GatewayError('connection-reset', { side }))
    else from.resume()
  }

  #rest(direction: Direction, forMs: number, goOn: () => void): void {
    const rested = (): void => {
      this.#resting.delete(direction)
      goOn()
    }
    clearTimeout(this.#resting.get(direction))
    this.#resting.set(direction, setTimeout(rested, forMs).unref())
  }

  #over = (): void => this.#breakOff(toGatewayError(this.#options.over?.reason, 'self'))

  #directionEnded(): void {
    this.#openDirections -= 1
    if (this.#openDirections === 0) this.#finish(undefined)
  }

  #breakOff(error: GatewayError): void {
    if (this.#done) return
    // First, since what is aborted may say so in the same turn, which is not why it ended.
    this.#finish(error)
    abort(this.#client, error)
    abort(this.#upstream, error)
  }

  #finish(error: GatewayError | undefined): void {
    if (this.#done) return
    this.#done = true
    this.#options.sweep.unwatch(this)
    this.#options.over?.removeEventListener('abort', this.#over)
    for (const timer of this.#resting.values()) clearTimeout(timer)
    this.#resolve(error)
  }
}
