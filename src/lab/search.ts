// Searches captured bytes for a needle under every encoding that a protocol could have put it in. Rule: a hit
// says where it stands in the bytes that were given and how it was encoded, so that a reader can check it.
import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import * as zlib from 'node:zlib'
import { GatewayError } from '../errors.ts'

/** `plain` and `utf-16le` ignore ASCII case; a digest counts as raw bytes and as hex under the same name. */
export type NeedleEncoding =
  | 'plain'
  | 'base64'
  | 'base64url'
  | 'percent'
  | 'hex'
  | 'utf-16le'
  | 'md5'
  | 'sha-1'
  | 'sha-256'

export interface Hit {
  /** First byte of the hit in the bytes that were searched. */
  readonly offset: number
  /** Bytes that the hit takes in its encoded form. */
  readonly length: number
  /** How the needle is encoded; in a decoded body with the content coding before it (`gzip:plain`). */
  readonly encoding: NeedleEncoding | `${string}:${NeedleEncoding}`
}

interface EncodedNeedle {
  readonly encoding: NeedleEncoding
  readonly bytes: Buffer
  /** Search the copy of the capture whose ASCII letters were lowered. */
  readonly anyCase: boolean
}

/** Fewer base64 characters than this that depend on the needle alone match by accident. */
const MIN_BASE64_CHARACTERS = 4
const EXCERPT_CHARACTERS = 64
const MAX_DECODED_BYTES = 64 * 1024 * 1024
const PERCENT = 0x25

/**
 * Finds `needle` (text counts as UTF-8) in `bytes`: plain in any ASCII case, base64 and base64url in all
 * three alignments, percent-encoded in whole or in part, hex, UTF-16LE, and its MD5, SHA-1 and SHA-256. Hits
 * come in the order of their offsets; an empty needle is found nowhere. Takes some milliseconds for 1 MiB.
 */
export function searchCapture(bytes: Uint8Array, needle: string | Uint8Array): Hit[] {
  const wanted = asBuffer(typeof needle === 'string' ? Buffer.from(needle, 'utf8') : needle)
  if (wanted.length === 0) return []
  const capture = asBuffer(bytes)
  const lowered = lowerAscii(capture)
  const hits = new Map<string, Hit>()
  for (const { encoding, bytes: encoded, anyCase } of encodeNeedle(wanted)) {
    const searched = anyCase ? lowered : capture
    for (const offset of occurrences(searched, encoded)) {
      const key = `${offset}:${encoded.length}`
      if (!hits.has(key)) hits.set(key, { offset, length: encoded.length, encoding })
    }
  }
  for (const hit of searchPercentEncoded(capture, lowerAscii(wanted)))
    hits.set(`${hit.offset}:${hit.length}`, hit)
  return [...hits.values()].toSorted((a, b) => a.offset - b.offset || a.length - b.length)
}

/**
 * An HTTP body without its Content-Encoding (RFC 9110 section 8.4; a list is undone from its end), and the codings that
 * were undone (`gzip`, `gzip+br`; '' for none). A body cut short is decoded as far as it goes. Throws `bad-request` for a
 * coding that is not known, a body that is not in it, or more than 64 MiB.
 */
export function decodeContent(
  body: Uint8Array,
  contentEncoding: string,
): { readonly decoded: Uint8Array; readonly coding: string } {
  const codings = contentEncoding
    .split(',')
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== '' && coding !== 'identity')
  const decoded = codings.reduceRight((content, coding) => decodeBody(content, coding), asBuffer(body))
  return { decoded, coding: codings.join('+') }
}

/**
 * At most 64 characters of `bytes` with the hit in the middle; every byte outside 0x20 to 0x7e reads as
 * '.'.
 */
export function excerpt(
  bytes: Uint8Array,
  hit: { readonly offset: number; readonly length: number },
): string {
  const around = Math.max(0, EXCERPT_CHARACTERS - hit.length)
  const start = Math.max(0, hit.offset - Math.floor(around / 2))
  const end = Math.min(bytes.length, start + EXCERPT_CHARACTERS)
  let text = ''
  for (const byte of bytes.subarray(start, end)) {
    text += byte >= 0x20 && byte <= 0x7e ? String.fromCharCode(byte) : '.'
  }
  return text
}

