// One place for a connection to a gateway: connects, waits, connects again. Rules: while the connection that it has does
// not answer it looks for another, and keeps whichever is heard first; from a gateway that is not the preferred one it
// goes back to it when that has been there for a while; a refusal that no waiting mends is waited out for a new
// certificate.
import { GatewayError } from '../errors.ts'
import { TunnelConnection } from '../transport/tunnel-connection.ts'
import { BackOff } from '../policy/back-off.ts'
import type { TunnelGateway } from './tunnel-carrier.ts'
import {
  dialTunnel,
  type TunnelAccess,
  type TunnelDialOptions,
  type TunnelFacts,
  type TunnelLink,
} from './tunnel-dial.ts'
import { isFinal, raceGateways, type Race, type RaceOutcome } from './tunnel-race.ts'

/** A request may have another attempt begun so soon after the last one. */
const ASKED_AFTER_MS = 1_000
/** How long a gateway that is preferred is left in peace after it was lost. */
const FIRST_RETURN_MS = 60_000
const LONGEST_RETURN_MS = 960_000
/** A return that did not last so long makes the next one wait longer. */
const LASTED_MS = 300_000

export interface PlaceOptions extends TunnelDialOptions {
  /** In order of preference; one at least. */
  readonly gateways: readonly TunnelGateway[]
  readonly maxStreams: number
  /** 0 to 1; for the jitter. */
  random(): number
}

export interface PlaceEvents {
  /** What this place has, or why it has nothing, is another than before. */
  changed(): void
  /** This connection takes no more streams; those that are open go on. It is the callee's to end. */
  left(connection: TunnelConnection): void
  /** This connection has ended, one that was left too. */
  ended(connection: TunnelConnection): void
}

/** A connection that new streams go to. */
export interface Live {
  readonly connection: TunnelConnection
  readonly gateway: TunnelGateway
  readonly facts: TunnelFacts
  readonly index: number
  readonly sinceMs: number
  /** The one that was shown; a reload may have brought another since. */
  readonly certificate: string | undefined
}

type LinkRace = Race<TunnelLink>

export class Place {
  live: Live | undefined
  /** Why there is no connection; undefined before the first attempt is decided, and while there is one that answers. */
  failure: GatewayError | undefined
  /** Nothing but a new certificate mends it. */
  refused = false
  #options: PlaceOptions
  #events: PlaceEvents
  #backOff: BackOff
  #race: LinkRace | undefined
  #triedAtMs = 0
  #retry: NodeJS.Timeout | undefined
  #home: NodeJS.Timeout | undefined
  #returnMs = FIRST_RETURN_MS
  #destroyed = false

  constructor(options: PlaceOptions, events: PlaceEvents) {
    this.#options = options
    this.#events = events
    this.#backOff = new BackOff(() => options.random())
  }

