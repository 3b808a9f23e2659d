// A bound UDP socket. Rule: nothing waits here without a bound: past what the kernel takes at once and a small
// queue, a datagram is dropped and its sender is told why. No name is ever looked up here.
import dgram from 'node:dgram'
import { toGatewayError } from '../errors.ts'
import type { DatagramDrop } from '../protocol/association.ts'
import type { BoundAddress } from '../protocol/request.ts'

export type SendFailure = Extract<DatagramDrop, 'queue-full' | 'too-large' | 'unreachable'>

export interface UdpSocketEvents {
  /** `bytes` is the callee's to keep. */
  message(bytes: Buffer, from: BoundAddress): void
}

const MAX_QUEUED_BYTES = 256 * 1024
const ignoreError = (): void => {}

export class UdpSocket {
  readonly address: BoundAddress
  #socket: dgram.Socket
  #closed = false

  private constructor(socket: dgram.Socket) {
    this.#socket = socket
    const { address, port } = socket.address()
    this.address = { address, port }
  }

  /**
   * Binds to an IP literal and a port (0: any free one). IPv6 sockets take no IPv4. Errors: `address-in-use`,
   * `network-unreachable` where the machine has no such address, `too-many-connections` where no descriptor is left,
   * else `listen-failed`.
   */
  static async bind(where: BoundAddress, events: UdpSocketEvents): Promise<UdpSocket> {
    const family = where.address.includes(':') ? 6 : 4
    const socket = dgram.createSocket({
      type: family === 6 ? 'udp6' : 'udp4',
      ipv6Only: family === 6,
      // Node would ask its resolver even for a literal, and so hold each datagram for a turn.
      lookup: (literal, _options, found) => found(null, literal, family),
    })
    await new Promise<void>((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close()
        reject(toGatewayError(error, 'self', 'listen-failed'))
      })
      socket.bind({ address: where.address, port: where.port, exclusive: true }, resolve)
    })
    socket.removeAllListeners('error')
    // What the kernel says of datagrams that went before; the socket lives on.
    socket.on('error', ignoreError)
    socket.on('message', (bytes, { address, port }) => events.message(bytes, { address, port }))
    return new UdpSocket(socket)
  }

  /** Sends one datagram made of `parts`. `done` is called once, now or later, unless the socket closes before. */
  send(to: BoundAddress, parts: readonly Uint8Array[], done: (failure?: SendFailure) => void): void {
    if (this.#closed) return
    const length = parts.reduce((sum, part) => sum + part.length, 0)
    if (this.#socket.getSendQueueSize() + length > MAX_QUEUED_BYTES) return done('queue-full')
    try {
      this.#socket.send(parts, to.port, to.address, (error) => {
        if (this.#closed) return
        if (error === null) done()
        else done(isTooLarge(error) ? 'too-large' : 'unreachable')
      })
    } catch {
      // Port 0, which a peer's header can claim, is thrown at once; what the kernel says comes to the callback.
      done('unreachable')
    }
  }

  /** The port is free when this returns. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#socket.close()
  }
}

/** EMSGSIZE: larger than the path or the interface takes. */
function isTooLarge(error: Error): boolean {
  return 'code' in error && error.code === 'EMSGSIZE'
}
