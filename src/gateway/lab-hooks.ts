// What the lab may hook into a gateway of its own. `serve`, `connect` and `up` set none of it.

export interface LabHooks {
  /** NSS key log lines of the listeners. */
  readonly onServerKeylog?: (line: Buffer) => void
  /** NSS key log lines of the tunnel client. */
  readonly onClientKeylog?: (line: Buffer) => void
  /** Address that the tunnel client connects from. */
  readonly tunnelLocalAddress?: string
  /** A fault to be found: the tunnel without its TLS, on both ends. */
  readonly tunnelWithoutTls?: boolean
}
