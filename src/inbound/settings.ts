// What an HTTP listener says of itself: /proxy.pac and a page with settings, for the running configuration. Rules: it
// answers only to a Host that is an address, localhost or a name of this listener (a site that rebinds its name to this
// machine gets nothing), it names only listeners that lead the same way and that the asker can reach, and it holds
// nothing of users, files or rules.
import { createHash } from 'node:crypto'
import { normalizeHost, type Host } from '../policy/host.ts'
import { isLoopbackAddress } from '../policy/egress-upstream.ts'
import { authorityOf, PAC_MEDIA_TYPE, pacScript, type PacProxy } from '../protocol/http/pac.ts'
import { parseAuthority } from '../protocol/http/target.ts'
import type { Reached, SettingsFacts } from './settings-facts.ts'
import { PAGE_STYLE, settingsPage } from './settings-page.ts'

export interface SettingsAnswer {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const STYLE_HASH = createHash('sha256').update(PAGE_STYLE).digest('base64')
const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

/** Undefined for what is not answered. `path`: origin-form; `host`: the value of the Host field. */
export function answerSettings(
  asked: { readonly method: string; readonly path: string; readonly host: string | undefined },
  facts: () => SettingsFacts,
): SettingsAnswer | undefined {
  const { method, path } = asked
  if ((method !== 'GET' && method !== 'HEAD') || (path !== '/' && path !== '/proxy.pac')) return undefined
  const known = facts()
  const at = readHost(asked.host, known)
  if (at === undefined) return undefined
  const reached = reachedFrom(at, known)
  const isLocal = at.host === 'localhost' || isLoopbackAddress(at.host)
  const loopbackDirect = !(isLocal && known.servesLoopback && !known.toTunnel)
  const base = `${known.own.secure ? 'https' : 'http'}://${authorityOf(at.host, at.port)}`
  if (path === '/proxy.pac') {
    const body = pacScript({ proxies: pacProxies(reached, known.own.secure), loopbackDirect })
    return { headers: headersOf(PAC_MEDIA_TYPE, body), body }
  }
  const body = settingsPage({ reached, base, isLocal, toTunnel: known.toTunnel, loopbackDirect })
  return { headers: headersOf('text/html; charset=utf-8', body), body }
}

function headersOf(type: string, body: string): Record<string, string> {
  return {
    'content-type': type,
    'content-length': String(Buffer.byteLength(body)),
    'cache-control': 'no-store',
    'content-security-policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  }
}

function readHost(
  value: string | undefined,
  { own, ownsName }: SettingsFacts,
): { readonly host: string; readonly port: number } | undefined {
  let host: Host
  let port: number
  try {
    const read = parseAuthority(value ?? '', own.secure ? 443 : 80)
    host = normalizeHost(read.host)
    port = read.port
  } catch {
    return undefined
  }
  if (host.kind === 'address') return { host: host.address, port }
  return host.name === 'localhost' || ownsName(host.name) ? { host: host.name, port } : undefined
}

/** The listener that was asked first, at the very address and port that were asked for (they may be mapped). */
function reachedFrom(at: { host: string; port: number }, { own, listeners }: SettingsFacts): Reached[] {
  const isLocal = at.host === 'localhost' || isLoopbackAddress(at.host)
  const reached: Reached[] = [{ ...own, ...at }]
  for (const listener of listeners) {
    if (listener.address === own.address && listener.port === own.port) continue
    const { address } = listener
    const isWildcard = WILDCARDS.has(address) && !(address === '0.0.0.0' && at.host.includes(':'))
    if (isWildcard || address === at.host) reached.push({ ...listener, host: at.host })
    else if (isLocal && isLoopbackAddress(address)) reached.push({ ...listener, host: address })
  }
  return reached
}

/** Asked through TLS, only TLS is named: whoever blocks it must not get the same traffic in clear. */
function pacProxies(reached: readonly Reached[], onlySecure: boolean): PacProxy[] {
  const usable = onlySecure ? reached.filter(({ secure }) => secure) : reached
  const of = (kind: PacProxy['kind'], those: readonly Reached[]): PacProxy[] =>
    those.map(({ host, port }) => ({ kind, host, port }))
  const plain = usable.filter(({ type, secure }) => type !== 'socks' && !secure)
  // No browser sends a password by SOCKS.
  const socks = usable.filter(({ type, needsPassword }) => type !== 'http' && !needsPassword)
  const secure = usable.filter((one) => one.secure)
  return [...of('PROXY', plain), ...of('SOCKS5', socks), ...of('HTTPS', secure)]
}
