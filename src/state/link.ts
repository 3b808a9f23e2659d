// The connection to the store that replicas share (Redis or Valkey): kept, lost, and found again. Rules: nothing waits for
// it: there is no queue, and whoever asks while it is away is told so at once; every answer has a deadline and a size, past
// which the connection is cut; the library is loaded only where a store is configured; and an error is a code, never what
// a server said, which may repeat what it was sent.
import type { RedisClientType } from '@redis/client'
import { setTimeout as wait } from 'node:timers/promises'
import { readStateUrl, type StateConfig, type StateUrl } from '../config/state.ts'
import { GatewayError, type ErrorCode } from '../errors.ts'
import { BackOff } from '../policy/back-off.ts'
import { readStateAuthority, readStatePassword } from './settings.ts'
import { countedSocket, countPlain } from './socket.ts'

/** One answer, or what comes unasked between two questions: twice the longest list, as it is written down. */
export const ANSWER_BYTES_MAX = 8 * 1024 * 1024
/** Questions at once: more than that is a store that does not keep up. */
const QUESTIONS_MAX = 4_096
/** First words of error answers (Redis): who asks is not known, or may not. */
const DENIED = /^(WRONGPASS|NOAUTH|NOPERM|ERR AUTH)/
/** What has another shape than what is kept here. */
const MISSHAPEN = /^(WRONGTYPE|ERR value is not|ERR Error running script|ERR hash value)/
/** Of one that has become another's copy, or is not there yet: its name may lead to another by now. */
const ELSEWHERE = /^(READONLY|MASTERDOWN|LOADING) /
const UNTRUSTED = /^(CERT_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|ERR_TLS_CERT|HOSTNAME_MISMATCH|ERR_SSL)/

export interface LinkEvents {
  /** It stands, or not any more and why. */
  changed(up: boolean, code: ErrorCode | undefined): void
  /** Something was said on the channel. What it was does not matter: it is a reason to look. */
  called(): void
}

interface Session {
  readonly client: RedisClientType
  /** Once. */
  readonly connect: () => Promise<unknown>
  /** Bytes that may still come. */
  allowance: number
  /** Never resolves. */
  readonly ended: Promise<never>
  readonly end: (error: GatewayError) => void
}

export class StateLink {
  #config: StateConfig
  #url: StateUrl
  #events: LinkEvents
  #session: Session | undefined
  #closed = new AbortController()
  #asked = 0

  /** Errors: `config-invalid`. */
  constructor(config: StateConfig, events: LinkEvents) {
    const url = readStateUrl(config.redis)
    if ('problem' in url) throw new GatewayError('config-invalid', { detail: `state.redis: ${url.problem}` })
    this.#config = config
    this.#url = url
    this.#events = events
  }

  get up(): boolean {
    return this.#session !== undefined
  }

  get channel(): string {
    return `${this.#config.prefix}:changed`
  }

  /** Connects, again and again until it is closed. Call once. */
  open(): void {
    void this.#keep()
  }

  close(): void {
    this.#closed.abort()
    this.#session?.end(new GatewayError('state-unavailable'))
  }

  /** One command, its answer as it came. Errors: `state-unavailable`, `state-auth-failed`, `state-invalid`. */
  async ask(command: readonly string[]): Promise<unknown> {
    const session = this.#session
    if (session === undefined || this.#asked >= QUESTIONS_MAX) throw new GatewayError('state-unavailable')
    session.allowance = ANSWER_BYTES_MAX
    const late = setTimeout(
      () => session.end(new GatewayError('state-unavailable')),
      this.#config.timeoutMs,
    ).unref()
    this.#asked += 1
    try {
      return await Promise.race([session.client.sendCommand(command), session.ended])
    } catch (thrown) {
      if (thrown instanceof Error && ELSEWHERE.test(thrown.message))
        session.end(new GatewayError('state-unavailable'))
      throw errorOf(thrown)
    } finally {
      this.#asked -= 1
      clearTimeout(late)
    }
  }

  async #keep(): Promise<void> {
    const backOff = new BackOff(Math.random)
    const { signal } = this.#closed
    while (!signal.aborted) {
      try {
        await this.#serve(backOff)
      } catch (thrown) {
        if (!signal.aborted) this.#events.changed(false, errorOf(thrown).code)
      }
      const restMs = backOff.next(performance.now())
      await wait(restMs, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  /** One connection, from its beginning to its end; rejects with why it ended. */
  async #serve(backOff: BackOff): Promise<never> {
    const session = await this.#newSession()
    const { client, ended, end } = session
    const late = setTimeout(
      () => end(new GatewayError('state-unavailable')),
      this.#config.timeoutMs * 2,
    ).unref()
    try {
      await Promise.race([this.#connect(session), ended])
      clearTimeout(late)
      if (this.#closed.signal.aborted) throw new GatewayError('state-unavailable')
      backOff.reset()
      this.#session = session
      this.#events.changed(true, undefined)
      return await ended
    } finally {
      clearTimeout(late)
      this.#session = undefined
      client.destroy()
    }
  }

  async #connect({ client, connect }: Session): Promise<void> {
    await connect()
    await client.subscribe(this.channel, () => this.#events.called())
  }

  async #newSession(): Promise<Session> {
    const { createClient } = await import('@redis/client')
    const { promise: ended, reject } = Promise.withResolvers<never>()
    ended.catch(() => {})
    const { host, port, secure, database } = this.#url
    const received = (bytes: number): void => {
      session.allowance -= bytes
      if (session.allowance < 0) reject(new GatewayError('state-invalid'))
    }
    const common = { host, port, connectTimeout: this.#config.timeoutMs, reconnectStrategy: false } as const
    const ca = readStateAuthority(this.#config)
    const socket = secure
      ? {
          ...common,
          tls: true as const,
          ...(ca !== undefined && { ca }),
          socket: countedSocket(host, port, received),
        }
      : common
    const client = createClient({
      ...this.#credentials(),
      socket,
      RESP: 3,
      database,
      disableOfflineQueue: true,
      disableClientInfo: true,
      maintNotifications: 'disabled',
    }) as RedisClientType
    // What the library cannot read it skips, and takes the next answer for that of another question: never go on after one.
    client.on('error', (error: unknown) => reject(errorOf(error)))
    const connect = (): Promise<unknown> => client.connect()
    const session: Session = {
      client,
      connect: secure ? connect : () => countPlain(connect, received),
      allowance: ANSWER_BYTES_MAX,
      ended,
      end: reject,
    }
    return session
  }

  #credentials(): { readonly username?: string; readonly password?: string } {
    const username = this.#config.username ?? this.#url.username
    const password = readStatePassword(this.#config) ?? this.#url.password
    return { ...(username !== undefined && { username }), ...(password !== undefined && { password }) }
  }
}

/** By its code, and by the first word of an answer. */
function errorOf(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown
  const message = thrown instanceof Error ? thrown.message : ''
  const errno = typeof thrown === 'object' && thrown !== null && 'code' in thrown ? String(thrown.code) : ''
  if (DENIED.test(message)) return new GatewayError('state-auth-failed')
  if (MISSHAPEN.test(message)) return new GatewayError('state-invalid')
  if (UNTRUSTED.test(errno)) return new GatewayError('state-untrusted')
  if (errno === '' && thrown instanceof TypeError) return new GatewayError('state-invalid')
  return new GatewayError('state-unavailable')
}
