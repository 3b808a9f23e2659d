// The origin of one run: one port on 127.0.0.1 and on ::1, since which of them `localhost` is differs from machine to
// machine, and a port beside it that refuses. Rule: every connection is kept as a Wire; the creator disposes.
import net from 'node:net'
import { Wire } from '../support/wire.ts'

const TRIES = 20

export class TwinOrigin implements AsyncDisposable {
  readonly wires: Wire[] = []
  port = 0
  /** Taken, and not listened on: a connection to it is refused. */
  closed = 0
  #servers: net.Server[] = []
  #waiting = new Set<() => void>()
  #holders: net.Socket[] = []

  static async start(): Promise<TwinOrigin> {
    for (let left = TRIES; ; left -= 1) {
      const origin = new TwinOrigin()
      try {
        origin.port = await origin.#listen(0, '127.0.0.1')
        await origin.#listen(origin.port, '::1')
        origin.closed = await origin.#refusing()
        return origin
      } catch (thrown) {
        await origin[Symbol.asyncDispose]()
        if (left <= 1) throw thrown
      }
    }
  }

  async #listen(port: number, host: string): Promise<number> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const wire = new Wire(socket)
      this.wires.push(wire)
      this.#watch(wire)
      this.#changed()
    })
    this.#servers.push(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, resolve)
    })
    return (server.address() as net.AddressInfo).port
  }

  /** A connected client's own port: taken, so that nobody else listens on it. */
  #refusing(): Promise<number> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(this.port, '127.0.0.1')
      socket.once('error', reject)
      this.#servers[0]?.once('connection', (accepted) => {
        this.wires.length = 0
        this.#holders.push(socket, accepted)
        resolve(socket.localPort ?? 0)
      })
    })
  }

  #changed = (): void => {
    for (const look of [...this.#waiting]) look()
  }

  #watch({ socket }: Wire): void {
    for (const event of ['data', 'end', 'error', 'close'] as const) socket.on(event, this.#changed)
  }

  /** Resolves once `over` holds of the origin's connections and of those of `others`, or after `withinMs`. */
  changed(over: () => boolean, others: readonly Wire[], withinMs: number): Promise<void> {
    if (over()) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(look)
        for (const { socket } of others)
          for (const event of ['data', 'end', 'error', 'close'] as const) socket.off(event, look)
        resolve()
      }
      const look = (): void => {
        if (over()) done()
      }
      const timer = setTimeout(done, withinMs)
      this.#waiting.add(look)
      for (const { socket } of others)
        for (const event of ['data', 'end', 'error', 'close'] as const) socket.on(event, look)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#holders) socket.destroy()
    for (const { socket } of this.wires) socket.destroy()
    await Promise.all(
      this.#servers.map(
        (server) => new Promise((resolve) => (server.listening ? server.close(resolve) : resolve(undefined))),
      ),
    )
  }
}
