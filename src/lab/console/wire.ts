// What the console's page and its server say to each other. Types alone, so that both sides are built against the same
// shapes. Rule: bytes travel as base64, times in milliseconds from the start of a replay.
import type { Information, Observer } from '../../policy/exposure.ts'
import type { LabMode, LabRun, Scheme, Variant } from '../model.ts'

export type Pane = 'left' | 'right'

export interface Choice {
  readonly mode: LabMode
  readonly variant: Variant
}

/** What a person asks for: the same request through two modes. */
export interface Order {
  readonly left: Choice
  readonly right: Choice
  readonly scheme: Scheme
  /** First label of the site's name: `HOST.sightline.test`. */
  readonly host: string
  /** Without the slash before it. */
  readonly path: string
  readonly message: string
  readonly cookie: string
  readonly password: string
}

export type OrderField = Exclude<keyof Order, 'left' | 'right'> | 'modes'
/** What is wrong with one field of an order; the page says it in its own language. */
export interface OrderProblem {
  readonly field: OrderField
  readonly problem: 'too-short' | 'too-long' | 'characters' | 'unknown' | 'same-twice'
}

/** A stretch of a piece that can be said something about. */
export interface Mark {
  readonly offset: number
  readonly length: number
  /** sealed: encrypted. field: a dissector read it. word: one of the words that were planted or typed. */
  readonly kind: 'sealed' | 'field' | 'word'
  /** Zeek's name of the field, or which word. */
  readonly name: string
  /** How the word stands there; '' for the others. */
  readonly encoding: string
}

/** Bytes as an observer has them: a frame as it passed, or what its own keys opened. */
export interface Piece {
  /** A piece with the id of an earlier one takes its place. */
  readonly id: string
  readonly capture: string
  readonly direction: 'up' | 'down'
  /** `tcp` is as it passed; else what was taken off, from the outside in. */
  readonly layer: string
  /** Number in the capture; null for what was opened. */
  readonly frame: number | null
  readonly atMs: number
  readonly bytes: string
  /** Bytes of headers before these in the capture's packet; 0 for what was opened. */
  readonly before: number
  /** In bytes; `bytes` may hold fewer. */
  readonly length: number
  readonly marks: readonly Mark[]
}

/** Speed of one mode through the gateway that runs here. */
export interface Cost extends Choice {
  /** Median time of a small request on a new connection. */
  readonly latencyMs: number
  /** Median, of 10^6 bytes. */
  readonly megabytesPerSecond: number
  /** What the access network does not read of a visit to an http site; none for no proxy. */
  readonly hides: readonly Information[]
  /** Lowest and highest, where they were kept. */
  readonly ranges?: {
    readonly latencyMs: readonly [low: number, high: number]
    readonly megabytesPerSecond: readonly [low: number, high: number]
  }
}

/** What a run of the bench measured, and on what machine. */
export interface Measured {
  /** ISO 8601. */
  readonly startedAt: string
  readonly machine: {
    readonly cpus: number
    readonly model: string
    readonly node: string
    readonly sightline: string
    /** Of other work, over a minute. */
    readonly loadBefore: number
  }
  readonly costs: readonly Cost[]
}

/** A sample of the gateway's metrics that the page shows: closed labels and numbers alone. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface GatewayFacts {
  readonly ready: boolean
  readonly version: string
  readonly uptimeSeconds: number
  readonly memoryBytes: number
  readonly connections: readonly Sample[]
  readonly sessions: number
  readonly tunnelUp: boolean
  readonly streams: readonly Sample[]
  readonly streamsEnded: readonly Sample[]
  readonly refusals: readonly Sample[]
  readonly bytes: readonly Sample[]
  readonly exposed: readonly Sample[]
  readonly certificates: ReadonlyArray<{ readonly role: string; readonly daysLeft: number | null }>
}

export interface Welcome {
  readonly version: string
  readonly choices: readonly Choice[]
  readonly addresses: ReadonlyArray<{ readonly name: string; readonly address: string }>
  readonly tries: ReadonlyArray<{ readonly what: string; readonly command: string }>
  /** What the bench left; null where it has not been run here. */
  readonly bench: Measured | null
  /** A gateway runs beside the console: its page and the cost have something to show. */
  readonly gateway: boolean
  /** Where the gateway's page of settings for clients is; '' where there is none. */
  readonly settings: string
}

export type ConsoleEvent =
  | { readonly type: 'welcome'; readonly welcome: Welcome }
  | { readonly type: 'replay'; readonly replay: number; readonly order: Order }
  | {
      readonly type: 'pieces'
      readonly replay: number
      readonly pane: Pane
      readonly observer: Observer
      readonly pieces: readonly Piece[]
    }
  | {
      readonly type: 'run'
      readonly replay: number
      readonly pane: Pane
      readonly run: LabRun
      /** Names of the capture files that can be had. */
      readonly captures: readonly string[]
    }
  | { readonly type: 'done'; readonly replay: number; readonly tookMs: number }
  | { readonly type: 'failed'; readonly replay: number; readonly detail: string; readonly hint: string }
  | { readonly type: 'gateway'; readonly gateway: GatewayFacts }
