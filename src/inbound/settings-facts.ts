// What an HTTP listener knows of itself and of those beside it, as far as a client may know it too. Pure types.
import type { InboundConfig } from '../config/schema.ts'

/** One listener as a client may know it. */
export interface ListenerFacts {
  readonly type: Exclude<InboundConfig['type'], 'tunnel'>
  readonly secure: boolean
  readonly needsPassword: boolean
  readonly needsCertificate: boolean
  /** Where it is bound. */
  readonly address: string
  readonly port: number
}

export interface SettingsFacts {
  /** The listener that was asked. */
  readonly own: ListenerFacts
  /** Those with the same outbound, `own` among them. */
  readonly listeners: readonly ListenerFacts[]
  /** What comes in is handed to a gateway through a tunnel. */
  readonly toTunnel: boolean
  /** The egress rules allow this machine's loopback. */
  readonly servesLoopback: boolean
  /** True for a DNS name that is this listener's own. */
  readonly ownsName: (name: string) => boolean
}

/** A listener and the address by which the asker reaches it. */
export interface Reached extends ListenerFacts {
  readonly host: string
}
