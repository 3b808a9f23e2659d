// Connects to the first address of a name that answers (RFC 8305 section 5): the next attempt starts when the last
// one failed or has taken 250 ms, and the first to connect ends the others. Rules: no address is dialled that was
// not admitted, and none is ever looked up again; one deadline and one signal end it all, look-up included.
import net from 'node:net'
import { GatewayError, toGatewayError, type ErrorCode } from '../errors.ts'
import { AddressQueue } from '../protocol/address-order.ts'
import { SYSTEM_CLOCK, type Clock, type Found } from './resolve.ts'
import { connectTcp } from './tcp-socket.ts'

/** RFC 8305 section 8: recommended 250 ms, never under 10 ms. */
const ATTEMPT_DELAY_MS = 250

export interface ConnectOptions {
  readonly port: number
  /** For the look-up and every attempt together. */
  readonly withinMs: number
  readonly signal: AbortSignal
  /** Throws where no address of the name may be dialled; called with all that are known, whenever there are more. */
  readonly screen?: ((addresses: readonly string[]) => void) | undefined
  /** Throws where an address must not be dialled; called right before it would be. */
  readonly admit: (address: string) => void
  /** Address of this machine to dial from; addresses of the other family then cannot be reached. */
  readonly localAddress?: string | undefined
  readonly attemptDelayMs?: number | undefined
  readonly clock?: Clock | undefined
  /** The test's: opens a socket. */
  readonly open?: ((options: net.TcpNetConnectOpts) => net.Socket) | undefined
}

/**
 * Gives a connected socket, half-open allowed, with an error listener; it is the caller's. `found` is what a look-up
 * gave, or a promise of it. Errors: what `admit` threw, where nothing was dialled; otherwise what the first attempt met,
 * but "no route for this family" only where the other met nothing else; `dial-timeout`, `name-lookup-failed` (the
 * deadline, by what it fell on), `stream-cancelled`, and those of the look-up.
 */
export function connectToFirst(
  found: readonly string[] | Promise<Found>,
  options: ConnectOptions,
): Promise<net.Socket> {
  return new Promise((resolve, reject) => new Race(options, resolve, reject).start(found))
}

const ignoreError = (): void => {}

class Race {
  #options: ConnectOptions
  #clock: Clock
  #resolve: (socket: net.Socket) => void
  #reject: (error: GatewayError) => void
  #queue = new AddressQueue()
  #attempts = new Set<net.Socket>()
  #isLookingUp = false
  #isSettled = false
  #hasDialled = false
  #known: readonly string[] = []
  #refusal: GatewayError | undefined
  #failure: GatewayError | undefined
  #stopDeadline: () => void
  #stopDelay: (() => void) | undefined

