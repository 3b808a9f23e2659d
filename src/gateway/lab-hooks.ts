// What the lab may hook into a gateway of its own. `serve`, `connect` and `up` set none of it.
import type { Outbound } from '../outbound/outbound.ts'

export interface LabHooks {
  /** NSS key log lines of the listeners. */
  readonly onServerKeylog?: (line: Buffer) => void
  /** NSS key log lines of the tunnel client. */
  readonly onClientKeylog?: (line: Buffer) => void
  /** Address that the tunnel client connects from. */
  readonly tunnelLocalAddress?: string
  /** A fault to be found: the tunnel without its TLS, on both ends. */
  readonly tunnelWithoutTls?: boolean
  /** A fault to be found: TLS 1.2 in the place of 1.3, on both ends. */
  readonly tunnelInTls12?: boolean
  /** Called with each outbound that is opened: where a fault may be put in. */
  readonly onOutbound?: (outbound: Outbound) => void
}
