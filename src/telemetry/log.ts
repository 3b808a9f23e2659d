// The log: one JSON object a line (pino). Rule: no field, at any level, holds a client address, a destination, a
// credential or a certificate subject. Identities appear as pseudonyms under a key that a restart changes, and
// errors by code and reference, never by message (a system's message may name an address).
import { createHmac, randomBytes } from 'node:crypto'
import { pino, type DestinationStream, type Logger } from 'pino'
import { ERROR_ANSWERS, type ErrorCode } from '../errors.ts'
import type { Observer, Refusal } from '../gateway/observer.ts'
import { keyOf, type Identity } from '../protocol/request.ts'
import type { StatePart } from '../state/shared-state.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

const PSEUDONYM_CHARS = 10

export class Log {
  #pino: Logger
  /** What was said last of each part of what replicas share, since all of it was well. */
  #sharedSaid = new Map<StatePart, ErrorCode>()
  #usageOutcome: ErrorCode | 'ok' | undefined
  #key: Buffer

  /** `key`: what pseudonyms are made with; several processes that have the same write the same. */
  constructor(level: LogLevel, destination: DestinationStream, key: Buffer = randomBytes(32)) {
    this.#key = key
    this.#pino = pino(
      {
        level,
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
      },
      destination,
    )
  }

  /** From the next line on. */
  set level(level: LogLevel) {
    this.#pino.level = level
  }

  info(event: string, fields: Record<string, string | number | boolean> = {}): void {
    this.#pino.info(fields, event)
  }

  warn(event: string, fields: Record<string, string | number | boolean> = {}): void {
    this.#pino.warn(fields, event)
  }

  #pseudonym(identity: Identity | undefined): string | undefined {
    if (identity === undefined) return undefined
    const hash = createHmac('sha256', this.#key).update(keyOf(identity)).digest('hex')
    return hash.slice(0, PSEUDONYM_CHARS)
  }

  #refusal(event: string, { mode, code, reference, identity, rule, reason }: Refusal): void {
    const fields = { mode, code, reference, identity: this.#pseudonym(identity), rule, reason }
    this.#pino[ERROR_ANSWERS[code].level](fields, event)
  }

  #reloaded(fields: { outcome: ErrorCode | 'ok'; part?: string }): void {
    if (fields.outcome === 'ok') this.#pino.info(fields, 'reloaded')
    else this.#pino.error(fields, 'not reloaded: what was read before goes on')
  }

  /** Said at each write to the store, and written down when it changes. */
  #usageStore(outcome: ErrorCode | 'ok' | undefined): void {
    const before = this.#usageOutcome
    this.#usageOutcome = outcome
    if (outcome === before || outcome === undefined) return
    if (outcome === 'ok') return this.#pino.info('usage is kept')
    this.#pino[ERROR_ANSWERS[outcome].level]({ code: outcome }, 'usage is not kept; it is counted in memory')
  }

  /** The part of the observer that writes. */
  readonly observer: Observer = {
    connectionOpened: () => {},
    connectionClosed: () => {},
    sessionOpened: () => this.#pino.info('tunnel session opened'),
    sessionClosed: (code) => this.#pino.info({ code }, 'tunnel session closed'),
    refused: (refusal) => this.#refusal('refused', refusal),
    wouldRefuse: (refusal) => this.#refusal('would refuse', refusal),
    handshaken: () => {},
    dialled: () => {},
    streamOpened: () => {},
    streamClosed: ({ mode, identity, outcome, durationMs }) => {
      // A pseudonym costs more than the rest of a stream's end.
      if (!this.#pino.isLevelEnabled('debug')) return
      const seconds = Math.round(durationMs / 1000)
      this.#pino.debug({ mode, identity: this.#pseudonym(identity), outcome, seconds }, 'stream closed')
    },
    relayed: () => {},
    shaped: () => {},
    datagramDropped: () => {},
    streamRead: () => {},
    tunnelState: (state, code) => {
      if (state === 'up') this.#pino.info('tunnel up')
      else if (code !== undefined) this.#pino.warn({ code, state }, 'tunnel down')
    },
    reloaded: (outcome) => this.#reloaded({ outcome }),
    filesReloaded: (part, outcome) => this.#reloaded({ outcome, part }),
    certificateEnds: () => {},
    certificateNotice: ({ part, daysLeft, ended }) => {
      if (!ended) return this.#pino.warn({ part, daysLeft }, 'ends soon: renew it')
      if (part !== 'revocation-list') return this.#pino.error({ part }, 'has ended')
      this.#pino.error(
        { part },
        'nobody new is let in: the list is past due or cannot be read; sightline pki crl',
      )
    },
    sharedState: (up) => {
      if (up === true) this.#pino.info('shared state up')
    },
    sharedStateFailed: (part, code) => {
      // Tried again every second or two, for as long as it is away.
      if (this.#sharedSaid.get(part) === code) return
      this.#sharedSaid.set(part, code)
      this.#pino[ERROR_ANSWERS[code].level]({ part, code }, 'shared state')
    },
    sharedStateSynced: () => this.#sharedSaid.clear(),
    usageStore: (outcome) => this.#usageStore(outcome),
    usageLost: () => {},
    stateChanged: (state) => {
      if (state !== 'serving') this.#pino.info(state)
    },
  }
}

/** Joins observers into one: each call goes to all, in order. */
export function joinObservers(...observers: readonly Observer[]): Observer {
  const call =
    <K extends keyof Observer>(name: K) =>
    (...args: Parameters<Observer[K]>): void => {
      for (const observer of observers)
        (observer[name] as (...args: Parameters<Observer[K]>) => void)(...args)
    }
  return {
    connectionOpened: call('connectionOpened'),
    connectionClosed: call('connectionClosed'),
    sessionOpened: call('sessionOpened'),
    sessionClosed: call('sessionClosed'),
    refused: call('refused'),
    wouldRefuse: call('wouldRefuse'),
    handshaken: call('handshaken'),
    dialled: call('dialled'),
    streamOpened: call('streamOpened'),
    streamClosed: call('streamClosed'),
    relayed: call('relayed'),
    shaped: call('shaped'),
    datagramDropped: call('datagramDropped'),
    streamRead: call('streamRead'),
    tunnelState: call('tunnelState'),
    reloaded: call('reloaded'),
    filesReloaded: call('filesReloaded'),
    certificateEnds: call('certificateEnds'),
    certificateNotice: call('certificateNotice'),
    sharedState: call('sharedState'),
    sharedStateFailed: call('sharedStateFailed'),
    sharedStateSynced: call('sharedStateSynced'),
    usageStore: call('usageStore'),
    usageLost: call('usageLost'),
    stateChanged: call('stateChanged'),
  }
}
