// Reads a TLS ClientHello (RFC 8446 section 4.1.2) out of a client's byte stream, in as many records as it
// came. Rule: undefined is "need more", `bad-request` is "this is not one"; bytes after it are not looked at.
import { ByteReader, malformed, numbers16 } from './byte-reader.ts'
import { locate, type Field } from './field.ts'
import { cipherSuiteName, groupName, hex16, versionName } from './tls-names.ts'
import { readHandshakeMessage } from './tls-records.ts'

export interface TlsExtension {
  readonly type: number
  readonly body: Uint8Array
}

export interface ClientHello {
  readonly legacyVersion: number
  readonly random: Uint8Array
  readonly sessionId: Uint8Array
  readonly cipherSuites: readonly number[]
  /** In the order sent, GREASE among them. */
  readonly extensions: readonly TlsExtension[]
  /** The host_name of server_name (RFC 6066 section 3), undefined without one. */
  readonly serverName: string | undefined
  /** ALPN protocols (RFC 7301), one latin1 character a byte, so that nothing is lost. */
  readonly alpn: readonly string[]
  readonly supportedGroups: readonly number[]
  readonly signatureAlgorithms: readonly number[]
  readonly supportedVersions: readonly number[]
  readonly keyShareGroups: readonly number[]
  readonly fields: readonly Field[]
  /** The handshake message with its four-byte header, without record framing. */
  readonly message: Uint8Array
  /** First byte of the message in the stream (after the record header), and the first byte after it. */
  readonly offset: number
  readonly end: number
}

export const EXTENSION = {
  serverName: 0,
  supportedGroups: 10,
  signatureAlgorithms: 13,
  alpn: 16,
  supportedVersions: 43,
  keyShare: 51,
} as const

const CLIENT_HELLO = 1
/** Every vector of the message at its longest. */
const MAX_CLIENT_HELLO_BYTES = 2 + 32 + 33 + 2 + 0xfffe + 256 + 2 + 0xffff
const RANDOM_BYTES = 32
const MAX_SESSION_ID_BYTES = 32
const HOST_NAME = 0

/**
 * The ClientHello at `start`, or undefined when more bytes are needed. Fields: ssl.client_version,
 * ssl.client_random, ssl.client_ciphers, ssl.ssl_client_exts, ssl.server_name, ssl.orig_alpn,
 * ssl.client_curves, ssl.sigalgs, ssl.client_supported_versions, ssl.client_key_share_groups.
 * Throws `bad-request` at anything that is not a ClientHello.
 */
export function dissectClientHello(bytes: Uint8Array, start = 0): ClientHello | undefined {
  const handshake = readHandshakeMessage(bytes, start, MAX_CLIENT_HELLO_BYTES)
  if (handshake === undefined) return undefined
  const { type: messageType, message, body: hello, spans, offset, end } = handshake
  if (messageType !== CLIENT_HELLO) throw malformed(`handshake message ${messageType} is not a ClientHello`)

  const fields: Field[] = []
  const note = (name: string, value: string, at: number, length: number): void => {
    const place = locate(spans, at, length)
    if (place !== undefined) fields.push({ name, value, ...place })
  }

  const reader = new ByteReader(hello, 'ClientHello')
  const legacyVersion = reader.u16()
  if (legacyVersion >>> 8 !== 3) throw malformed(`${hex16(legacyVersion)} is not a TLS version`)
  note('ssl.client_version', versionName(legacyVersion), 0, 2)
  note('ssl.client_random', hex(hello.subarray(2, 2 + RANDOM_BYTES)), 2, RANDOM_BYTES)
  const random = reader.take(RANDOM_BYTES)
  const sessionId = reader.vector8()
  if (sessionId.length > MAX_SESSION_ID_BYTES)
    throw malformed('the ClientHello has a session id over 32 bytes')
  const cipherSuites = numbers16(reader.vector16(), 'cipher suite list')
  const ciphersLength = cipherSuites.length * 2
  note(
    'ssl.client_ciphers',
    names(cipherSuites, cipherSuiteName),
    reader.offset - ciphersLength,
    ciphersLength,
  )
  if (reader.vector8().length === 0) throw malformed('the ClientHello offers no compression method')

  const extensions: TlsExtension[] = []
  const seen = emptyContent()
  // A ClientHello of before RFC 3546 ends here.
  if (reader.remaining > 0) {
    const blockLength = reader.u16()
    const blockAt = reader.offset
    if (blockLength !== reader.remaining) throw malformed('the extensions do not end with the ClientHello')
    while (reader.remaining > 0) {
      const type = reader.u16()
      const body = reader.vector16()
      extensions.push({ type, body })
      readExtension(seen, type, body, reader.offset - body.length, note)
    }
    note(
      'ssl.ssl_client_exts',
      names(
        extensions.map((extension) => extension.type),
        hex16,
      ),
      blockAt,
      blockLength,
    )
  }
  return { legacyVersion, random, sessionId, cipherSuites, extensions, ...seen, fields, message, offset, end }
}

