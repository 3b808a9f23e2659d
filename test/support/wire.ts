// A raw TCP or TLS connection as a test sees it: everything received, and how it ended. Rule: an orderly end and
// a reset are told apart, since that is what most scenarios are about.
import net from 'node:net'
import tls from 'node:tls'

export type Ending = 'end' | 'reset' | 'closed'

export class Wire implements Disposable {
  readonly socket: net.Socket
  received = Buffer.alloc(0)
  /** `end`: FIN or close_notify; `reset`: ECONNRESET; `closed`: gone without either. */
  ending: Ending | undefined
  error: NodeJS.ErrnoException | undefined
  #carrier: net.Socket
  #waiting = new Set<() => void>()

  /** `carrier`: the TCP socket below, where `socket` is TLS. */
  constructor(socket: net.Socket, carrier: net.Socket = socket) {
    this.socket = socket
    this.#carrier = carrier
    const changed = (): void => {
      for (const look of [...this.#waiting]) look()
    }
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk])
      changed()
    })
    socket.on('end', () => {
      this.ending ??= 'end'
      changed()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error
      // A reset after the end of the other direction is not how that one ended.
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') this.ending ??= 'reset'
      changed()
    })
    socket.on('close', () => {
      this.ending ??= 'closed'
      changed()
    })
  }

  /** Connects on loopback; half-open, so that an end there is not an end here. */
  static connect(port: number, host = '127.0.0.1'): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ host, port, allowHalfOpen: true, noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new Wire(socket))
      })
    })
  }

  static async connectTls(port: number, options: tls.ConnectionOptions): Promise<Wire> {
    const carrier = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
    return new Promise((resolve, reject) => {
      carrier.once('error', reject)
      const socket = tls.connect({ servername: 'localhost', ...options, socket: carrier })
      socket.allowHalfOpen = true
      socket.once('error', reject)
      socket.once('secureConnect', () => {
        socket.off('error', reject)
        carrier.off('error', reject)
        resolve(new Wire(socket, carrier))
      })
    })
  }

  /** Breaks off with a TCP reset, also under TLS. */
  reset(): void {
    this.#carrier.resetAndDestroy()
  }

  send(bytes: Uint8Array | string): void {
    this.socket.write(bytes)
  }

  get text(): string {
    return this.received.toString('latin1')
  }

  /** Resolves when `done` holds of all that has come; rejects when the connection ends before. */
  until(done: (received: Buffer) => boolean, what = 'what was waited for'): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!done(this.received) && this.ending === undefined) return
        this.#waiting.delete(look)
        if (done(this.received)) resolve(this.received)
        else
          reject(new Error(`${this.ending} before ${what}; came: ${JSON.stringify(this.text.slice(0, 500))}`))
      }
      this.#waiting.add(look)
      look()
    })
  }

  untilText(text: string): Promise<Buffer> {
    return this.until((received) => received.includes(text, 0, 'latin1'), JSON.stringify(text))
  }

  untilBytes(count: number): Promise<Buffer> {
    return this.until((received) => received.length >= count, `${count} bytes`)
  }

  /** Resolves with how the peer's direction ended. */
  ended(): Promise<Ending> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.ending === undefined) return
        this.#waiting.delete(look)
        resolve(this.ending)
      }
      this.#waiting.add(look)
      look()
    })
  }

  /** Takes `count` bytes off the front of what was received. */
  take(count: number): Buffer {
    const taken = this.received.subarray(0, count)
    this.received = this.received.subarray(count)
    return taken
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}

/** A TCP server on loopback that gives every connection as a Wire. */
export interface RawOrigin extends AsyncDisposable {
  readonly port: number
  readonly wires: readonly Wire[]
  /** The connection with this number, from 0, as soon as it is there. */
  wire(index?: number): Promise<Wire>
}

export async function startRawOrigin(
  onConnection: (wire: Wire) => void = () => {},
  host = '127.0.0.1',
): Promise<RawOrigin> {
  const wires: Wire[] = []
  const waiting = new Set<() => void>()
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const wire = new Wire(socket)
    wires.push(wire)
    onConnection(wire)
    for (const look of [...waiting]) look()
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  return {
    port: (server.address() as net.AddressInfo).port,
    wires,
    wire: (index = 0) =>
      new Promise((resolve) => {
        const look = (): void => {
          const wire = wires[index]
          if (wire === undefined) return
          waiting.delete(look)
          resolve(wire)
        }
        waiting.add(look)
        look()
      }),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        for (const wire of wires) wire.socket.destroy()
        server.close(() => resolve())
      }),
  }
}
