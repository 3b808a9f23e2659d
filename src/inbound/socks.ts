// Inbound for SOCKS4, 4a and 5 clients: drives the pure handshake (protocol/socks) over a socket and makes one
// ProxyRequest of it, or an association. Rule: success is said only once the upstream is connected.
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { toGatewayError, type ErrorCode, type GatewayError } from '../errors.ts'
import type { AssociationRequest } from '../protocol/association.ts'
import type { BoundAddress, Identity, ProxyRequest } from '../protocol/request.ts'
import { SocksHandshake, type SocksEvent } from '../protocol/socks/handshake.ts'
import { encodeSocks4Reply, encodeSocks5Reply, socksRefusal } from '../protocol/socks/reply.ts'
import { spreadMs } from '../transport/deadline.ts'
import { sourceOf } from '../transport/source.ts'
import type { InboundContext } from './context.ts'
import { openSocksRelay } from './socks-udp.ts'

type SocksRequest = Extract<SocksEvent, { type: 'request' }>

/** What a client gets to read its refusal, and to close its side. */
const LINGER_MS = 1_000

/** Serves one connection. `mode` is the link's: a tunnel client's own SOCKS port is not a `socks-proxy`. */
export function serveSocks(
  socket: Socket,
  context: InboundContext,
  mode: 'socks-proxy' | 'tunnel-client',
): void {
  new SocksConnection(socket, context, mode).start()
}

class SocksConnection {
  #socket: Socket
  #context: InboundContext
  #mode: 'socks-proxy' | 'tunnel-client'
  #handshake: SocksHandshake
  #identity: Identity | undefined
  #gone = new AbortController()
  #deadline: NodeJS.Timeout
  #checking = false

  constructor(socket: Socket, context: InboundContext, mode: 'socks-proxy' | 'tunnel-client') {
    this.#socket = socket
    this.#context = context
    this.#mode = mode
    this.#handshake = new SocksHandshake({ auth: context.requiresPassword ? 'password' : 'none' })
    this.#deadline = setTimeout(
      () => this.#fail('handshake-timeout'),
      spreadMs(context.limits.handshakeMs),
    ).unref()
  }

  start(): void {
    this.#socket.on('data', this.#onData)
    this.#socket.on('end', this.#onGone)
    this.#socket.on('close', this.#onGone)
    this.#socket.resume()
  }

  #onData = (chunk: Buffer): void => {
    this.#handshake.push(chunk)
    this.#advance()
  }

  #onGone = (): void => {
    this.#gone.abort()
    this.#detach()
    this.#socket.destroy()
  }

  #detach(): void {
    clearTimeout(this.#deadline)
    this.#socket.pause()
    this.#socket.off('data', this.#onData)
    this.#socket.off('end', this.#onGone)
  }

  #advance(): void {
    if (this.#checking) return
    for (let event = this.#handshake.next(); event !== undefined; event = this.#handshake.next()) {
      switch (event.type) {
        case 'reply':
          this.#socket.write(event.bytes)
          break
        case 'authenticate':
          return void this.#authenticate(event.user, event.password)
        case 'fail':
          return this.#fail(event.error.code, event.bytes)
        case 'request':
          return this.#request(event)
      }
    }
  }

  async #authenticate(user: string, password: string): Promise<void> {
    this.#checking = true
    let code: ErrorCode = 'auth-failed'
    try {
      this.#identity = await this.#context.authenticate(user, password, sourceOf(this.#socket))
    } catch (thrown) {
      // No check was made: RFC 1929 has one refusal for everything, but the log and the counters know why.
      code = toGatewayError(thrown, 'self').code
    }
    this.#checking = false
    if (this.#gone.signal.aborted) return
    this.#handshake.authenticated(this.#identity !== undefined, code)
    this.#advance()
  }

  #fail(code: ErrorCode, bytes: Uint8Array = new Uint8Array(0)): void {
    this.#context.refused(this.#mode, code, this.#context.newReference())
    this.#detach()
    this.#end(bytes)
  }

  /** Says the last words. A close while the client's bytes are unread would be a reset, which can overtake them. */
  #end(bytes: Uint8Array): void {
    const socket = this.#socket
    const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref()
    socket.off('close', this.#onGone)
    socket.once('close', () => clearTimeout(timer))
    socket.end(bytes)
    socket.resume()
  }

  #request(event: SocksRequest): void {
    this.#detach()
    const socket = this.#socket
    this.#context.handshaken(this.#mode, socket)
    const early = this.#handshake.rest()
    if (early.length > 0) socket.unshift(early)
    if (event.command === 'udp-associate') return this.#associate(event)
    if (event.command !== 'connect')
      return this.#fail('command-unsupported', socksRefusal(event.version, 'command-unsupported'))
    const request: ProxyRequest = {
      mode: this.#mode,
      destination: event.destination,
      identity: this.#identity,
      sentCredential: this.#identity !== undefined,
      signal: this.#gone.signal,
      confirm: (bound: BoundAddress): Duplex => {
        socket.off('close', this.#onGone)
        socket.write(event.version === 5 ? encodeSocks5Reply(0, bound) : encodeSocks4Reply(true, bound))
        return socket
      },
      refuse: (error: GatewayError): void => this.#end(socksRefusal(event.version, error.code)),
    }
    void this.#context.serve(request)
  }

  /** The control connection has nothing more to say: its end is the association's. */
  #associate(event: SocksRequest): void {
    const { udpPorts } = this.#context
    const request: AssociationRequest = {
      mode: this.#mode,
      identity: this.#identity,
      sentCredential: this.#identity !== undefined,
      signal: this.#gone.signal,
      confirm: async (events) => {
        const options = {
          control: this.#socket,
          announced: event.destination,
          ports: udpPorts,
          random: Math.random,
        }
        const relay = await openSocksRelay(options, events)
        this.#socket.off('close', this.#onGone)
        this.#socket.write(encodeSocks5Reply(0, relay.relay))
        return relay
      },
      refuse: (error) => this.#end(socksRefusal(event.version, error.code)),
    }
    void this.#context.associate(request)
  }
}
