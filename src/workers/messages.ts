// What the primary and its workers say to each other. Rules: what is called is answered once; what is asked of the head count goes
// in batches, a turn of the event loop in one message; and all of it stays between processes of one program.
import type { Config } from '../config/schema.ts'
import { GatewayError, toGatewayError, type ErrorCode } from '../errors.ts'
import type { ByteShare, ByteUse } from '../gateway/places.ts'
import type { BoundAddress, Mode } from '../protocol/request.ts'
import type { DelaySteps } from '../policy/failure-delay.ts'
import type { UseOfDay } from '../state/usage-store.ts'
import type { MetricSamples } from './merge.ts'

/** Of one inbound of a worker. */
export interface InboundAddress {
  readonly type: Config['inbounds'][number]['type']
  readonly mode: Mode
  readonly address: BoundAddress
}

/** What a worker needs besides its config. */
export interface WorkerSetting {
  readonly config: Config
  /** From 0; the same again for the one that is started in its place. */
  readonly slot: number
  /** Base64. */
  readonly ticketSecret: string
  /** Base64. */
  readonly logKey: string
  /** Of this program, though not of an inbound: never to be reached through it. */
  readonly otherListeners: readonly BoundAddress[]
}

/** What the primary calls, with what it is told. */
export interface Calls {
  start: [setting: WorkerSetting, answer: readonly InboundAddress[]]
  prepare: [next: Pick<WorkerSetting, 'config' | 'otherListeners'>, answer: null]
  commit: [nothing: null, answer: readonly InboundAddress[]]
  abandon: [nothing: null, answer: null]
  drain: [times: { readonly timeoutMs: number; readonly delayMs: number }, answer: boolean]
  destroy: [nothing: null, answer: null]
  metrics: [nothing: null, answer: readonly MetricSamples[]]
}
export type CallName = keyof Calls

/** What the head count is asked. */
export type Question =
  | readonly ['enter', source: string | null]
  | readonly ['enter-from', source: string]
  | readonly ['enter-session', key: string]
  | readonly ['enter-identity', key: string]
  | readonly ['enter-association']
  | readonly ['reserve', source: string, name: string, steps: DelaySteps]

/** What it is told. */
export type Notice =
  | readonly ['leave', source: string | null]
  | readonly ['leave-from', source: string]
  | readonly ['leave-session', key: string]
  | readonly ['leave-identity', key: string]
  | readonly ['leave-association']
  | readonly ['failed', source: string, name: string, steps: DelaySteps]
  | readonly ['succeeded', source: string, name: string]
  | readonly ['bytes', uses: readonly ByteUse[]]

export type ToWorker =
  | { readonly type: 'call'; readonly id: number; readonly name: CallName; readonly value: unknown }
  | { readonly type: 'answers'; readonly answers: ReadonlyArray<readonly [id: number, value: unknown]> }
  | { readonly type: 'shares'; readonly shares: readonly ByteShare[] }

export type ToPrimary =
  | { readonly type: 'reply'; readonly id: number; readonly value: unknown }
  | { readonly type: 'reply'; readonly id: number; readonly error: SentError }
  | {
      readonly type: 'asks'
      /** Id 0 wants no answer. */
      readonly asks: ReadonlyArray<readonly [id: number, ask: Question | Notice]>
    }
  | { readonly type: 'ready'; readonly ready: boolean }
  | { readonly type: 'draining' }
  | { readonly type: 'usage'; readonly uses: readonly UseOfDay[] }
  | {
      readonly type: 'seen'
      readonly identity: { readonly kind: 'user' | 'certificate'; readonly name: string }
    }

export interface SentError {
  readonly code: ErrorCode
  readonly detail: string
  readonly hint?: string | undefined
}

export function sendableError(thrown: unknown): SentError {
  const error = toGatewayError(thrown, 'self', 'internal-error')
  return { code: error.code, detail: error.message, hint: error.hint }
}

export function receivedError({ code, detail, hint }: SentError): GatewayError {
  return new GatewayError(code, { side: 'self', detail, ...(hint !== undefined && { hint }) })
}
