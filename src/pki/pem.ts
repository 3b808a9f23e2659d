// PEM (RFC 7468) to DER and back, with errors that say what was found where something else was expected. Rule: the
// text is never quoted in an error, since it may be a private key.
import { X509Certificate } from 'node:crypto'
import { GatewayError } from '../errors.ts'

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/g

/**
 * The DER bytes of every block with this label, in order, at least one. Other blocks are passed over.
 * Throws GatewayError `pki-invalid`.
 */
export function pemBlocks(text: string, label: string): Buffer[] {
  const blocks = [...text.matchAll(BLOCK)].map(([, found = '', body = '']) => ({ found, body }))
  const wanted = blocks.filter((block) => block.found === label)
  if (wanted.length === 0) {
    const found = [...new Set(blocks.map((block) => block.found))].join(', ')
    const detail = found === '' ? 'no PEM block was found' : `only ${found} was found`
    throw new GatewayError('pki-invalid', {
      detail: `${detail} where ${label} was expected`,
      hint: `give a PEM file with a line -----BEGIN ${label}-----`,
    })
  }
  return wanted.map(({ body }) => {
    if (!/^[A-Za-z0-9+/=\s]*$/.test(body)) {
      throw new GatewayError('pki-invalid', {
        detail: `a ${label} block holds something that is not base64`,
        hint: 'copy the file again, whole and as it was made',
      })
    }
    return Buffer.from(body, 'base64')
  })
}

/** One PEM block, with a last newline. */
export function pemText(label: string, der: ArrayBuffer | Uint8Array): string {
  const lines = Buffer.from(new Uint8Array(der))
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`
}

/** Every certificate of a PEM text, in order, at least one. Throws GatewayError `pki-invalid`. */
export function certificatesFromPem(text: string): X509Certificate[] {
  return pemBlocks(text, 'CERTIFICATE').map((der, index) => {
    try {
      return new X509Certificate(der)
    } catch (cause) {
      throw new GatewayError('pki-invalid', {
        detail: `certificate ${index + 1} of the PEM text is not an X.509 certificate`,
        hint: 'copy the file again, whole and as it was made',
        cause,
      })
    }
  })
}
