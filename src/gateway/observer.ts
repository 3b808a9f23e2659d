// What the pipeline tells whoever counts and logs. Telemetry implements it. Rule: nothing in these calls is an
// address, a destination or a credential; an identity is passed only to be turned into a pseudonym.
import type { ErrorCode } from '../errors.ts'
import type { CertificateEnd, EndNotice } from './certificate-ends.ts'
import type { WatchedPart } from './file-watch.ts'
import type { DatagramDrop } from '../protocol/association.ts'
import type { StreamFacts } from '../policy/exposure.ts'
import type { Identity, Mode } from '../protocol/request.ts'
import type { StateObserver } from '../state/shared-state.ts'
import type { UsageObserver } from '../state/usage-store.ts'

export type Direction = 'up' | 'down'
/** To the operator: 'yes' (HTTP, first flights), 'no' (TLS and SSH after their first flight), 'unknown'. */
export type Readable = 'yes' | 'no' | 'unknown'

/** `leaving` still serves, and wants nothing new; `draining` accepts nothing new. */
export type GatewayState = 'serving' | 'leaving' | 'draining'

export interface Refusal {
  readonly mode: Mode
  readonly code: ErrorCode
  /** The random reference that the client was given too. */
  readonly reference: string
  readonly identity?: Identity | undefined
  /** For `destination-denied`: which rule, and why. Never what it was held against. */
  readonly rule?: string | undefined
  readonly reason?: string | undefined
}

export interface StreamEnd {
  readonly mode: Mode
  readonly identity: Identity | undefined
  /** 'ok' where both directions ended in order. */
  readonly outcome: ErrorCode | 'ok'
  readonly durationMs: number
}

export interface Observer extends StateObserver, UsageObserver {
  connectionOpened(mode: Mode): void
  connectionClosed(mode: Mode): void
  sessionOpened(identity: Identity | undefined): void
  sessionClosed(code: ErrorCode): void
  refused(refusal: Refusal): void
  /** `egress.mode: report`: what `enforce` would have refused. */
  wouldRefuse(refusal: Refusal): void
  /** From an accepted connection to its first request, or to a tunnel that stands; TLS included. */
  handshaken(mode: Mode, durationMs: number): void
  /** What was asked for may be reached, and is connected. */
  dialled(mode: Mode, durationMs: number): void
  streamOpened(mode: Mode, identity: Identity | undefined): void
  streamClosed(end: StreamEnd): void
  relayed(mode: Mode, direction: Direction, readable: Readable, bytes: number): void
  /** A relay does not read this direction for a while: its identity sends more than its share. */
  shaped(mode: Mode, direction: Direction, restMs: number): void
  /** A datagram of an association went nowhere. */
  datagramDropped(mode: Mode, reason: DatagramDrop): void
  /** Once for each stream, when its first bytes have been looked at. Not called with `exposure: off`. */
  streamRead(facts: StreamFacts): void
  /** State of a tunnel that this process keeps to a gateway. */
  tunnelState(state: 'connecting' | 'up' | 'down' | 'refused', code: ErrorCode | undefined): void
  /** The whole config was. */
  reloaded(code: ErrorCode | 'ok'): void
  /** Files of a part had changed, and were read again. */
  filesReloaded(part: WatchedPart, code: ErrorCode | 'ok'): void
  /** When what is in force ends: all of it, each time. */
  certificateEnds(ends: readonly CertificateEnd[]): void
  /** It is time to see to it. Said at a low rate. */
  certificateNotice(notice: EndNotice): void
  stateChanged(state: GatewayState): void
}
