// The certificate authority: made once, opened to sign. Rule: it may sign certificates and revocation lists
// and nothing else (pathlen 0: no authority below it), and its key is ECDSA P-256 with SHA-256 throughout.
import { createPublicKey, KeyObject, webcrypto } from 'node:crypto'
import { GatewayError } from '../errors.ts'
import { certificatesFromPem, pemText } from './pem.ts'
import { readAuthorityKey, writePrivateKey } from './private-key.ts'
import { randomSerial } from './serial.ts'
import { validityFrom } from './validity.ts'
import { x509 } from './x509.ts'

const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const
export const SIGNING_ALGORITHM = { name: 'ECDSA', hash: 'SHA-256' } as const
const AUTHORITY_DAYS = 3653

/** A certificate and its private key (PKCS#8; an authority's may be under a passphrase), both PEM. */
export interface PemPair {
  readonly certificate: string
  readonly key: string
}

/** An authority whose key is at hand. */
export interface Authority {
  readonly pem: PemPair
  readonly certificate: x509.X509Certificate
  readonly signingKey: webcrypto.CryptoKey
}

/**
 * Makes an authority that is valid for `days` (default ten years) from `now`, named after its own key. With a passphrase
 * the key's text is encrypted under it.
 */
export async function createAuthority(options: {
  now: Date
  days?: number
  passphrase?: string | undefined
}): Promise<Authority> {
  const keys = await generateKeys()
  const keyId = await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: [{ CN: [`Sightline authority ${keyId.keyId.slice(0, 8)}`] }],
    ...validityFrom(options.now, options.days ?? AUTHORITY_DAYS),
    signingAlgorithm: SIGNING_ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      keyId,
    ],
  })
  const pem = {
    certificate: pemText('CERTIFICATE', certificate.rawData),
    key: writePrivateKey(KeyObject.from(keys.privateKey), options.passphrase),
  }
  return { pem, certificate, signingKey: keys.privateKey }
}

/**
 * Opens an authority from its files' text. Throws GatewayError `pki-invalid` when either cannot be read, when
 * they do not belong together, when the certificate is not an authority's, or when the passphrase is not the key's.
 */
export function openAuthority(pem: PemPair, passphrase?: string): Authority {
  const [certificate] = certificatesFromPem(pem.certificate)
  if (!certificate?.ca) {
    throw new GatewayError('pki-invalid', {
      detail: 'the certificate is not an authority (basicConstraints does not say CA)',
      hint: 'give the ca.crt that `sightline pki init` made',
    })
  }
  const key = readAuthorityKey(pem.key, passphrase)
  if (!createPublicKey(key).equals(certificate.publicKey)) {
    throw new GatewayError('pki-invalid', {
      detail: "the authority's key does not belong to its certificate",
      hint: 'restore ca.crt and ca.key from the same backup',
    })
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new GatewayError('pki-invalid', {
      detail: "the authority's key is not an ECDSA P-256 key",
      hint: 'make an authority with `sightline pki init`',
    })
  }
  return {
    pem,
    certificate: new x509.X509Certificate(certificate.raw),
    signingKey: key.toCryptoKey(KEY_ALGORITHM, false, ['sign']),
  }
}

export async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify'])
}
