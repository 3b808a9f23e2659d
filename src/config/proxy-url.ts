// The address of an upstream proxy as a person writes it in a config file, and the credentials for it. Pure. Rule: no
// message repeats any part of the URL: it may hold a password.

export const PROXY_SCHEMES = {
  /** socks5 looks names up here; socks5h and socks4a hand them on. */
  socks: ['socks5', 'socks5h', 'socks4a'],
  http: ['http', 'https'],
} as const

export type ProxyType = keyof typeof PROXY_SCHEMES
export type ProxyScheme = (typeof PROXY_SCHEMES)[ProxyType][number]

export interface ProxyUrl {
  readonly scheme: ProxyScheme
  /** Without brackets. */
  readonly host: string
  readonly port: number
  /** As they are meant, not as they are written: percent-decoded. */
  readonly username: string | undefined
  readonly password: string | undefined
}

const EXAMPLES = { socks: 'socks5h://127.0.0.1:9050', http: 'http://proxy.example:3128' } as const
const DEFAULT_PORTS: Readonly<Record<ProxyScheme, number>> = {
  socks5: 1080,
  socks5h: 1080,
  socks4a: 1080,
  http: 80,
  https: 443,
}
const MAX_CREDENTIAL_BYTES = 255
// oxlint-disable-next-line no-control-regex -- what no credential may hold
const CONTROL = /[\u0000-\u001f\u007f]/

/** Reads `scheme://[user:password@]host[:port]`, or says what is wrong with it. */
export function readProxyUrl(text: string, type: ProxyType): ProxyUrl | { readonly problem: string } {
  const schemes: readonly ProxyScheme[] = PROXY_SCHEMES[type]
  const problem = `not the address of such a proxy; write it as ${EXAMPLES[type]} (${schemes.join(', ')})`
  if (!URL.canParse(text)) return { problem }
  const url = new URL(text)
  const scheme = schemes.find((known) => url.protocol === `${known}:`)
  if (scheme === undefined || url.hostname === '') return { problem }
  if ((url.pathname !== '' && url.pathname !== '/') || url.search !== '' || url.hash !== '') {
    return {
      problem:
        'a proxy has no path; a password with / ? # or @ has them as %2F %3F %23 %40, or a passwordFile',
    }
  }
  if (url.port === '0') return { problem: 'port 0 is none to connect to' }
  try {
    return {
      scheme,
      host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: url.port === '' ? DEFAULT_PORTS[scheme] : Number(url.port),
      username: url.username === '' ? undefined : decodeURIComponent(url.username),
      password: url.password === '' ? undefined : decodeURIComponent(url.password),
    }
  } catch {
    return { problem: 'a % in the user name or password is written %25' }
  }
}

export interface UpstreamSettings {
  readonly url: string
  readonly username?: string | undefined
  readonly passwordFile?: string | undefined
  readonly authority?: string | undefined
}

/** What is wrong between the settings of one upstream, in words; undefined where nothing is. */
export function upstreamProblem(
  settings: UpstreamSettings,
  type: ProxyType,
): { readonly key: keyof UpstreamSettings; readonly message: string } | undefined {
  const url = readProxyUrl(settings.url, type)
  if ('problem' in url) return undefined
  const { scheme } = url
  const { passwordFile } = settings
  const username = settings.username ?? url.username
  if (settings.username !== undefined && url.username !== undefined) {
    return { key: 'username', message: 'the url holds a user name too: give it in one place' }
  }
  if (passwordFile !== undefined && url.password !== undefined) {
    return { key: 'passwordFile', message: 'the url holds a password too: give it in one place' }
  }
  const hasPassword = passwordFile !== undefined || url.password !== undefined
  if (hasPassword && username === undefined) {
    return {
      key: passwordFile === undefined ? 'url' : 'passwordFile',
      message: 'a password needs a username beside it',
    }
  }
  if (scheme === 'socks4a' && hasPassword) {
    return {
      key: passwordFile === undefined ? 'url' : 'passwordFile',
      message: 'SOCKS4 has no passwords; use socks5h://',
    }
  }
  if (scheme.startsWith('socks5') && username !== undefined && !hasPassword) {
    return { key: 'username', message: 'a SOCKS5 user has a password: give passwordFile beside it' }
  }
  const wrong = credentialProblem(username, scheme) ?? credentialProblem(url.password, scheme)
  if (wrong !== undefined)
    return { key: settings.username === undefined ? 'url' : 'username', message: wrong }
  if (username?.includes(':') === true && type === 'http') {
    return {
      key: settings.username === undefined ? 'url' : 'username',
      message: 'a user name of HTTP has no colon',
    }
  }
  if (settings.authority !== undefined && scheme !== 'https') {
    return { key: 'authority', message: 'authority goes with a proxy that is reached by TLS: https://' }
  }
  return undefined
}

/** What no protocol can carry; the message repeats nothing of it. */
export function credentialProblem(text: string | undefined, scheme: ProxyScheme): string | undefined {
  if (text === undefined) return undefined
  if (CONTROL.test(text)) return 'it holds a control character'
  const isTooLong = scheme.startsWith('socks') && Buffer.byteLength(text) > MAX_CREDENTIAL_BYTES
  return isTooLong ? 'it is longer than the 255 bytes that SOCKS has for it' : undefined
}

/** A value as an error may show it: without what stands before an `@`. */
export function withoutUserinfo(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, '$1…@')
}
