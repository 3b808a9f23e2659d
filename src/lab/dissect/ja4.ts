// JA4, the fingerprint of a TLS client, after FoxIO's public specification (technical_details/JA4.md). Rule:
// JA4 alone; the rest of that family is not freely licensed and stays out.
import { createHash } from 'node:crypto'
import { EXTENSION, type ClientHello } from './client-hello.ts'
import { hex16, isGrease } from './tls-names.ts'

/** What JA4 looks at; a `ClientHello` is one. */
export type Ja4Input = Pick<
  ClientHello,
  'legacyVersion' | 'supportedVersions' | 'cipherSuites' | 'extensions' | 'alpn' | 'signatureAlgorithms'
>

const VERSION_CODES: Readonly<Record<number, string>> = {
  0x0002: 's2',
  0x0300: 's3',
  0x0301: '10',
  0x0302: '11',
  0x0303: '12',
  0x0304: '13',
}
const HASH_CHARACTERS = 12
const NO_HASH = '0'.repeat(HASH_CHARACTERS)
const MAX_COUNT = 99
/** Shown in the first part, and so left out of the extension hash. */
const IN_PREFIX: ReadonlySet<number> = new Set([EXTENSION.serverName, EXTENSION.alpn])

/** The fingerprint of a hello that came over TCP, such as `t13d1516h2_8daaf6152771_e5627efa2ab1`. */
export function ja4(hello: Ja4Input): string {
  const { ciphers, extensions, tail } = parts(hello)
  const extensionHash = extensions === '' ? NO_HASH : hash12(extensions + tail)
  return `${prefix(hello)}_${ciphers === '' ? NO_HASH : hash12(ciphers)}_${extensionHash}`
}

/** JA4_r: the same with the sorted lists in place of their hashes, for a reader to check. */
export function ja4Raw(hello: Ja4Input): string {
  const { ciphers, extensions, tail } = parts(hello)
  return `${prefix(hello)}_${ciphers}_${extensions}${tail}`
}

function prefix(hello: Ja4Input): string {
  const extensions = withoutGrease(hello.extensions.map((extension) => extension.type))
  const versions = withoutGrease(hello.supportedVersions)
  const version = versions.length > 0 ? Math.max(...versions) : hello.legacyVersion
  const name = extensions.includes(EXTENSION.serverName) ? 'd' : 'i'
  const counts = count(withoutGrease(hello.cipherSuites)) + count(extensions)
  return `t${VERSION_CODES[version] ?? '00'}${name}${counts}${alpnCode(hello.alpn[0] ?? '')}`
}

function parts(hello: Ja4Input): { ciphers: string; extensions: string; tail: string } {
  const extensions = withoutGrease(hello.extensions.map((extension) => extension.type))
  const algorithms = withoutGrease(hello.signatureAlgorithms).map(hex16).join(',')
  return {
    ciphers: sortedHex(withoutGrease(hello.cipherSuites)),
    extensions: sortedHex(extensions.filter((type) => !IN_PREFIX.has(type))),
    tail: algorithms === '' ? '' : `_${algorithms}`,
  }
}

/** First and last character of the first protocol, or of its hex form where either is not alphanumeric. */
function alpnCode(protocol: string): string {
  if (protocol === '') return '00'
  const shown = /^[0-9A-Za-z](.*[0-9A-Za-z])?$/s.test(protocol)
    ? protocol
    : Buffer.from(protocol, 'latin1').toString('hex')
  return shown.charAt(0) + shown.charAt(shown.length - 1)
}

function withoutGrease(numbers: readonly number[]): number[] {
  return numbers.filter((number) => !isGrease(number))
}

function sortedHex(numbers: readonly number[]): string {
  return numbers
    .toSorted((a, b) => a - b)
    .map(hex16)
    .join(',')
}

function count(numbers: readonly number[]): string {
  return String(Math.min(numbers.length, MAX_COUNT)).padStart(2, '0')
}

function hash12(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, HASH_CHARACTERS)
}
