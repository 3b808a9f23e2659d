// Reads a certificate revocation list (RFC 5280 section 5) into a set of serials. Rule: what it does not
// understand it refuses: a list with a critical extension (a delta, a partition, an indirect list) looks
// complete and is not, and would let revoked clients in.
import { verify, type KeyObject } from 'node:crypto'
import { GatewayError } from '../errors.ts'
import { DER_TAG, DerReader, derTime, type DerValue } from './der.ts'
import { pemBlocks } from './pem.ts'
import { normaliseSerial } from './serial.ts'

export interface RevocationList {
  readonly thisUpdate: Date
  readonly nextUpdate: Date
  /** CRL number (RFC 5280 5.2.3): of two lists of one authority the greater is the later; undefined where it has none. */
  readonly number: number | undefined
  /** Lower-case hex without leading zeros. */
  readonly serials: ReadonlySet<string>
  /** The whole of it, as it was read. */
  readonly der: Uint8Array
  /** Whether this key made the list's signature. */
  isSignedBy(key: KeyObject): boolean
}

interface Signature {
  readonly keyType: string
  readonly digest: string | null
}

/** 2.5.29.20 */
const CRL_NUMBER_OID = '551d14'

/** By the hex of the algorithm's OID: RFC 5758, RFC 4055, RFC 8410. */
const SIGNATURES: Readonly<Record<string, Signature>> = {
  '2a8648ce3d040302': { keyType: 'ec', digest: 'sha256' },
  '2a8648ce3d040303': { keyType: 'ec', digest: 'sha384' },
  '2a8648ce3d040304': { keyType: 'ec', digest: 'sha512' },
  '2a864886f70d01010b': { keyType: 'rsa', digest: 'sha256' },
  '2a864886f70d01010c': { keyType: 'rsa', digest: 'sha384' },
  '2a864886f70d01010d': { keyType: 'rsa', digest: 'sha512' },
  '2b6570': { keyType: 'ed25519', digest: null },
}

/**
 * Reads the lists of a PEM text (one block or more) or of DER bytes (one). With `keys`, none that they have not signed: it
 * is refused before its entries are read, which takes long where there are many. Throws GatewayError `pki-invalid`
 * for what is no list, `revocation-list-unusable` for one that cannot be relied on.
 */
export function readRevocationLists(
  source: string | Uint8Array,
  keys?: readonly KeyObject[],
): RevocationList[] {
  if (typeof source !== 'string' && source[0] === DER_TAG.sequence)
    return [decodeRevocationList(source, keys)]
  const text = typeof source === 'string' ? source : Buffer.from(source).toString('latin1')
  return pemBlocks(text, 'X509 CRL').map((der) => decodeRevocationList(der, keys))
}

function decodeRevocationList(der: Uint8Array, keys: readonly KeyObject[] | undefined): RevocationList {
  const file = new DerReader(der)
  const outer = new DerReader(file.take(DER_TAG.sequence).content)
  file.end()
  const signed = outer.take(DER_TAG.sequence)
  const algorithm = outer.take(DER_TAG.sequence)
  const bits = outer.take(DER_TAG.bitString).content
  outer.end()
  if (bits[0] !== 0) throw unusable('its signature is not whole bytes')

  const { keyType, digest } = signatureOf(algorithm)
  const isSignedBy = (key: KeyObject): boolean =>
    key.asymmetricKeyType === keyType && verify(digest, signed.raw, key, bits.subarray(1))
  if (keys !== undefined && !keys.some(isSignedBy)) throw unusable('none of the authorities has signed it')

  const list = new DerReader(signed.content)
  list.takeIf(DER_TAG.integer)
  const signedAlgorithm = list.take(DER_TAG.sequence)
  if (Buffer.compare(signedAlgorithm.raw, algorithm.raw) !== 0)
    throw unusable('it names two signature algorithms')
  list.take(DER_TAG.sequence)
  const thisUpdate = takeTime(list)
  const nextUpdate = takeTime(list)
  if (!thisUpdate || !nextUpdate) throw unusable('it does not say when the next one is due')
  const serials = decodeEntries(list.takeIf(DER_TAG.sequence)?.content)
  const extensions = list.takeIf(DER_TAG.context0)
  list.end()
  const extensionList = extensions && new DerReader(extensions.content).take(DER_TAG.sequence)
  if (extensionList) refuseCritical(extensionList)

  return {
    thisUpdate,
    nextUpdate,
    number: extensionList && numberOf(extensionList),
    serials,
    der,
    isSignedBy,
  }
}

function decodeEntries(content: Uint8Array | undefined): Set<string> {
  const serials = new Set<string>()
  const entries = new DerReader(content ?? new Uint8Array())
  while (entries.tag !== undefined) {
    const entry = new DerReader(entries.take(DER_TAG.sequence).content)
    serials.add(normaliseSerial(Buffer.from(entry.take(DER_TAG.integer).content).toString('hex')))
    takeTime(entry)
    const extensions = entry.takeIf(DER_TAG.sequence)
    if (extensions) refuseCritical(extensions)
    entry.end()
  }
  return serials
}

/** Extension ::= SEQUENCE { extnID, critical BOOLEAN DEFAULT FALSE, extnValue } (RFC 5280 4.1). */
function refuseCritical(extensions: DerValue): void {
  const list = new DerReader(extensions.content)
  while (list.tag !== undefined) {
    const extension = new DerReader(list.take(DER_TAG.sequence).content)
    extension.take(DER_TAG.oid)
    const critical = extension.takeIf(DER_TAG.boolean)
    if (critical && critical.content[0] !== 0) throw unusable('it is a partial list (a critical extension)')
  }
}

function numberOf(extensions: DerValue): number | undefined {
  const list = new DerReader(extensions.content)
  while (list.tag !== undefined) {
    const extension = new DerReader(list.take(DER_TAG.sequence).content)
    const id = Buffer.from(extension.take(DER_TAG.oid).content).toString('hex')
    extension.takeIf(DER_TAG.boolean)
    const value = new DerReader(extension.take(DER_TAG.octetString).content)
    if (id !== CRL_NUMBER_OID) continue
    const number = Number(`0x${Buffer.from(value.take(DER_TAG.integer).content).toString('hex') || '0'}`)
    return Number.isSafeInteger(number) ? number : undefined
  }
  return undefined
}

function takeTime(reader: DerReader): Date | undefined {
  const value = reader.takeIf(DER_TAG.utcTime) ?? reader.takeIf(DER_TAG.generalizedTime)
  return value && derTime(value)
}

function signatureOf(algorithm: DerValue): Signature {
  const oid = Buffer.from(new DerReader(algorithm.content).take(DER_TAG.oid).content).toString('hex')
  const signature = SIGNATURES[oid]
  if (!signature) throw unusable('its signature algorithm is not known (ECDSA, RSA PKCS#1 and Ed25519 are)')
  return signature
}

function unusable(what: string): GatewayError {
  return new GatewayError('revocation-list-unusable', {
    detail: `the revocation list cannot be used: ${what}`,
    hint: 'write a whole one, signed by the authority: `sightline pki crl`',
  })
}
