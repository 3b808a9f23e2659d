// When what a process relies on ends, so that somebody is told well before: certificates, authorities, revocation
// lists. Rule: a part names it, out of a closed set, never a subject or a file.
import type { TunnelAccess } from '../outbound/tunnel-dial.ts'
import type { UpstreamServer } from '../outbound/upstream-ask.ts'
import { certificatesFromPem } from '../pki/pem.ts'
import { daysUntil, endsSoon } from '../pki/validity.ts'
import type { ServerCredentials } from '../transport/tls-server.ts'

export type EndingPart =
  | 'listener-certificate'
  | 'client-authority'
  | 'revocation-list'
  | 'own-certificate'
  | 'gateway-authority'
  | 'upstream-authority'

export interface CertificateEnd {
  readonly part: EndingPart
  readonly begins: Date
  /** Of a list that cannot be read: 1970. */
  readonly ends: Date
}

export interface EndNotice {
  readonly part: EndingPart
  /** Whole days; 0 on the last one. */
  readonly daysLeft: number
  readonly ended: boolean
}

const NEVER = { thisUpdate: new Date(0), nextUpdate: new Date(0) }

export function listenerEnds({
  certificate,
  clientAuthority,
  clientTrust,
}: ServerCredentials): CertificateEnd[] {
  const ends = [
    ...firstEnd('listener-certificate', certificate),
    ...firstEnd('client-authority', clientAuthority),
  ]
  if (clientTrust?.checksRevocation !== true) return ends
  const { thisUpdate: begins, nextUpdate } = clientTrust.firstDue ?? NEVER
  return [...ends, { part: 'revocation-list', begins, ends: nextUpdate }]
}

export function tunnelEnds({ credentials, proxy }: TunnelAccess): CertificateEnd[] {
  return [
    ...firstEnd('own-certificate', credentials.certificate),
    ...firstEnd('gateway-authority', credentials.authority),
    ...(proxy === undefined ? [] : upstreamEnds(proxy)),
  ]
}

export function upstreamEnds({ authority }: UpstreamServer): CertificateEnd[] {
  return firstEnd('upstream-authority', authority)
}

/** Those of which somebody has to be told now. */
export function noticesOf(ends: readonly CertificateEnd[], now: Date): EndNotice[] {
  return ends
    .filter((one) => endsSoon(one.begins, one.ends, now))
    .map(({ part, ends: end }) => ({ part, daysLeft: daysUntil(end, now), ended: end <= now }))
}

/** The certificate of a PEM text that ends first; none where TLS reads in it what is read here as nothing. */
function firstEnd(part: EndingPart, pem: string | undefined): CertificateEnd[] {
  if (pem === undefined) return []
  try {
    return certificatesFromPem(pem)
      .map(({ validFromDate: begins, validToDate: ends }) => ({ part, begins, ends }))
      .toSorted((one, other) => one.ends.getTime() - other.ends.getTime())
      .slice(0, 1)
  } catch {
    return []
  }
}
