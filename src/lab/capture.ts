// What a vantage recorded: connections, and in each the chunks of both directions in the order they passed.
// Rule: recorded bytes are never changed.

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

/** A side said that it sends no more (fin), or broke the connection off (reset). */
export interface Ending {
  readonly direction: Direction
  readonly kind: 'fin' | 'reset'
  readonly atMs: number
}

export interface CapturedConnection {
  readonly transport: Transport
  /** Of this process's clock, as `Frame.atMs`. */
  readonly openedMs: number
  /** Who connected, as the kernel reports it at the vantage. */
  readonly from: Endpoint
  /** To where. */
  readonly to: Endpoint
  /** Who the far side's kernel says has connected. */
  seenAs: Endpoint | undefined
  readonly frames: Frame[]
  /** At most one for each direction; of UDP there are none. */
  readonly endings: Ending[]
}

/** All bytes of one direction, in order. */
export function streamBytes(connection: CapturedConnection, direction: Direction): Buffer {
  return Buffer.concat(
    connection.frames.filter((frame) => frame.direction === direction).map((frame) => frame.bytes),
  )
}

/** Collects what the taps of one vantage see, until it is taken. */
export class Recorder {
  /** Called after each frame, while it is under way: for who watches. */
  passed: (() => void) | undefined
  #connections: CapturedConnection[] = []
  #frames = 0

  /** Starts the record of one connection; call `record` for every chunk that passes, and `end` as each side ends. */
  connection(
    from: Endpoint,
    to: Endpoint,
    transport: Transport = 'tcp',
  ): {
    connection: CapturedConnection
    record: (direction: Direction, bytes: Buffer) => void
    end: (direction: Direction, kind: Ending['kind']) => void
  } {
    const frames: Frame[] = []
    const offsets = { up: 0, down: 0 }
    const endings: Ending[] = []
    const openedMs = performance.now()
    const connection: CapturedConnection = {
      transport,
      openedMs,
      from,
      to,
      seenAs: undefined,
      frames,
      endings,
    }
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
    const end = (direction: Direction, kind: Ending['kind']): void => {
      if (endings.some((ending) => ending.direction === direction)) return
      endings.push({ direction, kind, atMs: performance.now() })
    }
    return { connection, record, end }
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
