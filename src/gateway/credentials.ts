// Reads the certificates, keys and lists that a config names. Rule: an error names the file and the setting.
import { readText } from '../config/load.ts'
import type { InboundConfig, TunnelOutboundConfig } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import type { TunnelCredentials } from '../outbound/tunnel-dial.ts'
import { ClientTrust } from '../pki/judge.ts'
import type { ServerCredentials } from '../transport/tls-server.ts'

/** What a listener shows and judges by. Errors: `file-unusable`, `pki-invalid`. */
export function readServerCredentials(tls: NonNullable<InboundConfig['tls']>): ServerCredentials {
  const certificate = readText(tls.certificate, 'tls.certificate')
  const key = readText(tls.key, 'tls.key')
  if (tls.clientAuthority === undefined) return { certificate, key }
  const clientAuthority = readText(tls.clientAuthority, 'tls.clientAuthority')
  const revocationList = tls.revocationList && readText(tls.revocationList, 'tls.revocationList')
  const clientTrust = inFile(`${tls.clientAuthority} and its revocation list`, () =>
    ClientTrust.load({ authorities: clientAuthority, ...(revocationList && { revocationList }) }),
  )
  return { certificate, key, clientAuthority, clientTrust }
}

/** What a tunnel client shows and trusts. Errors: `file-unusable`. */
export function readTunnelCredentials(outbound: TunnelOutboundConfig): TunnelCredentials {
  return {
    authority: readText(outbound.authority, 'authority'),
    certificate: outbound.certificate && readText(outbound.certificate, 'certificate'),
    key: outbound.key && readText(outbound.key, 'key'),
  }
}

function inFile<T>(file: string, read: () => T): T {
  try {
    return read()
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown
    throw new GatewayError(thrown.code, {
      cause: thrown,
      detail: `${file}: ${thrown.message}`,
      ...(thrown.hint !== undefined && { hint: thrown.hint }),
    })
  }
}