  /** Resolves when the attempt is decided, whatever came of it. */
  async connect(): Promise<void> {
    if (this.#destroyed || this.#race !== undefined) return
    this.#forgetRetry()
    this.#triedAtMs = performance.now()
    const race = this.#reach(this.#options.gateways.length)
    this.#race = race
    this.#events.changed()
    const outcome = await race.outcome
    if (this.#race !== race) return discardOutcome(outcome)
    this.#race = undefined
    if ('link' in outcome) this.#adopt(outcome.link, outcome.index)
    else this.#failed(outcome.error, outcome.refused)
  }

  /** Somebody waits for a connection: the next attempt need not. */
  asked(): void {
    if (this.#retry === undefined || performance.now() - this.#triedAtMs < ASKED_AFTER_MS) return
    void this.connect()
  }

  reload(access: TunnelAccess): void {
    this.#options = { ...this.#options, ...access }
    const isTrying = this.#cancel()
    if (this.live !== undefined && !isTrying) return
    this.#backOff.reset()
    void this.connect()
  }

  /** Takes no more part; gives the connection that it had, whose streams go on. */
  retire(): TunnelConnection | undefined {
    const connection = this.live?.connection
    this.live = undefined
    this.destroy()
    return connection
  }

  destroy(): void {
    this.#destroyed = true
    this.#cancel()
    clearTimeout(this.#home)
    this.live?.connection.destroy('shutting-down')
  }

  /** Calls off what is under way or planned; true where there was something. */
  #cancel(): boolean {
    const race = this.#race
    this.#race = undefined
    race?.cancel()
    const isWaiting = this.#retry !== undefined
    this.#forgetRetry()
    return race !== undefined || isWaiting
  }

  #forgetRetry(): void {
    clearTimeout(this.#retry)
    this.#retry = undefined
  }

  /** Tries the first `count` gateways. */
  #reach(count: number): LinkRace {
    return raceGateways(
      this.#options.gateways.slice(0, count),
      (gateway, signal) => dialTunnel(gateway, this.#options, signal),
      discard,
    )
  }

  #adopt(link: TunnelLink, index: number): void {
    const gateway = this.#options.gateways[index]
    if (this.#destroyed || gateway === undefined) return discard(link)
    const before = this.live
    const connection: TunnelConnection = new TunnelConnection(
      link.webSocket,
      link.socket,
      { role: 'client', maxStreams: this.#options.maxStreams },
      {
        goaway: (code) => this.#lost(connection, new GatewayError(code, { side: 'upstream' })),
        silent: (isSilent) => this.#silent(connection, isSilent),
        closed: (error) => {
          this.#events.ended(connection)
          this.#lost(connection, error)
        },
      },
    )
    const { certificate } = this.#options.credentials
    this.live = { connection, gateway, facts: link.facts, index, sinceMs: performance.now(), certificate }
    this.failure = undefined
    this.refused = false
    this.#backOff.reset()
    if (before !== undefined) this.#events.left(before.connection)
    clearTimeout(this.#home)
    if (index > 0) this.#planReturn()
    this.#events.changed()
  }

  /** A connection takes no more streams (GOAWAY) or is gone: another one takes its place. */
  #lost(connection: TunnelConnection, error: GatewayError): void {
    const { live } = this
    if (live?.connection !== connection) return
    this.live = undefined
    clearTimeout(this.#home)
    if (!connection.closed) this.#events.left(connection)
    if (live.index === 0) {
      const lasted = performance.now() - live.sinceMs >= LASTED_MS
      this.#returnMs = lasted ? FIRST_RETURN_MS : Math.min(LONGEST_RETURN_MS, this.#returnMs * 2)
    }
    const isRenewed = live.certificate !== this.#options.credentials.certificate
    const isRefused = isFinal(error) && this.#options.gateways.length === 1 && !isRenewed
    if (this.#race === undefined && this.#retry === undefined) {
      this.#triedAtMs = performance.now()
      return this.#failed(error, isRefused)
    }
    this.failure = error
    this.#events.changed()
  }

  /** Looks for another connection while this one does not answer; the first that does is kept. */
  #silent(connection: TunnelConnection, isSilent: boolean): void {
    if (this.live?.connection !== connection) return
    if (isSilent) {
      this.failure = new GatewayError('tunnel-dead', { side: 'upstream' })
      void this.connect()
    } else {
      this.failure = undefined
      this.#cancel()
    }
    this.#events.changed()
  }

  #failed(error: GatewayError, refused: boolean): void {
    if (this.#destroyed) return
    this.failure = error
    this.refused = refused
    if (!refused) {
      const nowMs = performance.now()
      // From the beginning of the attempt: one that took its two seconds has waited already.
      const waitMs = Math.max(0, this.#triedAtMs + this.#backOff.next(nowMs) - nowMs)
      this.#retry = setTimeout(() => {
        this.#retry = undefined
        void this.connect()
      }, waitMs)
    }
    this.#events.changed()
  }

  /** Looks after a while whether a gateway that is preferred is back, and goes over to it. */
  #planReturn(): void {
    const waitMs = this.#returnMs * (0.75 + this.#options.random() / 2)
    this.#home = setTimeout(() => void this.#return(), waitMs).unref()
  }

  async #return(): Promise<void> {
    const { live } = this
    if (live === undefined) return
    const outcome = await this.#reach(live.index).outcome
    if (this.live !== live) return discardOutcome(outcome)
    if ('link' in outcome) this.#adopt(outcome.link, outcome.index)
    else this.#planReturn()
  }
}

function discard({ webSocket }: TunnelLink): void {
  webSocket.on('error', () => {})
  webSocket.terminate()
}

function discardOutcome(outcome: RaceOutcome<TunnelLink>): void {
  if ('link' in outcome) discard(outcome.link)
}
