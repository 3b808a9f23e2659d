// Who may ask the console for what. Pure. Rules: a Host that is not this machine's is refused (DNS rebinding); no other
// page reads anything; and what makes the machine work must be JSON from the page's own origin, which no form can send.
import type { IncomingHttpHeaders } from 'node:http'

/** In every answer. Script and style come from this origin's own files alone, and nothing else is fetched at all. */
export const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; " +
    "frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
} as const

const LOCAL_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/
/** What a browser says of a request that its own page made, or a person by typing the address. */
const OWN_SITES = new Set([undefined, 'same-origin', 'none'])

export interface Refused {
  readonly status: 403 | 415
  readonly text: string
}

/** Why these headers may not ask, or undefined where they may. `acts`: the request makes the machine do something. */
export function refusal(headers: IncomingHttpHeaders, acts: boolean): Refused | undefined {
  const { host = '', origin } = headers
  if (!LOCAL_HOST.test(host)) return { status: 403, text: 'this page is for this machine alone' }
  const notFromThePage: Refused = { status: 403, text: 'this request is not from the page' }
  if (!OWN_SITES.has(headers['sec-fetch-site'])) return notFromThePage
  if (origin !== undefined && origin !== `http://${host}`) return notFromThePage
  if (!acts) return undefined
  if (origin === undefined) return notFromThePage
  if (
    headers['content-type']?.toLowerCase().replace(/\s/g, '').replace(';charset=utf-8', '') !==
    'application/json'
  )
    return { status: 415, text: 'this request must be application/json' }
  return undefined
}