function encodeNeedle(needle: Buffer): EncodedNeedle[] {
  const encoded: EncodedNeedle[] = [
    { encoding: 'plain', bytes: lowerAscii(needle), anyCase: true },
    { encoding: 'hex', bytes: Buffer.from(needle.toString('hex'), 'latin1'), anyCase: true },
  ]
  if (isUtf8(needle)) {
    const wide = Buffer.from(needle.toString('utf8'), 'utf16le')
    encoded.push({ encoding: 'utf-16le', bytes: lowerAscii(wide), anyCase: true })
  }
  for (const alignment of [0, 1, 2]) {
    const text = base64Core(needle, alignment)
    if (text.length < MIN_BASE64_CHARACTERS) continue
    const urlText = text.replaceAll('+', '-').replaceAll('/', '_')
    encoded.push({ encoding: 'base64', bytes: Buffer.from(text, 'latin1'), anyCase: false })
    if (urlText === text) continue
    encoded.push({ encoding: 'base64url', bytes: Buffer.from(urlText, 'latin1'), anyCase: false })
  }
  for (const [encoding, algorithm] of [
    ['md5', 'md5'],
    ['sha-1', 'sha1'],
    ['sha-256', 'sha256'],
  ] as const) {
    const digest = createHash(algorithm).update(needle).digest()
    encoded.push({ encoding, bytes: digest, anyCase: false })
    encoded.push({ encoding, bytes: Buffer.from(digest.toString('hex'), 'latin1'), anyCase: true })
  }
  return encoded
}

/**
 * The base64 characters that depend on the needle alone when `alignment` bytes of something else precede
 * it.
 */
function base64Core(needle: Buffer, alignment: number): string {
  const text = Buffer.concat([Buffer.alloc(alignment), needle]).toString('base64')
  return text.slice(Math.ceil((alignment * 8) / 6), Math.floor(((alignment + needle.length) * 8) / 6))
}

function* occurrences(bytes: Buffer, needle: Buffer): Generator<number> {
  for (let at = bytes.indexOf(needle); at !== -1; at = bytes.indexOf(needle, at + needle.length)) yield at
}

/**
 * Undoes `%XX` in the whole capture and searches that, so that any mix of encoded and plain bytes is found.
 */
function searchPercentEncoded(capture: Buffer, lowered: Buffer): Hit[] {
  if (!capture.includes(PERCENT)) return []
  const decoded = Buffer.alloc(capture.length)
  const origin = new Uint32Array(capture.length + 1)
  let length = 0
  for (let at = 0; at < capture.length; length += 1) {
    const value = capture[at] === PERCENT ? hexByte(capture, at + 1) : -1
    decoded[length] = value === -1 ? (capture[at] ?? 0) : value
    origin[length] = at
    at += value === -1 ? 1 : 3
  }
  origin[length] = capture.length
  const hits: Hit[] = []
  for (const found of occurrences(lowerAscii(decoded.subarray(0, length)), lowered)) {
    const offset = origin[found] ?? 0
    const end = origin[found + lowered.length] ?? capture.length
    if (end - offset > lowered.length) hits.push({ offset, length: end - offset, encoding: 'percent' })
  }
  return hits
}

function hexByte(bytes: Buffer, at: number): number {
  const high = hexDigit(bytes[at])
  const low = hexDigit(bytes[at + 1])
  return high === -1 || low === -1 ? -1 : high * 16 + low
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1
}

function lowerAscii(bytes: Buffer): Buffer {
  const lowered = Buffer.from(bytes)
  for (let at = 0; at < lowered.length; at += 1) {
    const byte = lowered[at] ?? 0
    if (byte >= 0x41 && byte <= 0x5a) lowered[at] = byte | 0x20
  }
  return lowered
}

function decodeBody(content: Buffer, coding: string): Buffer {
  // Flushing instead of finishing gives what a body that the capture cut short still holds.
  const zlibOptions = { finishFlush: zlib.constants.Z_SYNC_FLUSH, maxOutputLength: MAX_DECODED_BYTES }
  if (content.length === 0) return content
  try {
    switch (coding) {
      case 'gzip':
      case 'x-gzip':
        return zlib.gunzipSync(content, zlibOptions)
      case 'deflate':
        // RFC 9110 section 8.4.1.2: the zlib format, though some send the bare deflate stream.
        return hasZlibHeader(content)
          ? zlib.inflateSync(content, zlibOptions)
          : zlib.inflateRawSync(content, zlibOptions)
      case 'br':
        return zlib.brotliDecompressSync(content, {
          finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH,
          maxOutputLength: MAX_DECODED_BYTES,
        })
      default:
        break
    }
  } catch (error) {
    throw new GatewayError('bad-request', { cause: error, detail: `a body cannot be decoded as ${coding}` })
  }
  throw new GatewayError('bad-request', {
    detail: `the content coding ${JSON.stringify(coding)} is not known`,
  })
}

/** RFC 1950 section 2.2: method 8, and the two header bytes together a multiple of 31. */
function hasZlibHeader(content: Buffer): boolean {
  return content.length >= 2 && ((content[0] ?? 0) & 0x0f) === 8 && content.readUInt16BE(0) % 31 === 0
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
