// The part of TLS 1.3's key schedule that comes after the traffic secrets (RFC 8446 sections 7.1 to 7.3),
// and the key log that the secrets are read from. Rule: pure arithmetic; a secret that is missing is an
// error that names it.
import { createHmac } from 'node:crypto'
import { GatewayError } from '../../errors.ts'

export interface CipherSuite {
  readonly name: string
  readonly algorithm: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'
  readonly hash: 'sha256' | 'sha384'
  readonly hashBytes: 32 | 48
  readonly keyBytes: 16 | 32
}

export interface TrafficKeys {
  readonly key: Uint8Array
  readonly iv: Uint8Array
}

export type SecretLabel =
  | 'CLIENT_HANDSHAKE_TRAFFIC_SECRET'
  | 'SERVER_HANDSHAKE_TRAFFIC_SECRET'
  | 'CLIENT_TRAFFIC_SECRET_0'
  | 'SERVER_TRAFFIC_SECRET_0'

/** Looks a secret of one connection up; throws `tls-failed` where the log has none. */
export type SecretSource = (label: SecretLabel) => Uint8Array

// prettier-ignore
const CIPHER_SUITES: Readonly<Record<number, CipherSuite>> = {
  0x1301: { name: 'TLS_AES_128_GCM_SHA256', algorithm: 'aes-128-gcm', hash: 'sha256', hashBytes: 32, keyBytes: 16 },
  0x1302: { name: 'TLS_AES_256_GCM_SHA384', algorithm: 'aes-256-gcm', hash: 'sha384', hashBytes: 48, keyBytes: 32 },
  0x1303: { name: 'TLS_CHACHA20_POLY1305_SHA256', algorithm: 'chacha20-poly1305', hash: 'sha256', hashBytes: 32, keyBytes: 32 },
}
const IV_BYTES = 12
const KEY_LOG_LINE = /^([A-Z0-9_]+) ([0-9a-f]{64}) ([0-9a-f]{64}|[0-9a-f]{96})$/i

/** The suite of that number, or undefined for one that cannot be decrypted here (the CCM suites). */
export function cipherSuite(number: number): CipherSuite | undefined {
  return CIPHER_SUITES[number]
}

/** RFC 8446 section 7.1; `length` is at most the hash's, so HKDF-Expand (RFC 5869) needs one block. */
export function hkdfExpandLabel(
  hash: CipherSuite['hash'],
  secret: Uint8Array,
  label: string,
  length: number,
): Uint8Array {
  const name = Buffer.from(`tls13 ${label}`, 'latin1')
  const info = Buffer.concat([
    Buffer.from([length >>> 8, length & 0xff, name.length]),
    name,
    Buffer.from([0, 1]),
  ])
  return createHmac(hash, secret).update(info).digest().subarray(0, length)
}

/** RFC 8446 section 7.3. */
export function trafficKeys(suite: CipherSuite, secret: Uint8Array): TrafficKeys {
  return {
    key: hkdfExpandLabel(suite.hash, secret, 'key', suite.keyBytes),
    iv: hkdfExpandLabel(suite.hash, secret, 'iv', IV_BYTES),
  }
}

/** The secret after a KeyUpdate (RFC 8446 section 7.2). */
export function nextTrafficSecret(suite: CipherSuite, secret: Uint8Array): Uint8Array {
  return hkdfExpandLabel(suite.hash, secret, 'traffic upd', suite.hashBytes)
}

/**
 * The secrets of the connection whose ClientHello has `clientRandom`, out of an NSS key log (the lines of
 * Node's `keylog` event; other connections' lines, comments and unknown labels are passed over).
 */
export function readKeyLog(keylog: string, clientRandom: Uint8Array, suite: CipherSuite): SecretSource {
  const random = Buffer.from(clientRandom).toString('hex')
  const secrets = new Map<string, Uint8Array>()
  for (const line of keylog.split(/[\r\n]+/)) {
    const [, label = '', owner = '', secret = ''] = KEY_LOG_LINE.exec(line.trim()) ?? []
    if (owner.toLowerCase() === random) secrets.set(label, Buffer.from(secret, 'hex'))
  }
  return (label) => {
    const secret = secrets.get(label)
    if (secret === undefined) {
      throw new GatewayError('tls-failed', {
        detail: `the key log has no ${label} for this connection's client random`,
      })
    }
    if (secret.length !== suite.hashBytes) {
      throw new GatewayError('tls-failed', { detail: `the key log's ${label} does not fit ${suite.name}` })
    }
    return secret
  }
}
