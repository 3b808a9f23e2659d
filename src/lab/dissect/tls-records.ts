// Walks over the TLS records of a byte stream and joins handshake messages from them (RFC 8446 section 5.1).
// Rule: reads whole records only; a record that the capture cut short is "need more", not an error.
import { malformed } from './byte-reader.ts'
import type { Span } from './field.ts'

export const CONTENT_TYPE = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23 } as const

export interface TlsRecord {
  readonly type: number
  /** The legacy record version, 0x0301 or 0x0303. */
  readonly version: number
  /** First byte of the five-byte header in the stream. */
  readonly offset: number
  readonly fragment: Uint8Array
  /** First byte after the record in the stream. */
  readonly end: number
}

export interface HandshakeMessage {
  readonly type: number
  /** With its four-byte header, without record framing. */
  readonly message: Uint8Array
  /** Without the header. */
  readonly body: Uint8Array
  /** From `body` to the stream. */
  readonly spans: readonly Span[]
  /** First byte of the message's own header in the stream, and the first byte after the message. */
  readonly offset: number
  readonly end: number
}

export const RECORD_HEADER_BYTES = 5
const MESSAGE_HEADER_BYTES = 4
/** TLS 1.2's limit (RFC 5246 section 6.2.3); TLS 1.3's is lower, but the version is not known here. */
const MAX_FRAGMENT_BYTES = 0x4000 + 0x800
const LAST_CONTENT_TYPE = 24

/**
 * The whole records of `bytes` from `start` on, in order; ends before a record that is cut short.
 * Throws `bad-request` at bytes that cannot be a record header.
 */
export function* tlsRecords(bytes: Uint8Array, start = 0): Generator<TlsRecord> {
  let offset = start
  while (offset < bytes.length) {
    const [type = 0, major = 3, minor = 0, high, low] = bytes.subarray(offset, offset + RECORD_HEADER_BYTES)
    if (type < CONTENT_TYPE.changeCipherSpec || type > LAST_CONTENT_TYPE || major !== 3) {
      throw malformed(`the bytes at offset ${offset} are not a TLS record`)
    }
    if (high === undefined || low === undefined) return
    const length = high * 0x100 + low
    if (length > MAX_FRAGMENT_BYTES) throw malformed(`the TLS record at offset ${offset} is too long`)
    const end = offset + RECORD_HEADER_BYTES + length
    if (end > bytes.length) return
    const fragment = bytes.subarray(offset + RECORD_HEADER_BYTES, end)
    yield { type, version: major * 0x100 + minor, offset, fragment, end }
    offset = end
  }
}

/**
 * The first cleartext handshake message from `start` on, joined where it spans records; ChangeCipherSpec
 * records before it are passed over (RFC 8446 appendix D.4). Undefined when more bytes are needed. Throws
 * `bad-request` where something else than a handshake message stands there, or one above `maxBytes`.
 */
export function readHandshakeMessage(
  bytes: Uint8Array,
  start: number,
  maxBytes: number,
): HandshakeMessage | undefined {
  const pieces: Uint8Array[] = []
  const spans: Span[] = []
  let held = 0
  for (const record of tlsRecords(bytes, start)) {
    if (record.type === CONTENT_TYPE.changeCipherSpec && held === 0) continue
    if (record.type !== CONTENT_TYPE.handshake || record.fragment.length === 0) {
      throw malformed(`the TLS record at offset ${record.offset} does not carry a handshake message`)
    }
    pieces.push(record.fragment)
    spans.push({ at: held, offset: record.offset + RECORD_HEADER_BYTES, length: record.fragment.length })
    held += record.fragment.length
    if (held < MESSAGE_HEADER_BYTES) continue
    const joined = Buffer.concat(pieces)
    const length = joined.readUIntBE(1, 3)
    if (length > maxBytes) throw malformed(`a handshake message of ${length} bytes is too long`)
    if (held < MESSAGE_HEADER_BYTES + length) continue
    const end = MESSAGE_HEADER_BYTES + length
    const last = spans.at(-1)
    return {
      type: joined.readUInt8(0),
      message: joined.subarray(0, end),
      body: joined.subarray(MESSAGE_HEADER_BYTES, end),
      spans: bodySpans(spans, end),
      offset: spans[0]?.offset ?? start,
      end: last === undefined ? start : last.offset + (end - last.at),
    }
  }
  return undefined
}

/** Spans of the message without its header, which may itself lie across records. */
function bodySpans(spans: readonly Span[], end: number): Span[] {
  const cut: Span[] = []
  for (const span of spans) {
    const from = Math.max(span.at, MESSAGE_HEADER_BYTES)
    const to = Math.min(span.at + span.length, end)
    if (to <= from) continue
    cut.push({ at: from - MESSAGE_HEADER_BYTES, offset: span.offset + (from - span.at), length: to - from })
  }
  return cut
}
