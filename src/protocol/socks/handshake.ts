// The server's side of a SOCKS handshake, without a socket: bytes in, events out. Rule: at most 16 KiB wait
// unread before the request is complete; every byte after the request is early data, given by rest() exactly
// once; after `fail` nothing more is read or said.
//
//   SOCKS5 with password   awaitGreeting -> awaitPassword -> awaitVerdict -> awaitRequest -> done
//   SOCKS5, SOCKS4, 4a     awaitGreeting -> awaitRequest -> done
import { GatewayError, type ErrorCode } from '../../errors.ts'
import {
  type SocksRequest,
  decodeGreeting,
  decodePassword,
  decodeSocks4Request,
  decodeSocks5Request,
} from './messages.ts'
import { socksRefusal } from './reply.ts'

export type SocksEvent =
  | { readonly type: 'reply'; readonly bytes: Uint8Array }
  /** To be answered with `authenticated`. */
  | { readonly type: 'authenticate'; readonly user: string; readonly password: string }
  /** Whatever the command is: a caller that does not serve it refuses. */
  | ({ readonly type: 'request' } & SocksRequest)
  /** `bytes` is the last reply to send before closing; it may be empty. */
  | { readonly type: 'fail'; readonly error: GatewayError; readonly bytes: Uint8Array }

type State = 'awaitGreeting' | 'awaitPassword' | 'awaitVerdict' | 'awaitRequest' | 'done' | 'failed'

// Room for a pipelined post-quantum ClientHello (1.7 KiB) and more behind the handshake; a cap all the same.
const MAX_UNREAD_BYTES = 16 * 1024
const NO_BYTES = new Uint8Array(0)
const METHOD_NONE = 0x00
const METHOD_PASSWORD = 0x02
const METHOD_REFUSED = Uint8Array.of(5, 0xff)
const PASSWORD_REFUSED = Uint8Array.of(1, 1)

export class SocksHandshake {
  readonly #auth: 'none' | 'password'
  readonly #events: SocksEvent[] = []
  #state: State = 'awaitGreeting'
  #version: 4 | 5 = 5
  #unread: Uint8Array = NO_BYTES

  constructor(options: { auth: 'none' | 'password' }) {
    this.#auth = options.auth
  }

  /** Takes the client's next bytes, in any division. Once the request has come, they are early data. */
  push(chunk: Uint8Array): void {
    if (this.#state === 'failed') return
    this.#unread = concat(this.#unread, chunk)
    this.#advance()
  }

  /** The oldest event not yet taken. */
  next(): SocksEvent | undefined {
    return this.#events.shift()
  }

  /**
   * Answers the `authenticate` event. Without effect once the handshake has failed. Errors: `internal-error`
   * where no such event is open. `code` says why not, where it was not the password.
   */
  authenticated(ok: boolean, code: ErrorCode = 'auth-failed'): void {
    if (this.#state === 'failed') return
    if (this.#state !== 'awaitVerdict') {
      throw new GatewayError('internal-error', { detail: 'no SOCKS password waits for a verdict' })
    }
    if (!ok) return this.#fail(code, PASSWORD_REFUSED)
    this.#events.push({ type: 'reply', bytes: Uint8Array.of(1, 0) })
    this.#state = 'awaitRequest'
    this.#advance()
  }

  /** The early data that has come so far and was not given before; empty until the request is complete. */
  rest(): Uint8Array {
    if (this.#state !== 'done') return NO_BYTES
    const rest = this.#unread
    this.#unread = NO_BYTES
    return rest
  }

  /** Reads messages until one is not whole or someone else has to speak. */
  #advance(): void {
    for (;;) {
      const before = this.#state
      if (before === 'awaitGreeting') this.#awaitGreeting()
      else if (before === 'awaitPassword') this.#awaitPassword()
      else if (before === 'awaitRequest') this.#awaitRequest()
      if (this.#state === before) break
    }
    if (this.#state === 'done' || this.#unread.length <= MAX_UNREAD_BYTES) return
    this.#fail('bad-request', NO_BYTES, 'the client sent more than 16 KiB ahead of its handshake')
  }

  /** RFC 1928 §3; a SOCKS4 client sends its request at once. */
  #awaitGreeting(): void {
    const version = this.#unread[0]
    if (version === undefined) return
    if (version === 4) {
      this.#version = 4
      this.#state = 'awaitRequest'
      return
    }
    if (version !== 5) return this.#fail('bad-request', NO_BYTES, 'the SOCKS version is neither 4 nor 5')
    const greeting = decodeGreeting(this.#unread)
    if (greeting === undefined) return
    this.#take(greeting.length)
    const method = this.#auth === 'password' ? METHOD_PASSWORD : METHOD_NONE
    if (!greeting.message.includes(method)) {
      if (this.#auth === 'password') return this.#fail('auth-required', METHOD_REFUSED)
      return this.#fail(
        'bad-request',
        METHOD_REFUSED,
        'the client does not offer to come without authentication',
      )
    }
    this.#events.push({ type: 'reply', bytes: Uint8Array.of(5, method) })
    this.#state = this.#auth === 'password' ? 'awaitPassword' : 'awaitRequest'
  }

  /** RFC 1929 §2. */
  #awaitPassword(): void {
    if (this.#isWrongVersion(1)) return
    const password = this.#decode(decodePassword, () => PASSWORD_REFUSED)
    if (password === undefined) return
    this.#events.push({ type: 'authenticate', ...password })
    this.#state = 'awaitVerdict'
  }

  /**
   * RFC 1928 §4, or SOCKS4. SOCKS4 has no password to offer: with `auth: 'password'` it is refused, once
   * whole.
   */
  #awaitRequest(): void {
    if (this.#isWrongVersion(this.#version)) return
    const decode = this.#version === 4 ? decodeSocks4Request : decodeSocks5Request
    const request = this.#decode(decode, (code) => socksRefusal(this.#version, code))
    if (request === undefined) return
    if (this.#version === 4 && this.#auth === 'password') {
      return this.#fail('auth-required', socksRefusal(4, 'auth-required'))
    }
    this.#events.push({ type: 'request', ...request })
    this.#state = 'done'
  }

  #isWrongVersion(version: number): boolean {
    const found = this.#unread[0]
    if (found === undefined || found === version) return false
    this.#fail('bad-request', NO_BYTES, 'a message of the handshake has the wrong version')
    return true
  }

  /**
   * Takes one message off the unread bytes; a decoder's error ends the handshake with the reply that `answer`
   * gives.
   */
  #decode<Message>(
    decode: (bytes: Uint8Array) => { readonly message: Message; readonly length: number } | undefined,
    answer: (code: ErrorCode) => Uint8Array,
  ): Message | undefined {
    try {
      const decoded = decode(this.#unread)
      if (decoded !== undefined) this.#take(decoded.length)
      return decoded?.message
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      this.#end(error, answer(error.code))
      return undefined
    }
  }

  #take(length: number): void {
    this.#unread = this.#unread.subarray(length)
  }

  #fail(code: ErrorCode, bytes: Uint8Array, detail?: string): void {
    const why = detail === undefined ? {} : { detail }
    this.#end(new GatewayError(code, { side: 'client', ...why }), bytes)
  }

  #end(error: GatewayError, bytes: Uint8Array): void {
    this.#events.push({ type: 'fail', error, bytes })
    this.#state = 'failed'
    this.#unread = NO_BYTES
  }
}

/** Always a copy: what was pushed stays the caller's, to use again. */
function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const joined = new Uint8Array(first.length + second.length)
  joined.set(first)
  joined.set(second, first.length)
  return joined
}
