// Takes the certificates out of decrypted TLS 1.3 handshake messages, so that a client certificate's subject
// can be looked for. Rule: returns the DER bytes as they crossed the wire and judges nothing about them.
import { ByteReader } from '../dissect/byte-reader.ts'

const CERTIFICATE = 11
const MESSAGE_HEADER_BYTES = 4

/**
 * The DER certificates in the Certificate messages (RFC 8446 section 4.4.2) among one side's handshake
 * messages, leaf first: of the client's they hold the subject. Empty where no certificate was sent, which a
 * client says with an empty list. Throws `bad-request` at a Certificate message that is not well formed.
 */
export function clientCertificateSubjects(handshakeMessages: readonly Uint8Array[]): Uint8Array[] {
  const certificates: Uint8Array[] = []
  for (const message of handshakeMessages) {
    if (message[0] !== CERTIFICATE) continue
    const reader = new ByteReader(message.subarray(MESSAGE_HEADER_BYTES), 'Certificate message')
    reader.vector8()
    const list = new ByteReader(reader.take(reader.u24()), 'certificate list')
    reader.end()
    while (list.remaining > 0) {
      certificates.push(list.take(list.u24()))
      list.vector16()
    }
  }
  return certificates
}
