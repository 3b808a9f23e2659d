// Limits that hold over several workers: whoever knows of all of them is asked for each place, and told when it is given
// back. Where there is one process nobody is asked, and everything is known at once.
import type { ErrorCode } from '../errors.ts'
import type { UsageStore } from '../state/usage-store.ts'
import type { SharedDelays } from './users-sign-in.ts'

/** Known at once, or once somebody has answered. */
export type Soon<T> = T | Promise<T>

/** What another worker's doings leave of an identity's bytes. */
export interface ByteShare {
  readonly key: string
  /** Since 1970, UTC. */
  readonly day: number
  /** Bytes of that day that moved in other workers. */
  readonly elsewhere: number
  /** Of the bytes a second: what may move here, 0 to 1. */
  readonly share: number
}

/** Bytes of an identity here. */
export interface ByteUse {
  readonly key: string
  readonly day: number
  /** On that day. */
  readonly used: number
  /** Since it was last asked. */
  readonly moved: number
}

/** Who counts bytes in this process. */
export interface ByteCounter {
  /** Of whom something moved since this was last called. */
  fresh(): readonly ByteUse[]
  learn(share: ByteShare): void
}

export interface Places {
  /** A place among all connections and, where the source is known yet, among those of that source: both or none. */
  enter(source: string | undefined): Promise<ErrorCode | undefined>
  /** A place among those of a source, for a connection that has one among all. */
  enterFrom(source: string): Promise<ErrorCode | undefined>
  /** Gives back what `enterFrom` took, alone. */
  leaveFrom(source: string): void
  /** `source` only where a place was taken for it. */
  leave(source: string | undefined): void
  enterSession(key: string): Promise<boolean>
  leaveSession(key: string): void
  /** Undefined where there is no place. */
  enterIdentity(key: string): Promise<ByteShare | undefined>
  leaveIdentity(key: string): void
  enterAssociation(): Promise<boolean>
  leaveAssociation(): void
  readonly signIns: SharedDelays
  /** Says who counts here. */
  countedBy(counter: ByteCounter): void
}

/** What one of several workers has of the others. */
export interface Among {
  /** Who counts for all of them. */
  readonly places: Places
  /** What their TLS tickets are sealed with. */
  readonly ticketSecret: Buffer
  /** Who writes down for all of them what identities moved. */
  readonly openUsage: () => UsageStore
}
