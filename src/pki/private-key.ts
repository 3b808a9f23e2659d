// Private keys as text: PKCS#8, in clear or under a passphrase. Rules: a key under a passphrase is PBES2 with scrypt
// (RFC 7914 section 7) and AES-256, as openssl reads it too; an error never repeats anything of the file.
import { createCipheriv, createPrivateKey, randomBytes, scryptSync, type KeyObject } from 'node:crypto'
import { GatewayError } from '../errors.ts'
import { binary, der, integer, octets, oid, sequence } from './der-writer.ts'
import { pemText } from './pem.ts'

const KEY_BYTES = 32
/** 16 MiB and a tenth of a second. openssl reads up to 32 MiB: what it lacks in memory is made up for in rounds. */
const SCRYPT = { N: 2 ** 14, r: 8, p: 5 } as const

const OID = {
  pbes2: '1.2.840.113549.1.5.13',
  scrypt: '1.3.6.1.4.1.11591.4.11',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
} as const

/** PEM, `PRIVATE KEY` or with a passphrase `ENCRYPTED PRIVATE KEY`. Throws `pki-invalid` for an empty passphrase. */
export function writePrivateKey(key: KeyObject, passphrase?: string): string {
  const plain = key.export({ type: 'pkcs8', format: 'der' })
  if (passphrase === undefined) return pemText('PRIVATE KEY', plain)
  if (passphrase === '') {
    throw new GatewayError('pki-invalid', {
      detail: 'the passphrase is empty',
      hint: 'give at least one character, or leave --passphrase out',
    })
  }
  const [salt, iv] = [randomBytes(16), randomBytes(16)]
  const { N, r, p } = SCRYPT
  const cipher = createCipheriv('aes-256-cbc', scryptSync(passphrase, salt, KEY_BYTES, { N, r, p }), iv)
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()])
  const derivation = sequence([
    oid(OID.scrypt),
    sequence([octets(binary(salt)), integer(N), integer(r), integer(p), integer(KEY_BYTES)]),
  ])
  const encryption = sequence([oid(OID.aes256Cbc), octets(binary(iv))])
  const info = sequence([
    sequence([oid(OID.pbes2), sequence([derivation, encryption])]),
    octets(binary(sealed)),
  ])
  return pemText('ENCRYPTED PRIVATE KEY', Buffer.from(der(info), 'latin1'))
}

/** Whether a passphrase is needed to read it. */
export function isEncrypted(pem: string): boolean {
  return /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem)
}

/** Reads the authority's key, of any form that openssl writes. Throws `pki-invalid`; a passphrase that is not needed is not looked at. */
export function readAuthorityKey(pem: string, passphrase?: string): KeyObject {
  if (isEncrypted(pem) && passphrase === undefined) {
    throw new GatewayError('pki-invalid', {
      detail: "the authority's key has a passphrase, and none was given",
      hint: 'run it at a terminal, which asks for it, or give --passphrase-file',
    })
  }
  try {
    return createPrivateKey({ key: pem, ...(passphrase !== undefined && { passphrase }) })
  } catch (cause) {
    if (isEncrypted(pem)) {
      throw new GatewayError('pki-invalid', {
        detail: "the passphrase of the authority's key is wrong, or ca.key is damaged",
        hint: 'try again; nothing was changed',
        cause,
      })
    }
    throw new GatewayError('pki-invalid', {
      detail: "the authority's key is not a PEM private key",
      hint: 'restore ca.key from a backup, or make a new authority in another directory',
      cause,
    })
  }
}
