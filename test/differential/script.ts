// The language of the tables: what a scripted client and its origin do, and what is looked at, as data. Rule: a
// script names no program and no port of its own; `$ORIGIN`, `$ORIGIN6`, `$PORT` and `$CLOSED` stand for what each
// run has.

/** Bytes to send: text as it stands, or hex pairs with "quoted" text, `61*255` and port names, apart by blanks. */
export type Message = { readonly text: string } | { readonly hex: string }

export type Step =
  | { readonly kind: 'send' | 'drip' | 'origin-send' | 'origin-drip'; readonly what: Message }
  | { readonly kind: 'fin' | 'reset' | 'origin-fin' | 'origin-reset' | 'origin-accept' }
  | { readonly kind: 'echo' | 'ending' | 'origin-ending' | 'dialled' }
  | { readonly kind: 'reply5' | 'reply4'; readonly bound: boolean }
  | { readonly kind: 'read'; readonly field: string; readonly count: number }
  | { readonly kind: 'await' | 'origin-await'; readonly field: string; readonly text: string }
  | { readonly kind: 'answer'; readonly to: string; readonly shows: readonly string[] }
  | { readonly kind: 'request'; readonly shows: readonly string[] }

/** The client sends hex bytes at once. */
export const bytes = (hex: string): Step => ({ kind: 'send', what: { hex } })
/** The client sends hex bytes, each in a write of its own. */
export const dripBytes = (hex: string): Step => ({ kind: 'drip', what: { hex } })
export const send = (text: string): Step => ({ kind: 'send', what: { text } })
export const drip = (text: string): Step => ({ kind: 'drip', what: { text } })
export const originSend = (text: string): Step => ({ kind: 'origin-send', what: { text } })
export const originDrip = (text: string): Step => ({ kind: 'origin-drip', what: { text } })
export const fin: Step = { kind: 'fin' }
export const reset: Step = { kind: 'reset' }
export const originFin: Step = { kind: 'origin-fin' }
export const originReset: Step = { kind: 'origin-reset' }
/** Waits until the origin has a connection; looks at nothing. */
export const originAccept: Step = { kind: 'origin-accept' }

/** Reads `count` bytes at the client: `field` is their hex. */
export const read = (field: string, count: number): Step => ({ kind: 'read', field, count })
/** Reads a SOCKS5 reply: `reply` is VER REP RSV. */
export const reply5: Step = { kind: 'reply5', bound: false }
/** Reads a SOCKS4 reply: `reply` is VN CD. */
export const reply4: Step = { kind: 'reply4', bound: false }
/** The same, and `bound` is the address in a reply that grants, as the origin knows it. */
export const boundReply5: Step = { kind: 'reply5', bound: true }
export const boundReply4: Step = { kind: 'reply4', bound: true }
/** Sends `ping` through to the origin, and `pong` back: `echo`. */
export const echo: Step = { kind: 'echo' }
/** How the proxy ended its direction towards the client: end, reset, or open. */
export const ending: Step = { kind: 'ending' }
/** How it ended its direction towards the origin. */
export const originEnding: Step = { kind: 'origin-ending' }
/** How many connections the origin has got: `dialled`. */
export const dialled: Step = { kind: 'dialled' }
/** Waits at the client for `text`, and takes all up to its end. */
export const awaits = (field: string, text: string): Step => ({ kind: 'await', field, text })
/** Waits at the origin for `text`, and takes all up to its end. */
export const originAwaits = (field: string, text: string): Step => ({ kind: 'origin-await', field, text })

/**
 * Reads one final HTTP answer: `status`, and what `shows` names: `body`, `framing`, `version`, `interim`, `trailers`,
 * a field's values (`host`), or whether it is there (`via?`).
 */
export const answer = (...shows: string[]): Step => ({ kind: 'answer', to: 'GET', shows })
/** The same for the answer to HEAD, which has no body whatever its fields say, or to CONNECT. */
export const answerTo = (method: 'HEAD' | 'CONNECT', ...shows: string[]): Step => ({
  kind: 'answer',
  to: method,
  shows,
})
/** Reads one whole HTTP request at the origin: `request` is its first line; `shows` as above. */
export const request = (...shows: string[]): Step => ({ kind: 'request', shows })

/** Lines of an HTTP head with the empty line after them. */
export const head = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`

/** What was looked at, by field. `silent`: nothing came; `end`, `reset`: the connection ended instead. */
export type Outcome = Readonly<Record<string, string>>

export interface Case {
  readonly name: string
  readonly script: readonly Step[]
  /** What Sightline's plain listener does: exactly these fields. */
  readonly outcome: Outcome
  /** Where another program or another listener does otherwise: by its name and field, the key in docs/conformance.md. */
  readonly differs?: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** Runs against the programs that ask for a user and password. */
  readonly auth?: true
  /** Programs that this case is run against, where not all of the family can be. */
  readonly peers?: readonly PeerName[]
}

export type PeerName = 'dante' | 'microsocks' | 'squid' | 'tinyproxy'
