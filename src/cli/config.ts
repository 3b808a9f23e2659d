// sightline config: check a file before it is used, and print a JSON Schema for editors.
import { parseArgs } from 'node:util'
import { loadConfig, readText } from '../config/load.ts'
import { configJsonSchema, type Config } from '../config/schema.ts'
import { readServerCredentials, readTunnelAccess, readUpstreamServers } from '../gateway/credentials.ts'
import { parseUsers } from '../gateway/users.ts'
import { parseEgressRules } from '../policy/egress.ts'
import { fail, usage } from './failure.ts'
import type { CliIo } from './io.ts'

const HELP = `usage: sightline config check [FILE]
       sightline config schema

  check    reads FILE (default $SIGHTLINE_CONFIG) and everything that it names, and says what is wrong with it
  schema   prints a JSON Schema: editors complete and check config files with it

examples:
  sightline config check config/gateway.yaml
  sightline config schema > gateway.schema.json`

export async function configCommand(args: string[], io: CliIo): Promise<number> {
  let parsed
  try {
    parsed = parseArgs({ args, allowPositionals: true, options: { help: { type: 'boolean', short: 'h' } } })
  } catch (thrown) {
    return usage(io, (thrown as Error).message, 'config')
  }
  const [verb, named, ...more] = parsed.positionals
  if (parsed.values.help === true) {
    io.out(HELP)
    return 0
  }
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
    checkFiles(config)
    io.out(
      `ok: ${file}: ${config.inbounds.map(({ type, tls, listen }) => `${type}${tls ? '+tls' : ''} ${listen}`).join(', ')}`,
    )
    return 0
  } catch (thrown) {
    return fail(io, thrown)
  }
}

/** Reads what the config names, as the gateway would at its start. */
function checkFiles(config: Config): void {
  parseEgressRules(config.egress)
  for (const { tls, auth } of config.inbounds) {
    if (tls !== undefined) readServerCredentials(tls)
    if (auth?.users !== undefined) parseUsers(readText(auth.users, 'auth.users'), auth.users)
  }
  for (const outbound of Object.values(config.outbounds)) {
    if (outbound.type === 'tunnel') readTunnelAccess(outbound)
  }
  readUpstreamServers(config)
  if (config.admin.token !== undefined) readText(config.admin.token, 'admin.token')
}
