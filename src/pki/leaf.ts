// Certificates for gateways (server) and people or machines (client). Rule: the common name is the name the
// index knows it by, and is the identity; a leaf is good for one purpose only, and never outlives its authority.
// A client's carries no subjectAltName: a second place for an identity is one too many.
import { KeyObject, type webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import { GatewayError } from '../errors.ts'
import { generateKeys, SIGNING_ALGORITHM, type Authority, type PemPair } from './authority.ts'
import { pemText } from './pem.ts'
import { writePrivateKey } from './private-key.ts'
import { randomSerial } from './serial.ts'
import { validityFrom, type Validity } from './validity.ts'
import { x509 } from './x509.ts'

export const LEAF_KINDS = ['server', 'client'] as const
export type LeafKind = (typeof LEAF_KINDS)[number]

/** A server's is what Apple's clients still accept of a certificate; a client's is a year. */
const DEFAULT_DAYS = { server: 397, client: 365 } as const satisfies Record<LeafKind, number>

const USAGE = {
  server: x509.ExtendedKeyUsage.serverAuth,
  client: x509.ExtendedKeyUsage.clientAuth,
} as const satisfies Record<LeafKind, string>

export interface LeafRequest {
  readonly name: string
  readonly kind: LeafKind
  /** DNS names and IP addresses, for a server at least one; for a client none. */
  readonly hosts: readonly string[]
  /** Default 397 for a server, 365 for a client. */
  readonly days?: number
  readonly now: Date
}

export interface SignedLeaf extends Validity {
  readonly certificate: string
  /** Lower-case hex without leading zeros. */
  readonly serial: string
}

export interface Leaf extends PemPair, SignedLeaf {}

/** Issues a leaf with a new key. Throws GatewayError `pki-invalid`: bad hosts, or the authority has ended. */
export async function issueLeaf(authority: Authority, request: LeafRequest): Promise<Leaf> {
  const keys = await generateKeys()
  const signed = await signLeaf(authority, request, keys.publicKey)
  return { ...signed, key: writePrivateKey(KeyObject.from(keys.privateKey)) }
}

/** Issues a leaf for a key that somebody else holds. Errors as above. */
export async function signLeaf(
  authority: Authority,
  request: LeafRequest,
  publicKey: x509.PublicKey | webcrypto.CryptoKey,
): Promise<SignedLeaf> {
  const issuer = authority.certificate
  if (issuer.notAfter <= request.now) {
    throw new GatewayError('pki-invalid', {
      detail: `the authority ended on ${issuer.notAfter.toISOString().slice(0, 10)}`,
      hint: 'make a new one in another directory with `sightline pki init`',
    })
  }
  const names = request.hosts.map(subjectAltName)
  if ((request.kind === 'server') !== names.length > 0) {
    throw new GatewayError('pki-invalid', {
      detail: request.kind === 'server' ? 'a server needs at least one host' : 'a client has no hosts',
      hint: 'give each name or address under which clients reach the server, with --host',
    })
  }
  const serial = randomSerial()
  const validity = validityFrom(request.now, request.days ?? DEFAULT_DAYS[request.kind], issuer.notAfter)
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial,
    subject: [{ CN: [request.name] }],
    issuer: issuer.subjectName,
    ...validity,
    signingAlgorithm: SIGNING_ALGORITHM,
    publicKey,
    signingKey: authority.signingKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([USAGE[request.kind]]),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  })
  return {
    certificate: pemText('CERTIFICATE', certificate.rawData),
    serial,
    ...validity,
  }
}

const DNS_NAME =
  /^(?=.{1,253}$)(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i

function subjectAltName(host: string): { type: 'dns' | 'ip'; value: string } {
  if (isIP(host) !== 0 && !host.includes('%')) return { type: 'ip', value: host }
  // A name whose last label is a number is a mistyped address, and no client would take it for a name.
  if (DNS_NAME.test(host) && !/(^|\.)\d+$/.test(host)) return { type: 'dns', value: host.toLowerCase() }
  throw new GatewayError('pki-invalid', {
    detail: `${JSON.stringify(host)} is not a host`,
    hint: 'give a DNS name (xn-- form for other scripts) or an IP address, without port or brackets',
  })
}
