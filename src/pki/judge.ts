// Decides who a client certificate speaks for, on every connection, before HTTP sees a byte (TLS is told not
// to: a resumed session skips its check). Rule: it fails closed, in a fixed order, with one code for each
// reason; and it is pure, so the caller gives the clock.
import type { KeyObject, X509Certificate } from 'node:crypto'
import { GatewayError, type ErrorCode } from '../errors.ts'
import { certificatesFromPem } from './pem.ts'
import { readRevocationLists, type RevocationList } from './revocation-list-reader.ts'
import { normaliseSerial } from './serial.ts'

const CLIENT_AUTH_OID = '1.3.6.1.5.5.7.3.2'
/** X.509 counts whole seconds, and the last one still belongs. */
const LAST_SECOND_MS = 1000

export interface ClientTrustSource {
  /** PEM, one authority or more. */
  readonly authorities: string
  /** PEM (one list or more) or DER bytes. Without it nothing counts as revoked. */
  readonly revocationList?: string | Uint8Array
}

export interface ClientIdentity {
  /** The subject's common name: the name that the index issued it under. A secret to logs and metrics. */
  readonly identity: string
  /** Lower-case hex without leading zeros. */
  readonly serial: string
  /** When the certificate ends, in milliseconds since the epoch. */
  readonly expiresMs: number
  /** SHA-256 fingerprint of the authority that issued it. */
  readonly authority: string
}

interface TrustedAuthority {
  readonly certificate: X509Certificate
  readonly fingerprint: string
  readonly publicKey: KeyObject
  readonly list: RevocationList | undefined
}

export class ClientTrust {
  readonly #authorities: readonly TrustedAuthority[]
  readonly checksRevocation: boolean

  private constructor(authorities: readonly TrustedAuthority[], checksRevocation: boolean) {
    this.#authorities = authorities
    this.checksRevocation = checksRevocation
  }

  /**
   * Reads authorities and revocation lists. Throws GatewayError `pki-invalid` for what cannot be read, and
   * `revocation-list-unusable` for a list that none of the authorities signed, or two of one authority.
   */
  static load(source: ClientTrustSource): ClientTrust {
    const certificates = certificatesFromPem(source.authorities)
    for (const [index, certificate] of certificates.entries()) {
      if (!certificate.ca) {
        throw new GatewayError('pki-invalid', {
          detail: `certificate ${index + 1} of the authorities is not an authority`,
          hint: 'give ca.crt, not a certificate that it issued',
        })
      }
    }
    const lists = source.revocationList === undefined ? [] : readRevocationLists(source.revocationList)
    for (const list of lists) {
      if (!certificates.some(({ publicKey }) => list.isSignedBy(publicKey))) {
        throw new GatewayError('revocation-list-unusable', {
          detail: 'the revocation list is not signed by any of the authorities',
          hint: 'give the ca.crl that belongs to ca.crt',
        })
      }
    }
    const authorities = certificates.map((certificate) => {
      const { publicKey, fingerprint256: fingerprint } = certificate
      const list = onlyList(lists.filter((one) => one.isSignedBy(publicKey)))
      return { certificate, fingerprint, publicKey, list }
    })
    return new ClientTrust(authorities, source.revocationList !== undefined)
  }

  /** The same authorities with no list to rely on: nobody new is let in. */
  withoutLists(): ClientTrust {
    return new ClientTrust(
      this.#authorities.map((authority) => ({ ...authority, list: undefined })),
      true,
    )
  }

  /** Each authority by its fingerprint, with its list. */
  get lists(): ReadonlyArray<{ readonly authority: string; readonly list: RevocationList | undefined }> {
    return this.#authorities.map(({ fingerprint: authority, list }) => ({ authority, list }))
  }

  /** Of the authorities. */
  get keys(): KeyObject[] {
    return this.#authorities.map(({ publicKey }) => publicKey)
  }

