// Decrypts one captured TLS 1.3 connection from both directions' bytes and its key log: the lab's positive
// control. Rule: it cannot pretend; every byte that it gives passed the AEAD tag of the record that held it,
// and the cleartext hellos are held to the Finished messages wherever these were captured.
import { GatewayError } from '../../errors.ts'
import { dissectClientHello } from '../dissect/client-hello.ts'
import type { Span } from '../dissect/field.ts'
import { dissectServerHello } from '../dissect/server-hello.ts'
import { groupName } from '../dissect/tls-names.ts'
import { CONTENT_TYPE, RECORD_HEADER_BYTES, tlsRecords } from '../dissect/tls-records.ts'
import { verifyFinished } from './finished.ts'
import { cipherSuite, readKeyLog, type CipherSuite, type SecretSource } from './key-schedule.ts'
import { failed, RecordProtection } from './record-protection.ts'

export interface Tls13Capture {
  /** Raw TCP bytes from the client, from the first byte of its ClientHello on. */
  readonly clientBytes: Uint8Array
  /** Raw TCP bytes from the server, from the first byte of its first record on. */
  readonly serverBytes: Uint8Array
  /** NSS key log lines. */
  readonly keylog: string
}

export interface TlsAlert {
  /** RFC 8446 section 6: 0 is close_notify, 42 bad_certificate, 116 certificate_required. */
  readonly description: number
  readonly encrypted: boolean
}

interface BothSides<T> {
  readonly client: T
  readonly server: T
}

export interface Tls13Plaintext {
  /** Application data. */
  readonly client: Uint8Array
  readonly server: Uint8Array
  /**
   * From application data to the ciphertext that carried it, byte for byte (every suite is a stream
   * cipher).
   */
  readonly spans: BothSides<readonly Span[]>
  /** Whole handshake messages with their four-byte headers, hellos and post-handshake messages among them. */
  readonly handshake: BothSides<Uint8Array[]>
  /** The server's Finished was captured and fits the hellos; false for a capture that ends before it. */
  readonly hellosVerified: boolean
  readonly alerts: BothSides<TlsAlert[]>
  /** IANA name, such as `TLS_AES_256_GCM_SHA384`. */
  readonly cipher: string
  /** IANA name of the key exchange group; undefined on a resumption without one. */
  readonly group: string | undefined
}

const TLS13 = 0x0304
const EARLY_DATA = 42
const MESSAGE = { finished: 20, keyUpdate: 24 } as const
const MESSAGE_HEADER_BYTES = 4

/**
 * Decrypts a capture; a last record that was cut short is left out. Throws `tls-failed` where an
 * authentication tag or a Finished fails, a secret is missing, or nothing encrypted was captured;
 * `tls-version` for another version; `bad-request` where the bytes are not TLS. Early data (0-RTT) is not
 * decrypted: `tls-failed`.
 */
export function decryptTls13(capture: Tls13Capture): Tls13Plaintext {
  const { clientBytes, serverBytes, keylog } = capture
  const clientHellos = [need(dissectClientHello(clientBytes), 'ClientHello')]
  const serverHellos = [need(dissectServerHello(serverBytes), 'ServerHello')]
  if (serverHellos[0]?.helloRetryRequest === true) {
    clientHellos.push(need(dissectClientHello(clientBytes, clientHellos[0]?.end), 'second ClientHello'))
    serverHellos.push(
      need(dissectServerHello(serverBytes, serverHellos[0].end), 'ServerHello after the retry'),
    )
  }
  const clientHello = need(clientHellos.at(-1), 'ClientHello')
  const serverHello = need(serverHellos.at(-1), 'ServerHello')
  if (serverHello.version !== TLS13) {
    throw new GatewayError('tls-version', { detail: 'the captured connection is not TLS 1.3' })
  }
  const suite = cipherSuite(serverHello.cipherSuite)
  if (suite === undefined)
    throw failed('the cipher suite of the captured connection cannot be decrypted here')
  if (clientHello.extensions.some((extension) => extension.type === EARLY_DATA)) {
    throw failed('the captured client sent early data, which is not decrypted here')
  }

  const secrets = readKeyLog(keylog, clientHello.random, suite)
  const client = new Direction(
    'CLIENT',
    suite,
    secrets,
    clientHellos.map((hello) => hello.message),
  )
  const server = new Direction(
    'SERVER',
    suite,
    secrets,
    serverHellos.map((hello) => hello.message),
  )
  client.read(clientBytes, clientHello.end)
  server.read(serverBytes, serverHello.end)
  if (client.opened + server.opened === 0) throw failed('the capture holds no encrypted record')
  const hellosVerified = verifyFinished(suite, secrets, client.messages, server.messages)
  return {
    client: client.plaintext(),
    server: server.plaintext(),
    spans: { client: client.spans, server: server.spans },
    handshake: { client: client.messages, server: server.messages },
    hellosVerified,
    alerts: { client: client.alerts, server: server.alerts },
    cipher: suite.name,
    group: serverHello.keyShareGroup === undefined ? undefined : groupName(serverHello.keyShareGroup),
  }
}

