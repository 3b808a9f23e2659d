// Reads a TLS ServerHello or HelloRetryRequest (RFC 8446 sections 4.1.3 and 4.1.4) out of a server's byte
// stream. Rule: undefined is "need more", `bad-request` is "this is not one".
import { ByteReader, malformed } from './byte-reader.ts'
import { EXTENSION, type TlsExtension } from './client-hello.ts'
import { locate, type Field } from './field.ts'
import { cipherSuiteName, groupName, versionName } from './tls-names.ts'
import { readHandshakeMessage } from './tls-records.ts'

export interface ServerHello {
  readonly legacyVersion: number
  /** The negotiated version: supported_versions where it is there, else the legacy one. */
  readonly version: number
  readonly random: Uint8Array
  readonly sessionId: Uint8Array
  readonly cipherSuite: number
  /** Undefined before TLS 1.3, and on a resumption without a key exchange. */
  readonly keyShareGroup: number | undefined
  /** True for a HelloRetryRequest: the real ServerHello follows from `end` on. */
  readonly helloRetryRequest: boolean
  readonly extensions: readonly TlsExtension[]
  readonly fields: readonly Field[]
  /** The handshake message with its four-byte header, without record framing. */
  readonly message: Uint8Array
  readonly offset: number
  readonly end: number
}

const SERVER_HELLO = 2
const RANDOM_BYTES = 32
const MAX_SESSION_ID_BYTES = 32
const MAX_SERVER_HELLO_BYTES = 2 + 32 + 33 + 2 + 1 + 2 + 0xffff
/** SHA-256 of "HelloRetryRequest" in place of the random (RFC 8446 section 4.1.3). */
const RETRY_RANDOM = 'cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c'

/**
 * The ServerHello at `start` (ChangeCipherSpec records before it are passed over), or undefined when more
 * bytes are needed. Fields: ssl.server_version, ssl.cipher, ssl.curve. Throws `bad-request` at anything else.
 */
export function dissectServerHello(bytes: Uint8Array, start = 0): ServerHello | undefined {
  const handshake = readHandshakeMessage(bytes, start, MAX_SERVER_HELLO_BYTES)
  if (handshake === undefined) return undefined
  const { type: messageType, message, body: hello, spans, offset, end } = handshake
  if (messageType !== SERVER_HELLO) throw malformed(`handshake message ${messageType} is not a ServerHello`)

  const fields: Field[] = []
  const note = (name: string, value: string, at: number, length: number): void => {
    const place = locate(spans, at, length)
    if (place !== undefined) fields.push({ name, value, ...place })
  }

  const reader = new ByteReader(hello, 'ServerHello')
  const legacyVersion = reader.u16()
  const random = reader.take(RANDOM_BYTES)
  const helloRetryRequest = Buffer.from(random).toString('hex') === RETRY_RANDOM
  const sessionId = reader.vector8()
  if (sessionId.length > MAX_SESSION_ID_BYTES)
    throw malformed('the ServerHello has a session id over 32 bytes')
  const cipherSuite = reader.u16()
  note('ssl.cipher', cipherSuiteName(cipherSuite), reader.offset - 2, 2)
  reader.u8()

  let version = legacyVersion
  let versionAt = 0
  let keyShareGroup: number | undefined
  const extensions: TlsExtension[] = []
  if (reader.remaining > 0) {
    if (reader.u16() !== reader.remaining) throw malformed('the extensions do not end with the ServerHello')
    while (reader.remaining > 0) {
      const type = reader.u16()
      const body = reader.vector16()
      extensions.push({ type, body })
      const at = reader.offset - body.length
      if (type === EXTENSION.supportedVersions) {
        version = new ByteReader(body, 'supported version').u16()
        versionAt = at
      }
      if (type === EXTENSION.keyShare) {
        keyShareGroup = new ByteReader(body, 'key share').u16()
        note('ssl.curve', groupName(keyShareGroup), at, 2)
      }
    }
  }
  note('ssl.server_version', versionName(version), versionAt, 2)
  const chosen = { version, cipherSuite, keyShareGroup, helloRetryRequest }
  return { legacyVersion, random, sessionId, ...chosen, extensions, fields, message, offset, end }
}