  constructor(
    options: ConnectOptions,
    resolve: (socket: net.Socket) => void,
    reject: (error: GatewayError) => void,
  ) {
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
    this.#clock = options.clock ?? SYSTEM_CLOCK
    this.#stopDeadline = this.#clock.after(Math.max(1, options.withinMs), this.#onDeadline)
    options.signal.addEventListener('abort', this.#onAbort)
  }

  start(found: readonly string[] | Promise<Found>): void {
    if (this.#options.signal.aborted) return this.#onAbort()
    if (!(found instanceof Promise)) return this.#arrived(found)
    this.#isLookingUp = true
    found.then(this.#onFound, this.#onLookupFailed)
  }

  #onFound = (found: Found): void => {
    if (!('later' in found)) return this.#arrived(found)
    if (!this.#screened(found.addresses)) return
    this.#queue.add(found.addresses)
    found.later.then((addresses) => this.#arrived(addresses), this.#onLookupFailed)
    this.#advance()
  }

  #onLookupFailed = (thrown: unknown): void => {
    this.#isLookingUp = false
    if (this.#isSettled) return
    this.#record(toGatewayError(thrown, 'upstream', 'name-lookup-failed'))
    if (this.#stopDelay === undefined) this.#advance()
  }

  /** The last addresses that there will be. */
  #arrived(addresses: readonly string[]): void {
    this.#isLookingUp = false
    if (this.#isSettled || !this.#screened(addresses)) return
    this.#queue.add(addresses)
    if (this.#stopDelay === undefined) this.#advance()
  }

  /** False where the answer as a whole is refused: then everything ends, attempts under way too. */
  #screened(addresses: readonly string[]): boolean {
    const { screen } = this.#options
    if (screen === undefined) return true
    this.#known = this.#known.length === 0 ? addresses : [...this.#known, ...addresses]
    try {
      if (this.#known.length > 1) screen(this.#known)
      return true
    } catch (thrown) {
      this.#fail(toGatewayError(thrown, 'self'))
      return false
    }
  }

  /** Starts the next attempt that is admitted. Without one, and without anything to wait for, it is over. */
  #advance(): void {
    this.#stopDelay?.()
    this.#stopDelay = undefined
    if (this.#isSettled) return
    for (let address = this.#queue.next(); address !== undefined; address = this.#queue.next()) {
      const socket = this.#attempt(address)
      if (socket === undefined) continue
      if (this.#isLookingUp || !this.#queue.isEmpty)
        this.#stopDelay = this.#clock.after(this.#delayMs, this.#onDelay)
      return
    }
    if (this.#attempts.size > 0 || this.#isLookingUp) return
    this.#failBecause('name-not-found')
  }

  get #delayMs(): number {
    return this.#options.attemptDelayMs ?? ATTEMPT_DELAY_MS
  }

  #onDelay = (): void => {
    this.#advance()
  }

  /** Undefined where the address cannot or must not be dialled. */
  #attempt(address: string): net.Socket | undefined {
    const { admit, localAddress, port, open = connectTcp } = this.#options
    try {
      admit(address)
    } catch (thrown) {
      this.#refusal ??= toGatewayError(thrown, 'self')
      return undefined
    }
    const family = net.isIP(address)
    if (family === 0) return this.#record(new GatewayError('name-lookup-failed', { side: 'upstream' }))
    if (localAddress !== undefined && net.isIP(localAddress) !== family) {
      return this.#record(new GatewayError('network-unreachable', { side: 'upstream' }))
    }
    this.#hasDialled = true
    const socket = open({
      host: address,
      port,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      ...(localAddress !== undefined && { localAddress }),
    })
    this.#attempts.add(socket)
    // Stays: a socket that loses, or wins and breaks before it has a reader, has an error that nobody needs.
    socket.on('error', ignoreError)
    const failed = (error: Error): void => {
      if (!this.#attempts.delete(socket)) return
      socket.destroy()
      this.#record(toGatewayError(error, 'upstream', 'dial-failed'))
      this.#advance()
    }
    socket.once('error', failed)
    socket.once('connect', () => {
      if (!this.#attempts.delete(socket)) return
      socket.off('error', failed)
      this.#settle()
      this.#resolve(socket)
    })
    return socket
  }

  /** Keeps the most telling failure: the first, but a family without a route says less than any other. */
  #record(error: GatewayError): undefined {
    if (this.#failure === undefined || this.#failure.code === 'network-unreachable') this.#failure = error
  }

  #onDeadline = (): void => {
    if (this.#attempts.size > 0) this.#record(new GatewayError('dial-timeout', { side: 'upstream' }))
    this.#failBecause('name-lookup-failed')
  }

  #onAbort = (): void => {
    this.#fail(new GatewayError('stream-cancelled', { side: 'client' }))
  }

  /** A refusal explains everything where nothing was dialled, and nothing where something was. */
  #failBecause(otherwise: ErrorCode): void {
    const told = this.#hasDialled ? this.#failure : (this.#refusal ?? this.#failure)
    this.#fail(told ?? new GatewayError(otherwise, { side: 'upstream' }))
  }

  #fail(error: GatewayError): void {
    this.#settle()
    this.#reject(error)
  }

  /** Ends every attempt that is still open, and every wait. */
  #settle(): void {
    this.#isSettled = true
    this.#stopDeadline()
    this.#stopDelay?.()
    this.#stopDelay = undefined
    this.#options.signal.removeEventListener('abort', this.#onAbort)
    for (const socket of this.#attempts) socket.destroy()
    this.#attempts.clear()
  }
}