  /**
   * The same authorities, each with what `found` has for it where that is later than its own list and bears its signature:
   * whoever gives it need not be trusted.
   */
  withLater(found: (authority: string) => RevocationList | undefined): ClientTrust {
    return new ClientTrust(
      this.#authorities.map((authority) => {
        const list = found(authority.fingerprint)
        if (!isLater(list, authority.list) || !list.isSignedBy(authority.publicKey)) return authority
        return { ...authority, list }
      }),
      this.checksRevocation,
    )
  }

  /** The list that is due first; undefined where there is none to rely on. */
  get firstDue(): Pick<RevocationList, 'thisUpdate' | 'nextUpdate'> | undefined {
    return this.#authorities
      .flatMap(({ list }) => list ?? [])
      .toSorted((one, other) => one.nextUpdate.getTime() - other.nextUpdate.getTime())[0]
  }

  /**
   * Says whose certificate it is. Throws GatewayError, in this order: `certificate-required`,
   * `certificate-untrusted` (issuer, then subject), `certificate-not-yet-valid` and `certificate-expired` (of the
   * authority, then of the certificate; RFC 5280 4.1.2.5, both ends included), `certificate-wrong-usage`,
   * `revocation-list-unusable`, `certificate-revoked`.
   */
  judge(certificate: X509Certificate | undefined, now: Date): ClientIdentity {
    if (!certificate) throw refusal('certificate-required')
    const issuers = this.#authorities.filter(
      (authority) =>
        certificate.checkIssued(authority.certificate) && certificate.verify(authority.publicKey),
    )
    const issuer =
      issuers.find((authority) => dateFault(authority.certificate, now) === undefined) ?? issuers[0]
    if (!issuer) throw refusal('certificate-untrusted')
    const identity = commonName(certificate)
    // A serial below zero (RFC 5280 4.1.2.2 forbids it) has no one spelling to look up.
    if (identity === undefined || !/^[0-9A-F]+$/.test(certificate.serialNumber)) {
      throw refusal('certificate-untrusted', 'the certificate has no single common name, or no proper serial')
    }

    const authorityFault = dateFault(issuer.certificate, now)
    if (authorityFault)
      throw refusal(authorityFault, 'the authority of the client certificate is out of its dates')
    const fault = dateFault(certificate, now)
    if (fault) throw refusal(fault)
    if (!certificate.keyUsage?.includes(CLIENT_AUTH_OID)) throw refusal('certificate-wrong-usage')

    const serial = normaliseSerial(certificate.serialNumber)
    if (this.checksRevocation && usableList(issuer, now).serials.has(serial)) {
      throw refusal('certificate-revoked')
    }
    return {
      identity,
      serial,
      expiresMs: certificate.validToDate.getTime() + LAST_SECOND_MS,
      authority: issuer.fingerprint,
    }
  }

  /**
   * What now speaks against somebody whom `judge` let in, by this trust or an earlier one; undefined where nothing does.
   * Costs no signature check: it is asked for every stream. Codes as above, without those that cannot change.
   */
  judgeAgain({ authority, serial, expiresMs }: ClientIdentity, now: Date): ErrorCode | undefined {
    const issuer = this.#authorities.find(({ fingerprint }) => fingerprint === authority)
    if (!issuer) return 'certificate-untrusted'
    if (now.getTime() >= expiresMs) return 'certificate-expired'
    const authorityFault = dateFault(issuer.certificate, now)
    if (authorityFault) return authorityFault
    if (!this.checksRevocation) return undefined
    // A list that is past due still says who was revoked.
    if (issuer.list?.serials.has(serial) === true) return 'certificate-revoked'
    return issuer.list && isInDate(issuer.list, now) ? undefined : 'revocation-list-unusable'
  }
}

/** By their numbers; a list without one is never taken for later, nor replaced. */
export function isLater(
  list: RevocationList | undefined,
  than: RevocationList | undefined,
): list is RevocationList & { readonly number: number } {
  if (list?.number === undefined) return false
  return than === undefined || (than.number !== undefined && list.number > than.number)
}

function isInDate({ thisUpdate, nextUpdate }: RevocationList, now: Date): boolean {
  return thisUpdate <= now && now <= nextUpdate
}

function usableList({ list }: TrustedAuthority, now: Date): RevocationList {
  if (list && isInDate(list, now)) return list
  throw new GatewayError('revocation-list-unusable', {
    detail: !list
      ? 'no revocation list covers the authority of this client certificate'
      : now > list.nextUpdate
        ? `the revocation list was due for renewal on ${list.nextUpdate.toISOString()}`
        : `the revocation list is only valid from ${list.thisUpdate.toISOString()}`,
    hint: 'write a new one with `sightline pki crl`, then reload',
  })
}

function dateFault(
  certificate: X509Certificate,
  now: Date,
): 'certificate-expired' | 'certificate-not-yet-valid' | undefined {
  if (now < certificate.validFromDate) return 'certificate-not-yet-valid'
  if (now.getTime() >= certificate.validToDate.getTime() + LAST_SECOND_MS) return 'certificate-expired'
  return undefined
}

/** The one common name; undefined where there is none, several, or one that no log line should hold. */
function commonName(certificate: X509Certificate): string | undefined {
  const name: unknown = certificate.toLegacyObject().subject?.CN
  return typeof name === 'string' && /^[^\p{Cc}]+$/u.test(name) ? name : undefined
}

function onlyList(lists: readonly RevocationList[]): RevocationList | undefined {
  if (lists.length < 2) return lists[0]
  throw new GatewayError('revocation-list-unusable', {
    detail: 'the file holds two revocation lists of one authority',
    hint: 'keep the latest one only',
  })
}

function refusal(code: ErrorCode, detail?: string): GatewayError {
  return new GatewayError(code, { side: 'client', ...(detail === undefined ? {} : { detail }) })
}
