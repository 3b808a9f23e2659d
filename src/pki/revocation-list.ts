// Makes certificate revocation lists (RFC 5280 section 5). Rule: a list is complete (no deltas, no partitions)
// and carries a number that only grows, so that of two lists the later is known.
import { SIGNING_ALGORITHM, type Authority } from './authority.ts'
import { pemText } from './pem.ts'
import { validityFrom } from './validity.ts'
import { x509 } from './x509.ts'

const LIST_DAYS = 365
const CRL_NUMBER_OID = '2.5.29.20'

export interface Revocation {
  /** Lower-case hex. */
  readonly serial: string
  readonly revokedAt: Date
}

export interface RevocationListRequest {
  readonly revocations: readonly Revocation[]
  /** CRL number, 0 or more, greater than that of every list before it. */
  readonly number: number
  readonly now: Date
  /** Days until the next list is due, after which a gateway trusts no client. Default one year. */
  readonly days?: number
}

export interface SignedRevocationList {
  readonly pem: string
  readonly nextUpdate: Date
}

/** Signs a list of all that is revoked. Its `thisUpdate` lies five minutes back, as every start does. */
export async function createRevocationList(
  authority: Authority,
  request: RevocationListRequest,
): Promise<SignedRevocationList> {
  const { notBefore: thisUpdate, notAfter: nextUpdate } = validityFrom(request.now, request.days ?? LIST_DAYS)
  const list = await x509.X509CrlGenerator.create({
    issuer: authority.certificate.subjectName,
    thisUpdate,
    nextUpdate,
    signingAlgorithm: SIGNING_ALGORITHM,
    signingKey: authority.signingKey,
    entries: request.revocations.map(({ serial, revokedAt }) => ({
      serialNumber: serial.padStart(serial.length + (serial.length % 2), '0'),
      revocationDate: revokedAt,
      // Without any entry extension the package writes an empty sequence, which RFC 5280 5.1 does not allow.
      reason: x509.X509CrlReason.privilegeWithdrawn,
    })),
    extensions: [
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
      new x509.Extension(CRL_NUMBER_OID, false, derInteger(request.number)),
    ],
  })
  return { pem: pemText('X509 CRL', list.rawData), nextUpdate }
}

function derInteger(value: number): Buffer<ArrayBuffer> {
  const hex = value.toString(16)
  const digits = hex.padStart(hex.length + (hex.length % 2), '0')
  // A set top bit would read as a minus sign.
  const content = Buffer.from(/^[89a-f]/.test(digits) ? `00${digits}` : digits, 'hex')
  return Buffer.concat([Buffer.from([0x02, content.length]), content])
}