/** One direction after its last hello: handshake keys up to Finished, application keys from there on. */
class Direction {
  readonly messages: Uint8Array[]
  readonly alerts: TlsAlert[] = []
  readonly spans: Span[] = []
  /** Records whose tag held. */
  opened = 0
  readonly #pieces: Uint8Array[] = []
  #plaintextBytes = 0
  readonly #side: 'CLIENT' | 'SERVER'
  readonly #secrets: SecretSource
  readonly #protection: RecordProtection
  #finished = false
  /** Of a handshake message that goes on in the next record. */
  #partial: Buffer = Buffer.alloc(0)

  constructor(side: 'CLIENT' | 'SERVER', suite: CipherSuite, secrets: SecretSource, hellos: Uint8Array[]) {
    this.#side = side
    this.#secrets = secrets
    this.#protection = new RecordProtection(suite, secrets(`${side}_HANDSHAKE_TRAFFIC_SECRET`))
    this.messages = hellos
  }

  plaintext(): Uint8Array {
    return Buffer.concat(this.#pieces)
  }

  read(bytes: Uint8Array, start: number): void {
    for (const record of tlsRecords(bytes, start)) {
      // RFC 8446 section 5: a ChangeCipherSpec is a relic of compatibility, outside the protection.
      if (record.type === CONTENT_TYPE.changeCipherSpec) continue
      if (record.type === CONTENT_TYPE.alert) {
        this.#noteAlert(record.fragment, false)
        continue
      }
      if (record.type !== CONTENT_TYPE.applicationData) {
        throw failed(`the record at offset ${record.offset} should be encrypted and is not`)
      }
      const { type, content } = this.#protection.open(record)
      this.opened += 1
      if (type === CONTENT_TYPE.handshake) this.#readHandshake(content)
      else if (this.#partial.length > 0) throw failed('another record stands inside a handshake message')
      else if (type === CONTENT_TYPE.alert) this.#noteAlert(content, true)
      else if (type === CONTENT_TYPE.applicationData) this.#keep(content, record.offset + RECORD_HEADER_BYTES)
      else throw failed(`content type ${type} cannot stand in an encrypted record`)
    }
  }

  #keep(content: Uint8Array, offset: number): void {
    if (!this.#finished) throw failed('application data stands before the end of the handshake')
    if (content.length === 0) return
    this.spans.push({ at: this.#plaintextBytes, offset, length: content.length })
    this.#pieces.push(content)
    this.#plaintextBytes += content.length
  }

  #noteAlert(content: Uint8Array, encrypted: boolean): void {
    const description = content[1]
    if (description !== undefined) this.alerts.push({ description, encrypted })
  }

  #readHandshake(content: Uint8Array): void {
    this.#partial = Buffer.concat([this.#partial, content])
    while (this.#partial.length >= MESSAGE_HEADER_BYTES) {
      const end = MESSAGE_HEADER_BYTES + this.#partial.readUIntBE(1, 3)
      if (this.#partial.length < end) return
      const message = this.#partial.subarray(0, end)
      this.#partial = this.#partial.subarray(end)
      this.messages.push(message)
      const type = message.readUInt8(0)
      if (type === MESSAGE.finished || type === MESSAGE.keyUpdate) this.#changeKeys(type)
    }
  }

  #changeKeys(type: number): void {
    // RFC 8446 section 5.1: no record holds bytes from both sides of a key change.
    if (this.#partial.length > 0) throw failed('a handshake message goes on across a change of keys')
    if ((type === MESSAGE.keyUpdate) !== this.#finished)
      throw failed('a handshake message stands in the wrong place')
    if (type === MESSAGE.keyUpdate) this.#protection.update()
    else this.#protection.useSecret(this.#secrets(`${this.#side}_TRAFFIC_SECRET_0`))
    this.#finished = true
  }
}

function need<T>(found: T | undefined, what: string): T {
  if (found === undefined) throw failed(`the capture ends before its ${what}`)
  return found
}
