// sightline audit: what a proxy that somebody sold you does with what you send through it, measured from both its ends.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { PROXY_SCHEMES, readProxyUrl, upstreamProblem, type ProxyUrl } from '../config/proxy-url.ts'
import { GatewayError } from '../errors.ts'
import { runAudit } from '../lab/audit/audit.ts'
import { readProbeUrl } from '../lab/audit/probe-url.ts'
import { formatAudit } from '../lab/audit/text.ts'
import { isUnicodeLocale } from '../lab/report/terminal.ts'
import { readCall } from './arguments.ts'
import { EXIT_FAILURE, fail, usage } from './failure.ts'
import type { CliIo } from './io.ts'
import { writeOut } from './lab-files.ts'

const HELP = `usage: sightline audit PROXY-URL [--origin URL] [--authority F] [--seed S]
       [--json F] [--plain]

  audits any proxy, with no trust in its maker: sends planted words through it to a far end of our own and
  says whether the link to it is encrypted, who resolves names, what it adds, alters or opens, whether it
  carries UDP, who could read what, and what goes around it

  PROXY-URL       http://, https://, socks5:// (you resolve names), socks5h:// or socks4a:// (it does), with
                  user:password@ where it wants one
  --origin URL    the far end, as sightline probe printed it on a host that the proxy can reach; default one
                  on this machine, for the time of the audit
  --authority F   vouches for the certificate of an https:// proxy, beside those that Node trusts
  --seed S        makes the planted words repeatable; default random
  --json F        writes the answers and cells to F; - is standard output, alone
  --plain         ASCII alone and no colour; the default where the locale is not UTF-8

exit 0 when the audit ran, whatever it found: a script reads .checks[] of --json, each with a question
(link-encrypted, program-named, names-by-proxy, headers-name-you, request-changed, response-changed,
tls-intercepted, udp-carried, report-forged) and an answer (yes, no, not-measured); 1 when it could not run,
or a control failed and the measurement does not stand; 2 for a wrong call

audit the proxies of others with their permission alone

examples:
  sightline audit http://127.0.0.1:3128
  sightline audit https://localhost:3129 --authority certs/ca.crt
  sightline audit socks5h://ada:lace@proxy.example:1080 --origin http://probe.example:9002/#https=9003,…
  sightline audit http://127.0.0.1:3128 --json - | jq -e '.checks[]
    | select(.question == "tls-intercepted").answer == "no"'`

/** What `sightline up` lets its gateway reach. */
export const OWN_PROBE_PORTS = { http: 9002, https: 9003, echo: 9004 } as const

export async function auditCommand(args: string[], io: CliIo): Promise<number> {
  const call = readCall(args, io, {
    command: 'audit',
    help: HELP,
    words: true,
    options: {
      origin: { type: 'string' },
      authority: { type: 'string' },
      seed: { type: 'string' },
      json: { type: 'string' },
      plain: { type: 'boolean' },
    },
  })
  if (typeof call === 'number') return call
  const { values, positionals } = call
  const [text] = positionals
  if (text === undefined || positionals.length > 1) return usage(io, 'name one proxy by its URL', 'audit')
  const proxy = readAnyProxy(text, values.authority)
  if (typeof proxy === 'string') return usage(io, proxy, 'audit')
  let origin
  try {
    origin = values.origin === undefined ? undefined : readProbeUrl(values.origin)
  } catch (thrown) {
    return usage(io, thrown instanceof GatewayError ? `${thrown.message}; ${thrown.hint}` : '', 'audit')
  }
  try {
    const { json } = values
    const result = await runAudit({
      proxy,
      origin,
      seed: values.seed ?? randomBytes(8).toString('hex'),
      ports: OWN_PROBE_PORTS,
      ...(values.authority !== undefined && { authority: readAuthority(values.authority) }),
      ...(io.isTty && json !== '-' && { progress: (what: string) => io.err(`measuring ${what}`) }),
    })
    if (json !== '-') {
      const isPlain = values.plain === true
      const colour = io.isTty && !isPlain && (io.env['NO_COLOR'] ?? '') === ''
      io.out(formatAudit(result, { colour, unicode: !isPlain && isUnicodeLocale(io.env) }))
    }
    if (json !== undefined) writeOut(io, 'answers and cells', json, JSON.stringify(result, null, 2))
    return result.stands ? 0 : EXIT_FAILURE
  } catch (thrown) {
    return fail(io, thrown)
  }
}

/** The proxy, or what is wrong with its URL, without a word of it. */
function readAnyProxy(text: string, authority: string | undefined): ProxyUrl | string {
  const type = /^socks/i.test(text) ? 'socks' : 'http'
  const url = readProxyUrl(text, type)
  if ('problem' in url) {
    const all = [...PROXY_SCHEMES.http, ...PROXY_SCHEMES.socks].join(', ')
    return type === 'http' && !/^https?:/i.test(text)
      ? `not the URL of a proxy; its scheme is one of ${all}`
      : url.problem
  }
  return upstreamProblem({ url: text, authority }, type)?.message ?? url
}

/** Errors: `file-unusable`. */
function readAuthority(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new GatewayError('file-unusable', {
      cause,
      detail: `${file} cannot be read`,
      hint: 'give --authority the PEM file of who signed the certificate of the proxy',
    })
  }
}
