// Tells what protocol an association speaks to one destination from the first datagram that the client sends there: QUIC,
// DNS or something else. Rule: only what the bytes themselves say, by the shape that their RFCs require; a port says
// nothing here, and nothing is kept.

/** WireGuard, DTLS, games and all else are `other`. */
export type FirstDatagram = 'quic' | 'dns' | 'other'

const QUIC_VERSIONS: Readonly<Record<number, number>> = {
  /** RFC 9000 section 17.2.2: packet type 0 is Initial. */
  0x00000001: 0b00,
  /** RFC 9369 section 3.2: here it is 1. */
  0x6b3343cf: 0b01,
}
/** A client's Initial is made as long as this (RFC 9000 section 14.1). */
const QUIC_INITIAL_BYTES = 1_200
const QUIC_CONNECTION_ID_BYTES = 20
const DNS_HEADER_BYTES = 12
const DNS_NAME_BYTES = 255
const CLASS_INTERNET = 1
const CLASS_ANY = 255

export function classifyDatagram(bytes: Uint8Array): FirstDatagram {
  if (bytes.length >= QUIC_INITIAL_BYTES && isQuicInitial(bytes)) return 'quic'
  return isDnsQuery(bytes) ? 'dns' : 'other'
}

/**
 * A datagram that begins with a QUIC Initial packet. It is encrypted with keys that stand in it (RFC 9001 section 5.2), so
 * whoever carries it can read the TLS hello inside; of the packets that follow, nobody but the two ends.
 */
export function isQuicInitial(bytes: Uint8Array): boolean {
  const [first = 0, a = 0, b = 0, c = 0, d = 0, idBytes] = bytes
  // Header form and fixed bit; then version, and the length of the connection id.
  if ((first & 0xc0) !== 0xc0 || idBytes === undefined || idBytes > QUIC_CONNECTION_ID_BYTES) return false
  return QUIC_VERSIONS[((a << 24) | (b << 16) | (c << 8) | d) >>> 0] === ((first >> 4) & 0b11)
}

/** A query with one question and nothing in answer (RFC 1035 section 4.1), with or without EDNS and a signature. */
function isDnsQuery(bytes: Uint8Array): boolean {
  const count = (at: number): number => (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0)
  if (bytes.length <= DNS_HEADER_BYTES || (bytes[2]! & 0xf8) !== 0) return false
  if (count(4) !== 1 || count(6) !== 0 || count(8) !== 0 || count(10) > 2) return false
  let at = DNS_HEADER_BYTES
  for (let label = bytes[at]; label !== 0; label = bytes[at]) {
    if (label === undefined || label > 63 || at - DNS_HEADER_BYTES > DNS_NAME_BYTES) return false
    at += 1 + label
  }
  if (bytes.length < at + 5) return false
  // The high bit of the class is mDNS's (RFC 6762 section 5.4).
  const queryClass = count(at + 3) & 0x7fff
  return queryClass === CLASS_INTERNET || queryClass === CLASS_ANY
}
