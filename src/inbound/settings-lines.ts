// What a person types, or a shell reads, so that a program uses a proxy: on the page of settings and in the terminal.
// Pure text. Rule: every line works as it stands, but for NAME and PASSWORD where the listener wants them.
import { authorityOf } from '../protocol/http/pac.ts'
import type { Reached } from './settings-facts.ts'

export function urlOf({ host, port, secure }: Reached, userinfo = ''): string {
  return `${secure ? 'https' : 'http'}://${userinfo}${authorityOf(host, port)}`
}

/** `socks`: a listener beside it, or the same, that speaks SOCKS. */
export function curlLines(own: Reached, socks: Reached | undefined): string[] {
  const user = (one: Reached): string => (one.needsPassword ? ' --proxy-user NAME' : '')
  const lines = [`curl --proxy ${urlOf(own)}${user(own)} https://example.org/`]
  if (socks !== undefined) {
    const proxy = `socks5h://${authorityOf(socks.host, socks.port)}`
    lines.push(`curl --proxy ${proxy}${user(socks)} https://example.org/`)
  }
  return lines
}

export function gitLine(own: Reached): string {
  return `git config --global http.proxy ${urlOf(own, own.needsPassword ? 'NAME@' : '')}`
}

/** With OpenBSD's nc. `way` is a listener without TLS. */
export function sshLine(way: Reached): string {
  const kind = way.type === 'socks' ? '5' : 'connect'
  const user = way.needsPassword && kind === 'connect' ? ' -P NAME' : ''
  const proxy = `nc -X ${kind} -x ${authorityOf(way.host, way.port)}${user} %h %p`
  return `ssh -o ProxyCommand='${proxy}' user@example.org`
}

export function chromiumLine(own: Reached): string {
  return `chromium --proxy-server=${urlOf(own)}`
}

/** Lines for a POSIX shell. `loopbackDirect`: this machine's own names and addresses are left out. */
export function environmentLines(url: string, loopbackDirect: boolean): string[] {
  const lines = ['http_proxy', 'https_proxy', 'all_proxy'].map((name) => `export ${name}=${url}`)
  return loopbackDirect ? [...lines, 'export no_proxy=localhost,127.0.0.1,::1'] : lines
}
