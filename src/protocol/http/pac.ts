// Proxy auto-configuration: the script that a browser asks where to send each request. Pure. Rules: it looks no name up
// (that would tell the client's own resolver), it never falls back to DIRECT (a proxy that is down must not put traffic
// beside it unnoticed), and it is written in the JavaScript of old evaluators.

export interface PacProxy {
  readonly kind: 'PROXY' | 'HTTPS' | 'SOCKS5'
  /** A name or an address, without brackets. */
  readonly host: string
  readonly port: number
}

export interface PacOptions {
  /** In the order to be tried. */
  readonly proxies: readonly PacProxy[]
  /** True where the client's own loopback is not reached through the proxies. */
  readonly loopbackDirect: boolean
}

export const PAC_MEDIA_TYPE = 'application/x-ns-proxy-autoconfig'

const LOOPBACK = String.raw`  var name = host.toLowerCase();
  if (name == "localhost" || name == "localhost." || /\.localhost\.?$/.test(name) ||
      /^127\.\d+\.\d+\.\d+$/.test(name) || name == "::1" || name == "[::1]") return "DIRECT";
`

/** The text of proxy.pac. Hosts must be names or addresses: nothing is quoted here. */
export function pacScript({ proxies, loopbackDirect }: PacOptions): string {
  const line = proxies.map(({ kind, host, port }) => `${kind} ${authorityOf(host, port)}`).join('; ')
  return (
    '// Everything goes to the proxy; where it does not answer, nothing goes past it.\n' +
    `function FindProxyForURL(url, host) {\n${loopbackDirect ? LOOPBACK : ''}  return "${line}";\n}\n`
  )
}

/** `host:port`, an IPv6 address in brackets. */
export function authorityOf(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
