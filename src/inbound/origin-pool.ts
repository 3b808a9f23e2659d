// Connections to origins that one client connection keeps for its next requests. Rules: a connection is used again
// only by the client connection and the identity that it was opened for, so that no answer can reach another's request;
// it is opened through the pipeline, never by Node's agent itself.
import http from 'node:http'
import type { Duplex } from 'node:stream'

/** Opens a connection through the pipeline; calls back once. */
export type OpenOrigin = (opened: (error: Error | null, near?: Duplex) => void) => void

export interface PooledOptions extends http.RequestOptions {
  /** Tells connections apart: destination and identity. */
  readonly poolKey: string
  readonly open: OpenOrigin
}

const IDLE_ORIGINS_MAX = 4
/** What an origin gets to end its own direction. */
const CLOSE_GRACE_MS = 1_000

export class OriginPool extends http.Agent {
  #idle = new Set<Duplex>()
  #closed = false

  constructor() {
    super({ keepAlive: true, maxFreeSockets: IDLE_ORIGINS_MAX })
  }

  /** True where a connection for this key waits to be used again. */
  hasIdle(key: string): boolean {
    return this.freeSockets[key]?.some((socket) => !socket.destroyed) ?? false
  }

  /** Ends what is idle; what is in use ends with its request. */
  close(): void {
    this.#closed = true
    for (const near of this.#idle) endInOrder(near)
  }

  override getName(options?: http.RequestOptions): string {
    return (options as PooledOptions | undefined)?.poolKey ?? ''
  }

  override createConnection(
    options: http.ClientRequestArgs,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    ;(options as PooledOptions).open((error, near) => callback?.(error, near as Duplex))
    return undefined
  }

  override keepSocketAlive(near: Duplex): boolean {
    if (this.#closed || near.readableEnded || !near.writable) return false
    this.#idle.add(near)
    near.once('end', endThis)
    near.once('close', () => this.#idle.delete(near))
    return true
  }

  override reuseSocket(near: Duplex, request: http.ClientRequest): void {
    request.reusedSocket = true
    near.off('end', endThis)
    this.#idle.delete(near)
  }
}

/** The origin has ended; so does this side. Destroyed alone, it would count as broken off, and be reset. */
function endThis(this: Duplex): void {
  this.end(() => this.destroy())
}

function endInOrder(near: Duplex): void {
  const timer = setTimeout(() => near.destroy(), CLOSE_GRACE_MS).unref()
  near.once('close', () => clearTimeout(timer))
  near.end()
  near.resume()
}