interface ExtensionContent {
  serverName: string | undefined
  alpn: readonly string[]
  supportedGroups: readonly number[]
  signatureAlgorithms: readonly number[]
  supportedVersions: readonly number[]
  keyShareGroups: readonly number[]
}

function emptyContent(): ExtensionContent {
  return {
    serverName: undefined,
    alpn: [],
    supportedGroups: [],
    signatureAlgorithms: [],
    supportedVersions: [],
    keyShareGroups: [],
  }
}

type Note = (name: string, value: string, at: number, length: number) => void

/** Reads one extension whose body stands at `at` in the message into `seen`; unknown ones pass. */
function readExtension(seen: ExtensionContent, type: number, body: Uint8Array, at: number, note: Note): void {
  const reader = new ByteReader(body, `extension ${type}`)
  switch (type) {
    case EXTENSION.serverName: {
      const list = new ByteReader(reader.vector16(), 'server name list')
      while (list.remaining > 0) {
        const nameType = list.u8()
        const name = list.vector16()
        if (nameType !== HOST_NAME) continue
        seen.serverName ??= latin1(name)
        note('ssl.server_name', latin1(name), at + 2 + list.offset - name.length, name.length)
      }
      break
    }
    case EXTENSION.alpn: {
      const list = new ByteReader(reader.vector16(), 'ALPN list')
      const protocols: string[] = []
      while (list.remaining > 0) protocols.push(latin1(list.vector8()))
      seen.alpn = protocols
      note('ssl.orig_alpn', protocols.join(','), at + 2, body.length - 2)
      break
    }
    case EXTENSION.supportedGroups:
      seen.supportedGroups = numbers16(reader.vector16(), 'group list')
      note('ssl.client_curves', names(seen.supportedGroups, groupName), at + 2, body.length - 2)
      break
    case EXTENSION.signatureAlgorithms:
      seen.signatureAlgorithms = numbers16(reader.vector16(), 'signature algorithm list')
      note('ssl.sigalgs', names(seen.signatureAlgorithms, hex16), at + 2, body.length - 2)
      break
    case EXTENSION.supportedVersions:
      seen.supportedVersions = numbers16(reader.vector8(), 'version list')
      note(
        'ssl.client_supported_versions',
        names(seen.supportedVersions, versionName),
        at + 1,
        body.length - 1,
      )
      break
    case EXTENSION.keyShare: {
      const list = new ByteReader(reader.vector16(), 'key share list')
      const groups: number[] = []
      while (list.remaining > 0) {
        groups.push(list.u16())
        list.vector16()
      }
      seen.keyShareGroups = groups
      note('ssl.client_key_share_groups', names(groups, groupName), at + 2, body.length - 2)
      break
    }
    default:
      return
  }
  reader.end()
}

function names(numbers: readonly number[], name: (number: number) => string): string {
  return numbers.map(name).join(',')
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
