// Undoes TLS 1.3 record protection (RFC 8446 section 5.2) in one direction. Rule: what comes out passed its
// authentication tag; where the tag fails there is an error and no bytes.
import { createDecipheriv } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import { RECORD_HEADER_BYTES, type TlsRecord } from '../dissect/tls-records.ts'
import { nextTrafficSecret, trafficKeys, type CipherSuite, type TrafficKeys } from './key-schedule.ts'

export interface InnerPlaintext {
  readonly type: number
  /** Without the inner type and padding; byte i is ciphertext byte i of the record's fragment. */
  readonly content: Uint8Array
}

const TAG_BYTES = 16
const COUNTER_BYTES = 8

export class RecordProtection {
  readonly #suite: CipherSuite
  #secret: Uint8Array
  #keys: TrafficKeys
  #sequence = 0n

  constructor(suite: CipherSuite, secret: Uint8Array) {
    this.#suite = suite
    this.#secret = secret
    this.#keys = trafficKeys(suite, secret)
  }

  /** A new secret starts the sequence anew (RFC 8446 section 5.3). */
  useSecret(secret: Uint8Array): void {
    this.#secret = secret
    this.#keys = trafficKeys(this.#suite, secret)
    this.#sequence = 0n
  }

  /** After a KeyUpdate. */
  update(): void {
    this.useSecret(nextTrafficSecret(this.#suite, this.#secret))
  }

  /**
   * Throws `tls-failed` where the authentication tag does not hold, or no inner type stands in the record.
   */
  open(record: TlsRecord): InnerPlaintext {
    const { fragment, version, type, offset } = record
    if (fragment.length <= TAG_BYTES)
      throw failed(`the record at offset ${offset} is too short to be encrypted`)
    const header = Buffer.alloc(RECORD_HEADER_BYTES)
    header.writeUInt8(type, 0)
    header.writeUInt16BE(version, 1)
    header.writeUInt16BE(fragment.length, 3)
    const inner = this.#decrypt(header, fragment, offset)
    this.#sequence += 1n
    let end = inner.length
    while (end > 0 && inner[end - 1] === 0) end -= 1
    if (end === 0) throw failed(`the record at offset ${offset} has no content type inside`)
    return { type: inner.readUInt8(end - 1), content: inner.subarray(0, end - 1) }
  }

  #decrypt(header: Buffer, fragment: Uint8Array, offset: number): Buffer {
    const { key, iv } = this.#keys
    const nonce = Buffer.from(iv)
    const counterAt = nonce.length - COUNTER_BYTES
    nonce.writeBigUInt64BE(nonce.readBigUInt64BE(counterAt) ^ this.#sequence, counterAt)
    const decipher = this.#decipher(key, nonce)
    decipher.setAAD(header, { plaintextLength: fragment.length - TAG_BYTES })
    decipher.setAuthTag(fragment.subarray(fragment.length - TAG_BYTES))
    const inner = decipher.update(fragment.subarray(0, fragment.length - TAG_BYTES))
    try {
      decipher.final()
    } catch (cause) {
      const detail = `the authentication tag failed for the record at offset ${offset}: the key is not this connection's`
      throw new GatewayError('tls-failed', { cause, detail })
    }
    return inner
  }

  #decipher(key: Uint8Array, nonce: Uint8Array) {
    const { algorithm } = this.#suite
    if (algorithm === 'chacha20-poly1305')
      return createDecipheriv(algorithm, key, nonce, { authTagLength: TAG_BYTES })
    return createDecipheriv(algorithm, key, nonce, { authTagLength: TAG_BYTES })
  }
}

/** The one error of a capture that cannot be decrypted. */
export function failed(detail: string): GatewayError {
  return new GatewayError('tls-failed', { detail })
}
