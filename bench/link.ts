// A long, slow link in user space: a TCP relay that delivers each byte half a round trip after it came, and no faster than
// its rate. Rules: each direction is a link of its own, what waits in front of it is bounded as in a router, and past that
// bound it stops reading, so that the sender's TCP feels it. As a program it prints its port as one JSON line:
//     node bench/link.ts --onward 127.0.0.1:8443 --round-trip-ms 50 --megabits 100
// It models neither loss nor TCP's own slow start: the kernel's connections end at its two sides.
import net, { type AddressInfo, type Socket } from 'node:net'
import { parseArgs } from 'node:util'

export interface LinkOptions {
  readonly host: string
  readonly port: number
  readonly roundTripMs: number
  /** 10^6 bits a second in each direction; 0 sets no limit. */
  readonly megabits: number
}

/** What waits in front of the link before it stops reading. */
const QUEUE_BYTES = 256 * 1024
/** A piece arrives when its last byte does, so pieces are small. */
const PIECE_BYTES = 8 * 1024

/** Relays every connection to `port` over such a link. */
export async function startLink(options: LinkOptions): Promise<net.Server> {
  const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
    const far = net.connect({ host: options.host, port: options.port, noDelay: true, allowHalfOpen: true })
    carry(near, far, options)
    carry(far, near, options)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

function carry(from: Socket, to: Socket, options: LinkOptions): void {
  const direction = new Direction(to, options)
  from.on('data', (chunk: Buffer) => {
    const waitingMs = direction.take(chunk)
    if (waitingMs === 0) return
    from.pause()
    setTimeout(() => from.resume(), waitingMs / 2)
  })
  from.on('end', () => direction.end())
  from.on('error', () => to.destroy())
  from.on('close', () => direction.end())
}

interface Piece {
  /** Undefined: the end. */
  readonly bytes: Buffer | undefined
  readonly arrivesMs: number
}

class Direction {
  #to: Socket
  #delayMs: number
  #bytesPerMs: number
  /** When the link has sent all that was given to it. */
  #freeMs = 0
  #pieces: Piece[] = []
  #isDelivering = false
  #ended = false

  constructor(to: Socket, { roundTripMs, megabits }: LinkOptions) {
    this.#to = to
    this.#delayMs = roundTripMs / 2
    this.#bytesPerMs = megabits === 0 ? Number.POSITIVE_INFINITY : (megabits * 1_000) / 8
  }

  /** Gives 0, or for how long there will be too much before the link. */
  take(chunk: Buffer): number {
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) this.#queue(chunk.subarray(at, at + PIECE_BYTES))
    const waitingMs = this.#freeMs - performance.now()
    return waitingMs * this.#bytesPerMs > QUEUE_BYTES ? waitingMs : 0
  }

  /** Behind all that was taken. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#queue(undefined)
  }

  #queue(bytes: Buffer | undefined): void {
    this.#freeMs = Math.max(this.#freeMs, performance.now()) + (bytes?.length ?? 0) / this.#bytesPerMs
    this.#pieces.push({ bytes, arrivesMs: this.#freeMs + this.#delayMs })
    if (this.#isDelivering) return
    this.#isDelivering = true
    setTimeout(this.#deliver, this.#delayMs)
  }

  #deliver = (): void => {
    const nowMs = performance.now()
    let count = 0
    for (const piece of this.#pieces) {
      if (piece.arrivesMs > nowMs) break
      count += 1
      if (piece.bytes === undefined) this.#to.end()
      else this.#to.write(piece.bytes)
    }
    this.#pieces.splice(0, count)
    const [next] = this.#pieces
    if (next === undefined) this.#isDelivering = false
    else setTimeout(this.#deliver, Math.max(1, next.arrivesMs - nowMs))
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      onward: { type: 'string', default: '' },
      'round-trip-ms': { type: 'string', default: '50' },
      megabits: { type: 'string', default: '100' },
    },
  })
  const [host = '', port = ''] = values.onward.split(':')
  const server = await startLink({
    host,
    port: Number(port),
    roundTripMs: Number(values['round-trip-ms']),
    megabits: Number(values.megabits),
  })
  console.log(JSON.stringify({ event: 'ready', port: (server.address() as AddressInfo).port }))
}
