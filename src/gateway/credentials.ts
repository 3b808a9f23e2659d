// Reads the certificates, keys and lists that a config names. Rule: an error names the file and the setting.
import { readBytes, readText } from '../config/load.ts'
import { credentialProblem, readProxyUrl } from '../config/proxy-url.ts'
import type { Config, InboundConfig, TunnelOutboundConfig, UpstreamOutboundConfig } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import type { TunnelAccess } from '../outbound/tunnel-dial.ts'
import type { UpstreamServer } from '../outbound/upstream-ask.ts'
import { ClientTrust } from '../pki/judge.ts'
import { readRevocationLists } from '../pki/revocation-list-reader.ts'
import { checkCredentials, type ServerCredentials } from '../transport/tls-server.ts'

type TlsConfig = NonNullable<InboundConfig['tls']>

/** What a listener shows and judges by. Errors: `file-unusable`, `pki-invalid`, `revocation-list-unusable`. */
export function readServerCredentials(tls: TlsConfig): ServerCredentials {
  return { ...readServerCertificate(tls), ...readClientTrust(tls) }
}

/** What a listener shows: a certificate and its key, held against each other. */
export function readServerCertificate(tls: TlsConfig): Pick<ServerCredentials, 'certificate' | 'key'> {
  const certificate = readText(tls.certificate, 'tls.certificate')
  const key = readText(tls.key, 'tls.key')
  inFile(`${tls.certificate} and ${tls.key}`, () => checkCredentials({ certificate, key }))
  return { certificate, key }
}

/** What a listener judges clients by; nothing where it asks for no certificate. */
export function readClientTrust(tls: TlsConfig): Pick<ServerCredentials, 'clientAuthority' | 'clientTrust'> {
  if (tls.clientAuthority === undefined) return {}
  const clientAuthority = readText(tls.clientAuthority, 'tls.clientAuthority')
  const revocationList = readRevocationList(tls)
  const clientTrust = inFile(`${tls.clientAuthority} and its revocation list`, () =>
    ClientTrust.load({
      authorities: clientAuthority,
      // Empty, it is a list that cannot be read, not one that was never asked for.
      ...(revocationList !== undefined && { revocationList }),
    }),
  )
  return { clientAuthority, clientTrust }
}

/** DER or PEM. Errors: `file-unusable`. */
function readRevocationList({ revocationList }: TlsConfig): Uint8Array | undefined {
  return revocationList === undefined ? undefined : readBytes(revocationList, 'tls.revocationList')
}

/** Whether the list alone can be read, whatever is wrong beside it. */
export function canReadRevocationList(tls: TlsConfig): boolean {
  try {
    const list = readRevocationList(tls)
    return list === undefined || readRevocationLists(list).length > 0
  } catch {
    return false
  }
}

/** What a tunnel client shows and trusts, and the proxy that it goes through. Errors: `config-invalid`, `file-unusable`. */
export function readTunnelAccess(outbound: TunnelOutboundConfig): TunnelAccess {
  const certificate = outbound.certificate && readText(outbound.certificate, 'certificate')
  const key = outbound.key && readText(outbound.key, 'key')
  if (certificate && key)
    inFile(`${outbound.certificate} and ${outbound.key}`, () => checkCredentials({ certificate, key }))
  return {
    credentials: { authority: readText(outbound.authority, 'authority'), certificate, key },
    proxy: outbound.proxy && readUpstreamServer({ type: 'http', ...outbound.proxy }),
  }
}

/** Where an upstream proxy is, and what it wants to be shown. Errors: `config-invalid`, `file-unusable`. */
export function readUpstreamServer(
  outbound: UpstreamOutboundConfig | ({ type: 'http' } & NonNullable<TunnelOutboundConfig['proxy']>),
): UpstreamServer {
  const url = readProxyUrl(outbound.url, outbound.type)
  if ('problem' in url) throw new GatewayError('config-invalid', { detail: `outbounds: url: ${url.problem}` })
  const { scheme, host, port } = url
  const name = outbound.username ?? url.username
  const password =
    outbound.passwordFile === undefined ? url.password : readPassword(outbound.passwordFile, scheme)
  const authority =
    outbound.type === 'http' && outbound.authority !== undefined
      ? readText(outbound.authority, 'authority')
      : undefined
  return {
    scheme,
    host,
    port,
    authority,
    credentials: name === undefined ? undefined : { name, password: password ?? '' },
  }
}

/** All of them, by name. Errors as for one. */
export function readUpstreamServers({ outbounds }: Config): Map<string, UpstreamServer> {
  const servers = new Map<string, UpstreamServer>()
  for (const [name, outbound] of Object.entries(outbounds)) {
    if (outbound.type === 'socks' || outbound.type === 'http') servers.set(name, readUpstreamServer(outbound))
  }
  return servers
}

function readPassword(file: string, scheme: UpstreamServer['scheme']): string {
  const password = readText(file, 'passwordFile').replace(/\r?\n$/, '')
  const problem = password === '' ? 'it is empty' : credentialProblem(password, scheme)
  if (problem === undefined) return password
  throw new GatewayError('file-unusable', {
    detail: `passwordFile ${file}: ${problem}`,
    hint: 'write the password alone, on one line',
  })
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
