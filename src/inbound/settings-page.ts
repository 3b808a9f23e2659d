// The page with settings for programs. Pure text. Rules: every line in a box works as typed (but for NAME and PASSWORD
// where the listener wants them), nothing on it runs, and it says plainly what the proxy does not do.
import { authorityOf } from '../protocol/http/pac.ts'
import type { Reached } from './settings-facts.ts'
import { chromiumLine, curlLines, environmentLines, gitLine, sshLine, urlOf } from './settings-lines.ts'

export interface PageOptions {
  /** The listener that was asked first. */
  readonly reached: readonly Reached[]
  /** Scheme and authority of this page. */
  readonly base: string
  readonly isLocal: boolean
  readonly toTunnel: boolean
  readonly loopbackDirect: boolean
}

export const PAGE_STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}' +
  'pre{background:#f2f2f2;padding:.6rem;overflow:auto;user-select:all}h2{font-size:1.1rem;margin-top:2rem}' +
  '.warn{border-left:.3rem solid #b00;padding-left:.8rem}'

/** A whole HTML document. */
export function settingsPage(options: PageOptions): string {
  const [own] = options.reached
  if (own === undefined) return ''
  const socks = options.reached.find(({ type }) => type !== 'http')
  const sections = [
    ...['<h1>Settings for this proxy</h1>', words(own, options), listed(options)],
    ...automatic(options),
    ...curl(own, socks),
    ...browsers(own, options),
    ...git(own),
    ...ssh(own, socks),
    ...apt(own),
    ...system(own, options),
  ]
  return (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">' +
    `<title>Settings for this proxy</title><style>${PAGE_STYLE}</style></head><body>\n${sections.join('\n')}\n</body></html>\n`
  )
}

function words(own: Reached, { isLocal, toTunnel }: PageOptions): string {
  const operator =
    'Whoever runs it sees your address, when and how much you send, the name of every site you visit, and everything on http:// pages.'
  const limits = 'Only programs that are set to use it do; look-ups and connections of all others go past it.'
  if (own.secure) {
    return (
      '<p>The way from you to this proxy is encrypted (TLS 1.3): whoever is on it sees that you use the proxy, and when and ' +
      `how much you send, but not what. ${operator} Beyond it, all goes on as your programs made it. ${limits}</p>`
    )
  }
  if (toTunnel && isLocal) {
    return (
      '<p>What comes in here goes through an encrypted tunnel to a gateway, and from there on as your programs made it. ' +
      `${operator.replace('runs it', 'runs that gateway')} ${limits}</p>`
    )
  }
  return (
    '<p class="warn"><strong>This is a plain proxy: it encrypts nothing.</strong> Whoever is on the way between you and it ' +
    'reads the name of every site you visit, the password that you give to the proxy, and everything on http:// pages. ' +
    `Pages on https:// keep their own encryption. ${operator} ${limits}</p>`
  )
}

function listed({ reached }: PageOptions): string {
  const items = reached.map((one) => {
    const kind =
      one.type === 'socks'
        ? 'SOCKS proxy, not encrypted'
        : one.secure
          ? 'encrypted proxy (HTTP proxy on TLS 1.3)'
          : one.type === 'mixed'
            ? 'SOCKS and HTTP proxy on one port, not encrypted'
            : 'HTTP proxy, not encrypted'
    const wants = [
      ...(one.needsPassword ? ['a user name and password'] : []),
      ...(one.needsCertificate ? ['a client certificate'] : []),
    ]
    const asks = wants.length === 0 ? '' : `; it asks for ${wants.join(' and ')}`
    return `<li><code>${escape(authorityOf(one.host, one.port))}</code>: ${kind}${asks}</li>`
  })
  return `<p>What listens, as you reach it:</p><ul>${items.join('')}</ul>`
}

function automatic({ base, loopbackDirect }: PageOptions): string[] {
  return [
    '<h2>Automatic (any browser or system that takes a PAC address)</h2>',
    box(`${base}/proxy.pac`),
    "<p>It sends everything to the proxy, plain host names without a dot too: they are the proxy's to know or not. " +
      (loopbackDirect
        ? 'Only <code>localhost</code> and 127.0.0.0/8, which are your own machine, go direct. '
        : 'That includes <code>localhost</code>, which this proxy is set to serve; most browsers leave it out all the same. ') +
      'There is no fall-back: when the proxy is away, pages fail instead of loading past it.</p>',
  ]
}

function curl(own: Reached, socks: Reached | undefined): string[] {
  return [
    '<h2>curl</h2>',
    ...curlLines(own, socks).map(box),
    note(own, 'curl asks for the password.'),
    own.secure
      ? "<p>If this machine does not know the authority of the proxy's certificate, add <code>--proxy-cacert FILE</code>.</p>"
      : '',
  ]
}

function browsers(own: Reached, { base }: PageOptions): string[] {
  return [
    '<h2>Chromium</h2>',
    box(chromiumLine(own)),
    box(`chromium --proxy-pac-url=${base}/proxy.pac`),
    '<h2>Firefox</h2><p>In Settings, Network Settings: Automatic proxy configuration URL, with the address above; or in user.js:</p>',
    box(
      `user_pref("network.proxy.type", 2);\nuser_pref("network.proxy.autoconfig_url", "${base}/proxy.pac");\nuser_pref("network.proxy.socks_remote_dns", true);`,
    ),
  ]
}

function git(own: Reached): string[] {
  return [
    '<h2>git</h2>',
    box(gitLine(own)),
    note(own, 'git asks for the password.'),
    '<p>Back again:</p>',
    box('git config --global --unset http.proxy'),
  ]
}

function ssh(own: Reached, socks: Reached | undefined): string[] {
  const way = own.secure ? socks : own
  if (way === undefined)
    return [
      "<h2>ssh</h2><p>OpenBSD's nc speaks no TLS to a proxy: use a tunnel client, or a listener without TLS.</p>",
    ]
  return ["<h2>ssh (with OpenBSD's nc)</h2>", box(sshLine(way))]
}

function apt(own: Reached): string[] {
  const url = urlOf(own, own.needsPassword ? 'NAME:PASSWORD@' : '')
  return [
    '<h2>apt</h2>',
    box(`sudo apt -o Acquire::http::Proxy=${url} -o Acquire::https::Proxy=${url} update`),
    '<p>For good, in /etc/apt/apt.conf.d/95proxy:</p>',
    box(`Acquire::http::Proxy "${url}";\nAcquire::https::Proxy "${url}";`),
  ]
}

function system(own: Reached, { base, loopbackDirect }: PageOptions): string[] {
  const url = urlOf(own, own.needsPassword ? 'NAME:PASSWORD@' : '')
  return [
    '<h2>The system: environment variables</h2>',
    box(environmentLines(url, loopbackDirect).join('\n')),
    note(own, 'Every program that you start can read a password that stands there.'),
    '<h2>The system: GNOME</h2>',
    box(
      `gsettings set org.gnome.system.proxy autoconfig-url '${base}/proxy.pac'\ngsettings set org.gnome.system.proxy mode auto`,
    ),
    '<p>Back again:</p>',
    box('gsettings set org.gnome.system.proxy mode none'),
  ]
}

function note({ needsPassword }: Reached, text: string): string {
  return needsPassword ? `<p>NAME is your user name. ${text}</p>` : ''
}

function box(text: string): string {
  return `<pre>${escape(text)}</pre>`
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
