// Writes DER for what no package here writes: PKCS#12 with P-256 keys, private keys under scrypt. Rule: shapes only;
// node-forge encodes, and its byte strings hold one character an octet.
import forge from 'node-forge'

const { asn1 } = forge
export type Asn1 = forge.asn1.Asn1

export function sequence(values: Asn1[]): Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, values)
}

export function set(values: Asn1[]): Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SET, true, values)
}

export function explicit0(value: Asn1): Asn1 {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, 0, true, [value])
}

export function oid(dotted: string): Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.OID, false, asn1.oidToDer(dotted).getBytes())
}

export function octets(bytes: string): Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.OCTETSTRING, false, bytes)
}

export function integer(value: number): Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.INTEGER, false, asn1.integerToDer(value).getBytes())
}

/** forge turns the text into UTF-16 itself. */
export function bmpString(text: string): Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.BMPSTRING, false, text)
}

export function der(value: Asn1): string {
  return asn1.toDer(value).getBytes()
}

export function binary(bytes: Buffer): string {
  return bytes.toString('latin1')
}
