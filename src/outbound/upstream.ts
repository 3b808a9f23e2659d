// Outbound through another proxy: Tor, a company's squid, another Sightline. Rules: a name is handed on as it is,
// without a look-up here, unless the scheme is socks5://; what is looked up here, or named as an address, is judged by
// address as if it were dialled; and whatever fails at the upstream itself is told apart from the destination.
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { GatewayError, toGatewayError, type ErrorCode } from '../errors.ts'
import { normalizeHost } from '../policy/egress.ts'
import { isLoopbackName, LOOPBACK_ADDRESSES } from '../policy/egress-upstream.ts'
import type { Destination } from '../protocol/request.ts'
import { connectToFirst } from '../transport/happy-eyeballs.ts'
import type { Lookup, Resolve } from '../transport/resolve.ts'
import type { DialRequest, Dialled, Outbound } from './outbound.ts'
import type { UpstreamServer } from './upstream-ask.ts'
import { askHttp } from './upstream-http.ts'
import { askSocks } from './upstream-socks.ts'

export interface UpstreamOptions {
  readonly server: UpstreamServer
  readonly dialMs: number
  readonly lookup: Lookup
  readonly resolve: Resolve
  /** Throws where the upstream's own address must not be dialled: it is this gateway. */
  readonly admit: (address: string, port: number) => void
  /** Throws `destination-denied` where the egress rules refuse the address. */
  readonly judge: (request: DialRequest, address: string) => void
  /** The same for what all addresses of a name are together, where it is looked up here. */
  readonly judgeAnswer: (request: DialRequest, addresses: readonly string[]) => void
}

/** Another address of the same name may do better than these. */
const WORTH_ANOTHER: ReadonlySet<ErrorCode> = new Set([
  'connection-refused',
  'dial-failed',
  'host-unreachable',
  'network-unreachable',
])

/** What a failed connection to the upstream keeps of its code: what is not about the upstream. */
const OURS: ReadonlySet<ErrorCode> = new Set(['stream-cancelled', 'too-many-connections'])

export class UpstreamOutbound implements Outbound {
  #options: UpstreamOptions
  #server: UpstreamServer

  constructor(options: UpstreamOptions) {
    this.#options = options
    this.#server = options.server
  }

  /** True where names are handed on unresolved: the egress rules then have the name alone to go by. */
  get handsNamesOn(): boolean {
    return this.#server.scheme !== 'socks5'
  }

  /** Errors: those of the destination as the upstream tells them, `upstream-unavailable`, `upstream-auth-failed` … */
  async dial(request: DialRequest): Promise<Dialled> {
    const { dialMs } = this.#options
    const deadlineMs = performance.now() + dialMs
    const hosts = await this.#hosts(request)
    let failure = new GatewayError('name-not-found', { side: 'upstream' })
    for (const host of hosts) {
      try {
        const destination = { host, port: request.destination.port }
        const stream = await this.#ask(destination, request.signal, deadlineMs)
        return { stream, bound: { address: '', port: 0 } }
      } catch (thrown) {
        failure = toGatewayError(thrown, 'upstream', 'upstream-unavailable')
        if (!WORTH_ANOTHER.has(failure.code)) break
      }
    }
    throw failure
  }

  /** The next dial uses other credentials, and another authority. */
  reload(server: UpstreamServer): void {
    this.#server = { ...this.#server, credentials: server.credentials, authority: server.authority }
  }

  destroy(): void {}

  /** What the upstream may be asked for, each judged: the name itself, or addresses. */
  async #hosts(request: DialRequest): Promise<string[]> {
    const { dialMs, judge, judgeAnswer, resolve } = this.#options
    const host = normalizeHost(request.destination.host)
    if (host.kind === 'address') {
      judge(request, host.address)
      return [host.address]
    }
    if (this.handsNamesOn) {
      // The upstream's own loopback, which is this machine's as often as not.
      if (isLoopbackName(host.name)) for (const address of LOOPBACK_ADDRESSES) judge(request, address)
      return [host.name]
    }
    const addresses = await untilAborted(resolve(host.name, dialMs), request.signal)
    judgeAnswer(request, addresses)
    const admitted: string[] = []
    let refusal: GatewayError | undefined
    for (const address of addresses) {
      try {
        judge(request, address)
        admitted.push(address)
      } catch (thrown) {
        refusal ??= toGatewayError(thrown, 'self')
      }
    }
    if (admitted.length === 0 && refusal !== undefined) throw refusal
    return admitted
  }

  async #ask(destination: Destination, signal: AbortSignal, deadlineMs: number): Promise<Duplex> {
    const server = this.#server
    const carrier = await this.#connect(server, signal, deadlineMs)
    return new Promise((resolve, reject) => {
      let wasAsked = false
      const stop = (error: GatewayError): void => {
        settle()
        carrier.destroy()
        reject(error)
      }
      const cancelled = (): void => stop(new GatewayError('stream-cancelled', { side: 'client' }))
      const late = (): void =>
        stop(new GatewayError(wasAsked ? 'dial-timeout' : 'upstream-unavailable', { side: 'upstream' }))
      const withinMs = Math.max(1, deadlineMs - performance.now())
      const timer = setTimeout(late, withinMs)
      const settle = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', cancelled)
      }
      signal.addEventListener('abort', cancelled)
      if (signal.aborted) return cancelled()
      const talk = server.scheme === 'http' || server.scheme === 'https' ? askHttp : askSocks
      talk(carrier, { server, destination, withinMs, asked: () => (wasAsked = true) }).then(
        (stream) => {
          settle()
          resolve(stream)
        },
        (thrown: unknown) => stop(toGatewayError(thrown, 'upstream', 'upstream-unavailable')),
      )
    })
  }

  async #connect(server: UpstreamServer, signal: AbortSignal, deadlineMs: number): Promise<Socket> {
    const { admit, lookup } = this.#options
    try {
      const withinMs = deadlineMs - performance.now()
      const host = normalizeHost(server.host)
      return await connectToFirst(host.kind === 'address' ? [host.address] : lookup(host.name, withinMs), {
        port: server.port,
        withinMs,
        signal,
        admit: (address) => admit(address, server.port),
      })
    } catch (thrown) {
      const { code } = toGatewayError(thrown, 'upstream')
      if (OURS.has(code)) throw thrown
      throw new GatewayError('upstream-unavailable', { side: 'upstream', cause: thrown })
    }
  }
}

/** Leaves a look-up that nobody waits for any more. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancelled = (): void => reject(new GatewayError('stream-cancelled', { side: 'client' }))
    if (signal.aborted) cancelled()
    signal.addEventListener('abort', cancelled)
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', cancelled))
  })
}
