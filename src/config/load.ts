// Reads a config file: YAML, then the environment, then the schema. Rules: an error names the file, the
// path in it, the value (never a secret) and the mend; paths in a file are relative to that file.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parseDocument, type Document } from 'yaml'
import type { z } from 'zod'
import { GatewayError } from '../errors.ts'
import { putEnvironment, type Environment } from './environment.ts'
import { withoutUserinfo } from './proxy-url.ts'
import { configSchema, type Config } from './schema.ts'

/** Parses the text of a config file, with `env` in it. `file` names it in errors. Errors: `config-invalid`. */
export function parseConfig(text: string, file: string, env: Environment = {}): Config {
  const document = parseDocument(text, { prettyErrors: true, stringKeys: true })
  const [syntax] = document.errors
  if (syntax !== undefined) {
    throw new GatewayError('config-invalid', {
      detail: `${file}: ${firstLine(syntax.message)}`,
      hint: 'mend the YAML there',
    })
  }
  const unset = putEnvironment(document, env)
  if (unset.length > 0) {
    throw new GatewayError('config-invalid', {
      detail: `${file}: ${unset.join('\n  ')}`,
      hint: 'the environment of this process must hold what the file asks of it',
    })
  }
  const value = plainValue(document, file) ?? {}
  const result = configSchema.safeParse(value)
  if (result.success) return result.data
  const lines = result.error.issues.map((issue) => describeIssue(issue, value))
  throw new GatewayError('config-invalid', {
    detail: `${file}: ${lines.join('\n  ')}`,
    hint: 'README.md and config/ show each key; `sightline config schema` gives a schema for editors',
  })
}

/** References are followed only here, so a wrong one, or a file that grows out of proportion, is found only here. */
function plainValue(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 })
  } catch (cause) {
    throw new GatewayError('config-invalid', {
      cause,
      detail: `${file}: ${cause instanceof Error ? firstLine(cause.message) : 'not readable'}`,
      hint: 'a value that starts with * needs quotes: "*:25"',
    })
  }
}

/** Reads and checks a config file; every path in it becomes absolute. Errors: `config-invalid`, `file-unusable`. */
export function loadConfig(file: string, env: Environment = {}): Config {
  const config = parseConfig(readText(file, 'config file'), file, env)
  return withAbsolutePaths(config, path.dirname(path.resolve(file)))
}

/** Reads a file that the config names. Errors: `file-unusable`, with the setting that named it. */
export function readText(file: string, what: string): string {
  return readBytes(file, what).toString('utf8')
}

/** The same, byte for byte. */
export function readBytes(file: string, what: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown'
    const [why, hint] = READ_FAILURES[errno] ?? [errno, 'check its owner and mode']
    throw new GatewayError('file-unusable', { cause, detail: `${what} ${file}: ${why}`, hint })
  }
}

const NO_DESCRIPTORS = [
  'no descriptors are left',
  'raise the limit of open files (ulimit -n, LimitNOFILE)',
] as const
const READ_FAILURES: Readonly<Record<string, readonly [why: string, hint: string]>> = {
  ENOENT: ['there is no such file', 'check the path; paths in a config file are relative to that file'],
  EACCES: ['this user may not read it', 'check its owner and mode'],
  EMFILE: NO_DESCRIPTORS,
  ENFILE: NO_DESCRIPTORS,
}

function withAbsolutePaths(config: Config, directory: string): Config {
  const absolute = (file: string): string => path.resolve(directory, file)
  const optional = (file: string | undefined): string | undefined =>
    file === undefined ? undefined : absolute(file)
  return {
    ...config,
    inbounds: config.inbounds.map((inbound) => ({
      ...inbound,
      tls: inbound.tls && {
        ...inbound.tls,
        certificate: absolute(inbound.tls.certificate),
        key: absolute(inbound.tls.key),
        clientAuthority: optional(inbound.tls.clientAuthority),
        revocationList: optional(inbound.tls.revocationList),
      },
      auth: inbound.auth && { ...inbound.auth, users: optional(inbound.auth.users) },
    })),
    outbounds: Object.fromEntries(
      Object.entries(config.outbounds).map(([name, outbound]) => [
        name,
        withAbsoluteOutboundPaths(outbound, directory),
      ]),
    ),
    admin: { ...config.admin, token: optional(config.admin.token) },
    state: config.state && {
      ...config.state,
      secretFile: absolute(config.state.secretFile),
      passwordFile: optional(config.state.passwordFile),
      authority: optional(config.state.authority),
      directory: optional(config.state.directory),
    },
    usage: config.usage && { ...config.usage, store: absolute(config.usage.store) },
  }
}

function withAbsoluteOutboundPaths(
  outbound: Config['outbounds'][string],
  directory: string,
): Config['outbounds'][string] {
  const absolute = (file: string): string => path.resolve(directory, file)
  const optional = (file: string | undefined): string | undefined =>
    file === undefined ? undefined : absolute(file)
  switch (outbound.type) {
    case 'direct':
      return outbound
    case 'tunnel':
      return {
        ...outbound,
        certificate: optional(outbound.certificate),
        key: optional(outbound.key),
        authority: absolute(outbound.authority),
        proxy: outbound.proxy && {
          ...outbound.proxy,
          passwordFile: optional(outbound.proxy.passwordFile),
          authority: optional(outbound.proxy.authority),
        },
      }
    case 'socks':
      return { ...outbound, passwordFile: optional(outbound.passwordFile) }
    case 'http':
      return {
        ...outbound,
        passwordFile: optional(outbound.passwordFile),
        authority: optional(outbound.authority),
      }
  }
}

function describeIssue(issue: z.core.$ZodIssue, value: unknown): string {
  const where = issue.path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
  const shownPath = where.replace(/^\./, '') || 'the file'
  if (issue.code === 'unrecognized_keys') {
    return `${shownPath}: unknown key ${issue.keys.map((key) => `"${key}"`).join(', ')}`
  }
  const found = issue.path.reduce<unknown>(
    (part, key) => (typeof part === 'object' && part !== null ? Reflect.get(part, key) : undefined),
    value,
  )
  const secretless = typeof found === 'string' ? withoutUserinfo(found) : found
  const shown =
    typeof found === 'object' || found === undefined ? '' : ` (found ${JSON.stringify(secretless)})`
  return `${shownPath}: ${firstLine(issue.message)}${shown}`
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').replace(/:$/, '')
}
