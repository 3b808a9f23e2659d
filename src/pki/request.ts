// Certificate signing requests (PKCS#10, RFC 2986): a key is made where it is used and never travels. Rules: whoever
// asks must prove to hold the key; of all that a request says, only the key is taken. Names and usages are the
// authority's to give.
import { createPublicKey, KeyObject } from 'node:crypto'
import { GatewayError } from '../errors.ts'
import { generateKeys, SIGNING_ALGORITHM } from './authority.ts'
import { pemBlocks, pemText } from './pem.ts'
import { writePrivateKey } from './private-key.ts'
import { x509 } from './x509.ts'

export const REQUEST_BYTES_MAX = 64 * 1024
const RSA_BITS = { least: 2048, most: 8192 } as const
const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1'])
const DIGESTS: ReadonlySet<string> = new Set(['SHA-256', 'SHA-384', 'SHA-512'])

/** What is asked for a name, as `pki request` makes it. Both PEM; the key is in clear. */
export async function createRequest(
  name: string,
): Promise<{ readonly request: string; readonly key: string }> {
  const keys = await generateKeys()
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [name] }],
    keys,
    signingAlgorithm: SIGNING_ALGORITHM,
  })
  return {
    request: pemText('CERTIFICATE REQUEST', request.rawData),
    key: writePrivateKey(KeyObject.from(keys.privateKey)),
  }
}

/**
 * The public key of a request, in PEM (either label that is in use) or DER. Throws GatewayError `pki-invalid`: it cannot
 * be read, its signature is not that of its own key, or the key is of a kind or size that is not taken.
 */
export async function keyOfRequest(bytes: Buffer): Promise<x509.PublicKey> {
  if (bytes.length > REQUEST_BYTES_MAX) throw unusable('it is larger than 64 KiB')
  const request = decode(bytes)
  const { publicKey } = request
  const problem = keyProblem(publicKey)
  if (problem !== undefined) throw unusable(problem)
  const { hash } = request.signatureAlgorithm as { hash?: { name: string } }
  const digest = hash?.name
  if (digest !== undefined && !DIGESTS.has(digest)) throw unusable(`it is signed with ${digest}`)
  const isProved = await request.verify().catch(() => false)
  if (!isProved) throw unusable('its signature was not made with the key that it names')
  return publicKey
}

function decode(bytes: Buffer): x509.Pkcs10CertificateRequest {
  const text = bytes.toString('latin1')
  const der = text.includes('-----BEGIN')
    ? pemBlocks(
        text.replaceAll(' NEW CERTIFICATE REQUEST-', ' CERTIFICATE REQUEST-'),
        'CERTIFICATE REQUEST',
      )[0]
    : bytes
  try {
    return new x509.Pkcs10CertificateRequest(der ?? bytes)
  } catch (cause) {
    throw unusable('it is not a PKCS#10 request', cause)
  }
}

function keyProblem(publicKey: x509.PublicKey): string | undefined {
  let key: KeyObject
  try {
    key = createPublicKey({ key: Buffer.from(publicKey.rawData), format: 'der', type: 'spki' })
  } catch {
    return 'its key cannot be read'
  }
  const { namedCurve = '', modulusLength = 0 } = key.asymmetricKeyDetails ?? {}
  switch (key.asymmetricKeyType) {
    case 'ec':
      return CURVES.has(namedCurve) ? undefined : `its key is on the curve ${namedCurve}`
    case 'rsa':
      return modulusLength >= RSA_BITS.least && modulusLength <= RSA_BITS.most
        ? undefined
        : `its RSA key has ${modulusLength} bits`
    case 'ed25519':
      return undefined
    default:
      return `its key is of a kind that is not taken (${key.asymmetricKeyType ?? 'unknown'})`
  }
}

function unusable(what: string, cause?: unknown): GatewayError {
  return new GatewayError('pki-invalid', {
    detail: `the request cannot be signed: ${what}`,
    hint: 'make one with `sightline pki request NAME`, or openssl req: ECDSA P-256, RSA of 2048 bits or more, Ed25519',
    cause,
  })
}
