// Canaries: one unguessable word for each place where a request can carry information, so that a capture can
// be searched for each of them. Rule: the same seed gives the same words, so every report can be repeated.
import { createHmac } from 'node:crypto'

/** Every place that gets a canary; `neverSent` is the negative control, which no capture may hold. */
export const CANARY_FIELDS = [
  'path',
  'query',
  'header',
  'cookie',
  'userAgent',
  'requestBody',
  'responseBody',
  'sitePassword',
  'siteUser',
  'proxyUser',
  'proxyPassword',
  'certificateSubject',
  'hostLabel',
  'datagram',
  'untoldLabel',
  'neverSent',
] as const

export type CanaryField = (typeof CANARY_FIELDS)[number]
export type Canaries = Readonly<Record<CanaryField, string>>

/** New in each probe, so that every look-up can be put down to the one that made it. */
const NAMES: ReadonlySet<CanaryField> = new Set(['hostLabel', 'untoldLabel'])
const LETTERS = 'abcdefghijklmnopqrstuvwxyz'
/** RFC 4648 section 6, in lower case: the only alphabet that survives a path, a DNS label and a user name. */
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'
const RANDOM_BYTES = 15

/**
 * The canaries of one probe: each the HMAC-SHA256 of its field's name (of names that are looked up, and of the probe's)
 * under `seed`, as 25 characters of lower-case base32 with a letter first (120 bits after the letter). Safe unescaped in
 * a path, header, cookie, body, DNS label, user name, password and certificate common name.
 */
export function makeCanaries(seed: string, probe = ''): Canaries {
  const word = (field: CanaryField): string => {
    const planted = probe !== '' && NAMES.has(field) ? `${field} of ${probe}` : field
    const digest = createHmac('sha256', seed).update(planted).digest()
    return (
      LETTERS.charAt(digest.readUInt8(RANDOM_BYTES) % LETTERS.length) +
      base32(digest.subarray(0, RANDOM_BYTES))
    )
  }
  return {
    path: word('path'),
    query: word('query'),
    header: word('header'),
    cookie: word('cookie'),
    userAgent: word('userAgent'),
    requestBody: word('requestBody'),
    responseBody: word('responseBody'),
    sitePassword: word('sitePassword'),
    siteUser: word('siteUser'),
    proxyUser: word('proxyUser'),
    proxyPassword: word('proxyPassword'),
    certificateSubject: word('certificateSubject'),
    hostLabel: word('hostLabel'),
    datagram: word('datagram'),
    untoldLabel: word('untoldLabel'),
    neverSent: word('neverSent'),
  }
}

/** Base32 without padding; whole groups of five bytes only, so no bits are left over. */
function base32(bytes: Uint8Array): string {
  let text = ''
  let held = 0
  let bits = 0
  for (const byte of bytes) {
    held = (held << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += BASE32.charAt((held >> bits) & 31)
    }
    held &= (1 << bits) - 1
  }
  return text
}
