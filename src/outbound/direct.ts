// Outbound that dials the destination itself. Rule: a name is resolved once, every address is judged, and the
// very address that was judged is dialled, so that an answer that changes in between changes nothing.
import net from 'node:net'
import { GatewayError, toGatewayError } from '../errors.ts'
import { normalizeHost } from '../policy/egress.ts'
import type { Destination } from '../protocol/request.ts'
import type { Resolve } from '../transport/resolve.ts'
import type { DialRequest, Dialled, Outbound } from './outbound.ts'

export interface DirectOptions {
  readonly dialMs: number
  readonly resolve: Resolve
  /** Throws `destination-denied` where the egress rules refuse the address. */
  judge(request: DialRequest, address: string): void
  /** Address of this machine to dial from. */
  readonly localAddress?: string | undefined
}

const ignoreError = (): void => {}

export class DirectOutbound implements Outbound {
  #options: DirectOptions

  constructor(options: DirectOptions) {
    this.#options = options
  }

  async dial(request: DialRequest): Promise<Dialled> {
    const { destination, signal } = request
    const { dialMs, judge } = this.#options
    const deadlineMs = performance.now() + dialMs
    const addresses = await this.#addresses(destination, dialMs)
    let failure: GatewayError | undefined
    let attemptsLeft = addresses.length
    for (const address of addresses) {
      if (signal.aborted) throw new GatewayError('stream-cancelled', { side: 'client' })
      try {
        judge(request, address)
        const forThisOne = (deadlineMs - performance.now()) / attemptsLeft
        return await this.#connect(address, destination.port, forThisOne, signal)
      } catch (thrown) {
        failure = toGatewayError(thrown, 'upstream', 'dial-failed')
      }
      attemptsLeft -= 1
    }
    throw failure ?? new GatewayError('name-not-found', { side: 'upstream' })
  }

  destroy(): void {}

  async #addresses(destination: Destination, dialMs: number): Promise<readonly string[]> {
    const host = normalizeHost(destination.host)
    return host.kind === 'address' ? [host.address] : this.#options.resolve(host.name, dialMs)
  }

  #connect(address: string, port: number, withinMs: number, signal: AbortSignal): Promise<Dialled> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({
        host: address,
        port,
        allowHalfOpen: true,
        noDelay: true,
        keepAlive: true,
        ...(this.#options.localAddress !== undefined && { localAddress: this.#options.localAddress }),
      })
      const timer = setTimeout(() => fail(new GatewayError('dial-timeout', { side: 'upstream' })), Math.max(1, withinMs))
      const settle = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', cancelled)
        socket.off('error', fail)
        socket.on('error', ignoreError)
      }
      const fail = (error: Error): void => {
        settle()
        socket.destroy()
        reject(toGatewayError(error, 'upstream', 'dial-failed'))
      }
      const cancelled = (): void => fail(new GatewayError('stream-cancelled', { side: 'client' }))
      signal.addEventListener('abort', cancelled)
      socket.once('error', fail)
      socket.once('connect', () => {
        settle()
        resolve({ stream: socket, bound: { address: socket.localAddress ?? '', port: socket.localPort ?? 0 } })
      })
    })
  }
}
