// sightline config: check a file before it is used, and print a JSON Schema for editors.
import { loadConfig, readText } from '../config/load.ts'
import { configJsonSchema, type Config } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import {
  listenerEnds,
  noticesOf,
  tunnelEnds,
  upstreamEnds,
  type CertificateEnd,
  type EndingPart,
} from '../gateway/certificate-ends.ts'
import { readServerCredentials, readTunnelAccess, readUpstreamServers } from '../gateway/credentials.ts'
import { parseUsers } from '../gateway/users.ts'
import { parseEgressRules } from '../policy/egress.ts'
import { checkStateFiles } from '../state/settings.ts'
import { checkUsageStore } from '../state/usage-reader.ts'
import { readCall } from './arguments.ts'
import { fail, usage } from './failure.ts'
import type { CliIo } from './io.ts'
import { inDays } from './pki-list.ts'

const HELP = `usage: sightline config check [FILE]
       sightline config schema

  check    reads FILE (default $SIGHTLINE_CONFIG) and everything that it names, says what is wrong with it,
           and warns of what ends within 30 days: certificates, authorities, revocation lists
  schema   prints a JSON Schema: editors complete and check config files with it

examples:
  sightline config check config/gateway.yaml
  sightline config schema > gateway.schema.json`

export async function configCommand(args: string[], io: CliIo): Promise<number> {
  const call = readCall(args, io, { command: 'config', help: HELP, words: true, options: {} })
  if (typeof call === 'number') return call
  const [verb, named, ...more] = call.positionals
  if (verb === 'schema' && named === undefined) {
    io.out(JSON.stringify(configJsonSchema(), null, 2))
    return 0
  }
  const file = named ?? io.env['SIGHTLINE_CONFIG']
  if (verb !== 'check' || file === undefined || more.length > 0) {
    return usage(io, 'say what to do: config check FILE, or config schema', 'config')
  }
  try {
    const config = loadConfig(file, io.env)
    const ends = checkFiles(config)
    for (const line of endWarnings(ends, new Date())) io.err(line)
    refuseEnded(ends, new Date())
    io.out(
      `ok: ${file}: ${config.inbounds.map(({ type, tls, listen }) => `${type}${tls ? '+tls' : ''} ${listen}`).join(', ')}`,
    )
    return 0
  } catch (thrown) {
    return fail(io, thrown)
  }
}

/** Something that ends, and the file that it stands in. */
interface FileEnd extends CertificateEnd {
  readonly file: string
}

/** Reads what the config names, as the gateway would at its start. Gives what of it ends. */
function checkFiles(config: Config): FileEnd[] {
  parseEgressRules(config.egress)
  const ends: FileEnd[] = []
  for (const { tls, auth } of config.inbounds) {
    if (tls !== undefined) {
      const { certificate, clientAuthority = '', revocationList = '' } = tls
      const files = { 'client-authority': clientAuthority, 'revocation-list': revocationList }
      ends.push(
        ...inFiles(listenerEnds(readServerCredentials(tls)), {
          'listener-certificate': certificate,
          ...files,
        }),
      )
    }
    if (auth?.users !== undefined) parseUsers(readText(auth.users, 'auth.users'), auth.users)
  }
  for (const outbound of Object.values(config.outbounds)) {
    if (outbound.type !== 'tunnel') continue
    const { certificate = '', authority, proxy } = outbound
    const files = { 'own-certificate': certificate, 'gateway-authority': authority }
    const upstream = { 'upstream-authority': proxy?.authority ?? '' }
    ends.push(...inFiles(tunnelEnds(readTunnelAccess(outbound)), { ...files, ...upstream }))
  }
  for (const [name, server] of readUpstreamServers(config)) {
    const outbound = config.outbounds[name]
    const file = outbound?.type === 'http' ? outbound.authority : undefined
    ends.push(...inFiles(upstreamEnds(server), { 'upstream-authority': file ?? '' }))
  }
  if (config.admin.token !== undefined) readText(config.admin.token, 'admin.token')
  if (config.state !== undefined) checkStateFiles(config.state)
  if (config.usage !== undefined) checkUsageStore(config.usage.store)
  return [...new Map(ends.map((end) => [end.file, end])).values()]
}

function inFiles(
  ends: readonly CertificateEnd[],
  files: Readonly<Partial<Record<EndingPart, string>>>,
): FileEnd[] {
  return ends.map((end) => ({ ...end, file: files[end.part] ?? '' }))
}

function endWarnings(ends: readonly FileEnd[], now: Date): string[] {
  return ends.flatMap((end) => {
    const [notice] = noticesOf([end], now)
    if (notice === undefined || notice.ended) return []
    const verb = end.part === 'revocation-list' ? 'is due' : 'ends'
    return [`warning: ${end.file} ${verb} ${inDays(notice.daysLeft)}; hint: ${renewHint(end)}`]
  })
}

/** Throws `pki-invalid` for the first that has ended. */
function refuseEnded(ends: readonly FileEnd[], now: Date): void {
  const ended = ends.find((end) => end.ends <= now)
  if (ended === undefined) return
  const verb = ended.part === 'revocation-list' ? 'was due' : 'ended'
  throw new GatewayError('pki-invalid', {
    detail: `${ended.file} ${verb} on ${ended.ends.toISOString().slice(0, 10)}`,
    hint: renewHint(ended),
  })
}

function renewHint({ part }: FileEnd): string {
  if (part === 'revocation-list') return 'sightline pki crl'
  return part === 'listener-certificate' || part === 'own-certificate'
    ? 'sightline pki renew NAME'
    : 'ask whoever runs that authority for the next one'
}
