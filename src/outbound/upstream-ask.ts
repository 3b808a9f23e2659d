// What is said between an upstream outbound and the protocols that it can ask in. Pure types.
import type { ProxyScheme } from '../config/proxy-url.ts'
import type { Destination } from '../protocol/request.ts'

export interface UpstreamServer {
  readonly scheme: ProxyScheme
  readonly host: string
  readonly port: number
  /** A secret: in no error, log or metric. */
  readonly credentials?: { readonly name: string; readonly password: string } | undefined
  /** PEM, for https: what the proxy's certificate must come from. */
  readonly authority?: string | undefined
}

/** One question to an upstream whose connection stands. */
export interface UpstreamAsk {
  readonly server: UpstreamServer
  readonly destination: Destination
  readonly withinMs: number
  /** Called when the upstream has been told the destination: from there on it is the destination that is waited for. */
  readonly asked: () => void
}
