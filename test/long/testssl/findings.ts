// What a testssl.sh report comes to: findings that nobody has accepted, and checks that it did not make. Rule: a finding
// is accepted by its name and with a reason, here and nowhere else; an acceptance that nothing needs any more is wrong.

/** One entry of `testssl --jsonfile`. */
export interface Finding {
  readonly id: string
  readonly severity: string
  readonly finding: string
}

const REASSURING: ReadonlySet<string> = new Set(['OK', 'INFO'])

/** Names of testssl's checks, and why the tunnel's listener is as it is. */
export const WAIVED: Readonly<Record<string, string>> = {
  cert_revocation:
    'a private authority runs no OCSP responder and publishes its list nowhere: the list is a file that the gateway reads to ' +
    'judge clients. Nobody can look up whether the gateway’s own certificate is revoked; one whose key is lost means a new authority',
  HSTS: 'nothing here is for a browser, and the scheme is wss: there is no address in clear that could be upgraded',
  security_headers: 'the answer is one line of text/plain to a client without a certificate, never a page',
}

/** What it says of its own tools, on some machines and not on others: nothing of the listener. */
const OF_THE_SCANNER: ReadonlySet<string> = new Set([
  // The openssl of the machine has no GOST engine, whose ciphers TLS 1.3 does not know.
  'engine_problem',
])

/** What each protocol check has to say. */
export const PROTOCOLS: Readonly<Record<string, string>> = {
  SSLv2: 'not offered',
  SSLv3: 'not offered',
  TLS1: 'not offered',
  TLS1_1: 'not offered',
  TLS1_2: 'not offered',
  TLS1_3: 'offered with final',
}

/** Checks that a whole report has, beside the protocols: one that stops half-way finds nothing either. */
const NEEDED = [
  'cipherlist_NULL',
  'cipherlist_STRONG',
  'cert_chain_of_trust',
  'cert_expirationStatus',
  'heartbleed',
  'ROBOT',
  'secure_client_renego',
  'CRIME_TLS',
  'BREACH',
  'DROWN',
  'LOGJAM',
  'RC4',
  'scanTime',
]

/** Everything that is wrong with a report, a line each; nothing where it is good. */
export function judgeReport(report: readonly Finding[]): string[] {
  const notGood = report.filter(({ id, severity }) => !REASSURING.has(severity) && !OF_THE_SCANNER.has(id))
  const named = new Map(report.map((finding) => [finding.id, finding]))
  return [
    ...notGood
      .filter(({ id }) => !Object.hasOwn(WAIVED, id))
      .map(({ id, severity, finding }) => `${severity}: ${id}: ${finding}`),
    ...Object.entries(PROTOCOLS)
      .filter(([id, expected]) => named.get(id)?.finding !== expected)
      .map(([id]) => `protocol: ${id}: ${named.get(id)?.finding ?? 'was not tested'}`),
    ...NEEDED.filter((id) => !named.has(id)).map((id) => `not tested: ${id}`),
    ...Object.keys(WAIVED)
      .filter((id) => notGood.every((finding) => finding.id !== id))
      .map((id) => `waived without need: ${id}`),
  ]
}
