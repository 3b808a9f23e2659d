// What a vantage recorded: connections, and in each the chunks of both directions in the order they passed.
// Rule: recorded bytes are never changed; a stream offset can always be led back to the frame that carried it.

export type Direction = 'up' | 'down'

export interface Endpoint {
  readonly address: string
  readonly port: number
}

/** What carries a connection: a TCP stream, or the datagrams between two UDP ports. */
export type Transport = 'tcp' | 'udp'

export interface Frame {
  /** From 1, in the order in which the capture's chunks passed. */
  readonly number: number
  /** When it passed, in milliseconds of this process's clock: comparable between recorders. */
  readonly atMs: number
  readonly direction: Direction
  /** A chunk of the stream; of UDP, the payload of one datagram. */
  readonly bytes: Buffer
  /** Place of its first byte in its direction's stream. */
  readonly streamOffset: number
}

export interface CapturedConnection {
  readonly transport: Transport
  /** Who connected, as the kernel reports it at the vantage. */
  readonly from: Endpoint
  /** To where. */
  readonly to: Endpoint
  /** Who the far side's kernel says has connected. */
  seenAs: Endpoint | undefined
  readonly frames: Frame[]
}

/** All bytes of one direction, in order. */
export function streamBytes(connection: CapturedConnection, direction: Direction): Buffer {
  return Buffer.concat(
    connection.frames.filter((frame) => frame.direction === direction).map((frame) => frame.bytes),
  )
}

/** The frame that holds the byte at `offset` of a direction's stream, and where in it. */
export function frameAt(
  connection: CapturedConnection,
  direction: Direction,
  offset: number,
): { readonly frame: number; readonly offset: number } | undefined {
  for (const frame of connection.frames) {
    if (frame.direction !== direction) continue
    const within = offset - frame.streamOffset
    if (within >= 0 && within < frame.bytes.length) return { frame: frame.number, offset: within }
  }
  return undefined
}

/** The connections of one capture, their frames numbered anew from 1 in the order in which they passed. */
export function joinCapture(connections: readonly CapturedConnection[]): CapturedConnection[] {
  const joined = connections.map((connection) => ({ ...connection, frames: [...connection.frames] }))
  const places = joined.flatMap(({ frames }) => frames.map((frame, index) => ({ frames, frame, index })))
  places.sort((a, b) => a.frame.atMs - b.frame.atMs)
  for (const [number, { frames, frame, index }] of places.entries())
    frames[index] = { ...frame, number: number + 1 }
  return joined
}

/** Collects what the taps of one vantage see, until it is taken. */
export class Recorder {
  /** Called after each frame, while it is under way: for who watches. */
  passed: (() => void) | undefined
  #connections: CapturedConnection[] = []
  #frames = 0

  /** Starts the record of one connection; call `record` for every chunk that passes. */
  connection(
    from: Endpoint,
    to: Endpoint,
    transport: Transport = 'tcp',
  ): { connection: CapturedConnection; record: (direction: Direction, bytes: Buffer) => void } {
    const frames: Frame[] = []
    const offsets = { up: 0, down: 0 }
    const connection: CapturedConnection = { transport, from, to, seenAs: undefined, frames }
    this.#connections.push(connection)
    const record = (direction: Direction, bytes: Buffer): void => {
      this.#frames += 1
      frames.push({
        number: this.#frames,
        atMs: performance.now(),
        direction,
        bytes,
        streamOffset: offsets[direction],
      })
      offsets[direction] += bytes.length
      this.passed?.()
    }
    return { connection, record }
  }

  /** What is recorded so far; it goes on growing. */
  peek(): readonly CapturedConnection[] {
    return this.#connections
  }

  /** Gives what was recorded, and begins anew. */
  take(): CapturedConnection[] {
    const taken = this.#connections
    this.#connections = []
    this.#frames = 0
    return taken
  }
}
