// A tap: a TCP relay in the way between two parties, which records what passes. Rules: it dials onward from the
// address of whoever connected, so that the far side sees the near one and not the tap; and it changes nothing.
import net from 'node:net'
import { abort } from '../transport/abort.ts'
import { listenTcp, type Listener } from '../transport/listener.ts'
import type { Ending, Endpoint, Recorder } from './capture.ts'

export interface TapOptions {
  /** The address that the parties think they talk to; port 0 = any. */
  readonly listen: Endpoint
  /** Where the party really listens. */
  readonly onward: Endpoint
  readonly recorder: () => Recorder
  /** Where the record says that this leads; default where it was connected to. */
  readonly carries?: Endpoint | undefined
  /** Dials onward from whichever address the system takes: for a party that is not on this machine. */
  readonly fromAnyAddress?: boolean
}

export class Tap {
  #options: TapOptions
  #listener: Listener | undefined
  #open = new Set<net.Socket>()
  #idle = new Set<() => void>()

  private constructor(options: TapOptions) {
    this.#options = options
  }

  /** Errors: `listen-failed`, `address-in-use`. */
  static async start(options: TapOptions): Promise<Tap> {
    const tap = new Tap(options)
    const { address, port } = options.listen
    tap.#listener = await listenTcp({ host: address, port }, (socket) => tap.#accept(socket))
    return tap
  }

  get address(): Endpoint {
    return this.#listener?.address ?? this.#options.listen
  }

  /** True as soon as no connection is open; at the deadline, what still is gets reset, and the answer is false. */
  settled(deadline: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const idle = (): void => {
        deadline.removeEventListener('abort', late)
        resolve(true)
      }
      const late = (): void => {
        this.#idle.delete(idle)
        for (const socket of this.#open) abort(socket)
        resolve(false)
      }
      if (this.#open.size === 0) return idle()
      this.#idle.add(idle)
      if (deadline.aborted) late()
      else deadline.addEventListener('abort', late, { once: true })
    })
  }

  close(): void {
    void this.#listener?.close()
    for (const socket of this.#open) socket.destroy()
  }

  #accept(near: net.Socket): void {
    const from: Endpoint = { address: near.remoteAddress ?? '', port: near.remotePort ?? 0 }
    const to = this.#options.carries ?? { address: near.localAddress ?? '', port: near.localPort ?? 0 }
    const { record, end, connection } = this.#options.recorder().connection(from, to)
    const { address, port } = this.#options.onward
    const far = net.connect({
      host: address,
      port,
      ...(this.#options.fromAnyAddress !== true && { localAddress: from.address }),
      allowHalfOpen: true,
      noDelay: true,
    })
    far.once(
      'connect',
      () => (connection.seenAs = { address: far.localAddress ?? '', port: far.localPort ?? 0 }),
    )
    this.#open.add(near)
    near.on('close', () => {
      this.#open.delete(near)
      if (this.#open.size > 0) return
      for (const idle of this.#idle) idle()
      this.#idle.clear()
    })
    pass(near, far, { record: (bytes) => record('up', bytes), end: (kind) => end('up', kind) })
    pass(far, near, { record: (bytes) => record('down', bytes), end: (kind) => end('down', kind) })
  }
}

function pass(
  from: net.Socket,
  to: net.Socket,
  notes: { record: (bytes: Buffer) => void; end: (kind: Ending['kind']) => void },
): void {
  from.on('data', (chunk: Buffer) => {
    notes.record(chunk)
    if (!to.write(chunk)) from.pause()
  })
  to.on('drain', () => from.resume())
  from.on('end', () => {
    notes.end('fin')
    to.end()
  })
  from.on('error', () => abort(to))
  from.on('close', () => {
    if (from.readableEnded) return
    notes.end('reset')
    abort(to)
  })
}
