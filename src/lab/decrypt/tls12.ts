// Decrypts one captured TLS 1.2 connection from both directions' bytes and its key log: the lab's positive control for a
// client that speaks the older version. Rule: it cannot pretend; every byte that it gives passed the AEAD tag of the
// record that held it, and the cleartext handshake is held to the client's Finished wherever that was captured.
import { createDecipheriv, createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { GatewayError } from '../../errors.ts'
import { dissectClientHello } from '../dissect/client-hello.ts'
import type { Span } from '../dissect/field.ts'
import { dissectServerHello } from '../dissect/server-hello.ts'
import { CONTENT_TYPE, RECORD_HEADER_BYTES, tlsRecords, type TlsRecord } from '../dissect/tls-records.ts'
import { failed } from './record-protection.ts'
import type { Tls13Capture, Tls13Plaintext } from './tls13.ts'

interface Suite {
  readonly name: string
  readonly algorithm: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'
  readonly hash: 'sha256' | 'sha384'
  readonly keyBytes: 16 | 32
  /** Of the nonce that comes from the key block, and of that which stands in each record. */
  readonly saltBytes: 4 | 12
  readonly explicitBytes: 8 | 0
}

const AES_128 = {
  algorithm: 'aes-128-gcm',
  hash: 'sha256',
  keyBytes: 16,
  saltBytes: 4,
  explicitBytes: 8,
} as const
const AES_256 = {
  algorithm: 'aes-256-gcm',
  hash: 'sha384',
  keyBytes: 32,
  saltBytes: 4,
  explicitBytes: 8,
} as const
const CHACHA = {
  algorithm: 'chacha20-poly1305',
  hash: 'sha256',
  keyBytes: 32,
  saltBytes: 12,
  explicitBytes: 0,
} as const

/** The suites with authenticated encryption and ephemeral keys (RFC 5289, RFC 7905): those that Node offers first. */
const SUITES: Readonly<Record<number, Suite>> = {
  0xc02b: { name: 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', ...AES_128 },
  0xc02c: { name: 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', ...AES_256 },
  0xc02f: { name: 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', ...AES_128 },
  0xc030: { name: 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', ...AES_256 },
  0xcca8: { name: 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', ...CHACHA },
  0xcca9: { name: 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', ...CHACHA },
}
const TLS12 = 0x0303
const TAG_BYTES = 16
const VERIFY_BYTES = 12
const MESSAGE_HEADER_BYTES = 4
const MESSAGE = { serverHelloDone: 14, finished: 20 } as const
const KEY_LOG_LINE = /^CLIENT_RANDOM ([0-9a-f]{64}) ([0-9a-f]{96})$/gim

/**
 * Decrypts a capture; a last record that was cut short is left out. Throws `tls-failed` where an authentication tag or
 * the client's Finished fails, the secret is missing, the suite is another, or nothing encrypted was captured;
 * `tls-version` for another version; `bad-request` where the bytes are not TLS.
 */
export function decryptTls12({
  clientBytes,
  serverBytes,
  keylog,
}: Tls13Capture): Pick<Tls13Plaintext, 'client' | 'server' | 'spans' | 'handshake' | 'cipher'> {
  const clientHello = dissectClientHello(clientBytes)
  const serverHello = dissectServerHello(serverBytes)
  if (clientHello === undefined || serverHello === undefined)
    throw failed('the capture ends before both hellos')
  if (serverHello.version !== TLS12)
    throw new GatewayError('tls-version', { detail: 'the captured connection is not TLS 1.2' })
  const suite = SUITES[serverHello.cipherSuite]
  if (suite === undefined)
    throw failed('the cipher suite of the captured connection cannot be decrypted here')
  const random = Buffer.from(clientHello.random).toString('hex')
  const line = [...keylog.matchAll(KEY_LOG_LINE)].find(([, owner]) => owner?.toLowerCase() === random)
  const master = Buffer.from(line?.[2] ?? '', 'hex')
  if (master.length === 0)
    throw failed("the key log has no CLIENT_RANDOM for this connection's client random")
  // RFC 5246 section 6.3: client key, server key, client IV, server IV.
  const { keyBytes, saltBytes } = suite
  const seed = Buffer.concat([serverHello.random, clientHello.random])
  const block = prf(suite, master, 'key expansion', seed, 2 * (keyBytes + saltBytes))
  const cut = (at: number, length: number): Buffer => block.subarray(at, at + length)
  const client = new Direction(suite, cut(0, keyBytes), cut(2 * keyBytes, saltBytes))
  const server = new Direction(suite, cut(keyBytes, keyBytes), cut(2 * keyBytes + saltBytes, saltBytes))
  client.read(clientBytes)
  server.read(serverBytes)
  if (client.opened + server.opened === 0) throw failed('the capture holds no encrypted record')
  verifyFinished(suite, master, client.messages, server.messages)
  return {
    client: client.plaintext(),
    server: server.plaintext(),
    spans: { client: client.spans, server: server.spans },
    handshake: { client: client.messages, server: server.messages },
    cipher: suite.name,
  }
}

/** RFC 5246 section 5. */
function prf(suite: Suite, secret: Uint8Array, label: string, seed: Uint8Array, length: number): Buffer {
  const hmac = (data: Uint8Array): Buffer => createHmac(suite.hash, secret).update(data).digest()
  const labelled = Buffer.concat([Buffer.from(label, 'latin1'), seed])
  const pieces: Buffer[] = []
  let held = 0
  for (let a = hmac(labelled); held < length; a = hmac(a)) {
    const piece = hmac(Buffer.concat([a, labelled]))
    pieces.push(piece)
    held += piece.length
  }
  return Buffer.concat(pieces).subarray(0, length)
}

/** One direction: in clear up to its ChangeCipherSpec, protected from there on (RFC 5246 section 6.2.3.3). */
class Direction {
  readonly messages: Uint8Array[] = []
  readonly spans: Span[] = []
  /** Records whose tag held. */
  opened = 0
  readonly #pieces: Uint8Array[] = []
  #plaintextBytes = 0
  readonly #suite: Suite
  readonly #key: Buffer
  readonly #salt: Buffer
  #sequence = 0n
  #isProtected = false
  #partial: Buffer = Buffer.alloc(0)

  constructor(suite: Suite, key: Buffer, salt: Buffer) {
    this.#suite = suite
    this.#key = key
    this.#salt = salt
  }

  plaintext(): Uint8Array {
    return Buffer.concat(this.#pieces)
  }

  read(bytes: Uint8Array): void {
    for (const record of tlsRecords(bytes)) {
      if (record.type === CONTENT_TYPE.changeCipherSpec) {
        this.#isProtected = true
        continue
      }
      const content = this.#isProtected ? this.#open(record) : record.fragment
      if (record.type === CONTENT_TYPE.handshake) this.#readHandshake(content)
      else if (record.type === CONTENT_TYPE.applicationData && this.#isProtected) this.#keep(record, content)
    }
  }

  #open({ type, version, fragment, offset }: TlsRecord): Buffer {
    const { algorithm, explicitBytes } = this.#suite
    const length = fragment.length - explicitBytes - TAG_BYTES
    if (length < 0) throw failed(`the record at offset ${offset} is too short to be encrypted`)
    const associated = Buffer.alloc(13)
    associated.writeBigUInt64BE(this.#sequence, 0)
    associated.writeUInt8(type, 8)
    associated.writeUInt16BE(version, 9)
    associated.writeUInt16BE(length, 11)
    const ciphertext = fragment.subarray(explicitBytes, explicitBytes + length)
    const nonce = this.#nonce(fragment)
    const decipher =
      algorithm === 'chacha20-poly1305'
        ? createDecipheriv(algorithm, this.#key, nonce, { authTagLength: TAG_BYTES })
        : createDecipheriv(algorithm, this.#key, nonce, { authTagLength: TAG_BYTES })
    decipher.setAAD(associated, { plaintextLength: length })
    decipher.setAuthTag(fragment.subarray(explicitBytes + length))
    const content = decipher.update(ciphertext)
    try {
      decipher.final()
    } catch (cause) {
      const detail = `the authentication tag failed for the record at offset ${offset}: the key is not this connection's`
      throw new GatewayError('tls-failed', { cause, detail })
    }
    this.#sequence += 1n
    this.opened += 1
    return content
  }

  /** Salt and what stands in the record (RFC 5288 section 3); or the IV with the sequence number (RFC 7905 section 2). */
  #nonce(fragment: Uint8Array): Buffer {
    const { explicitBytes } = this.#suite
    if (explicitBytes > 0) return Buffer.concat([this.#salt, fragment.subarray(0, explicitBytes)])
    const nonce = Buffer.from(this.#salt)
    nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ this.#sequence, 4)
    return nonce
  }

  #keep(record: TlsRecord, content: Uint8Array): void {
    if (content.length === 0) return
    const offset = record.offset + RECORD_HEADER_BYTES + this.#suite.explicitBytes
    this.spans.push({ at: this.#plaintextBytes, offset, length: content.length })
    this.#pieces.push(content)
    this.#plaintextBytes += content.length
  }

  #readHandshake(content: Uint8Array): void {
    this.#partial = Buffer.concat([this.#partial, content])
    while (this.#partial.length >= MESSAGE_HEADER_BYTES) {
      const end = MESSAGE_HEADER_BYTES + this.#partial.readUIntBE(1, 3)
      if (this.#partial.length < end) return
      this.messages.push(this.#partial.subarray(0, end))
      this.#partial = this.#partial.subarray(end)
    }
  }
}

/** RFC 5246 section 7.4.9, for a full handshake: everything up to the client's Finished, in the order it was sent. */
function verifyFinished(
  suite: Suite,
  master: Uint8Array,
  client: readonly Uint8Array[],
  server: readonly Uint8Array[],
): void {
  const typeIs = (type: number) => (message: Uint8Array) => message[0] === type
  const done = server.findIndex(typeIs(MESSAGE.serverHelloDone))
  const finished = client.findIndex(typeIs(MESSAGE.finished))
  const message = client[finished]
  if (done === -1 || message === undefined) return
  const [hello = new Uint8Array(), ...others] = client.slice(0, finished)
  const transcript = Buffer.concat([hello, ...server.slice(0, done + 1), ...others])
  const hash = createHash(suite.hash).update(transcript).digest()
  const expected = prf(suite, master, 'client finished', hash, VERIFY_BYTES)
  const given = message.subarray(MESSAGE_HEADER_BYTES)
  if (given.length !== VERIFY_BYTES || !timingSafeEqual(given, expected))
    throw failed('the handshake in the capture is not the one that the client finished')
}
