// The config that the options of `sightline connect` stand for. Rule: what is wrong is said in the words of the option,
// and what may hold a password is never repeated.
import path from 'node:path'
import { withoutUserinfo } from '../config/proxy-url.ts'
import { configSchema, type Config, type ConfigInput } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import type { ServiceIo } from './io.ts'

export const DEFAULT_LISTEN = '127.0.0.1:1081'

export interface ConnectValues {
  readonly authority: string
  readonly certificate?: string | undefined
  readonly key?: string | undefined
  readonly listen?: string | undefined
  readonly connections?: string | undefined
  readonly proxy?: string | undefined
  readonly 'proxy-password-file'?: string | undefined
  readonly admin?: string | undefined
}

/** `urls`: the gateways, the preferred one first. Errors: `config-invalid`, naming the option. */
export function connectConfig(urls: readonly string[], values: ConnectValues, env: ServiceIo['env']): Config {
  const absolute = (file: string | undefined): string | undefined =>
    file === undefined ? undefined : path.resolve(file)
  const { connections } = values
  const proxy = values.proxy === 'env' ? proxyOfEnvironment(env) : values.proxy
  const listen = values.listen ?? DEFAULT_LISTEN
  if (
    proxy !== undefined &&
    withoutUserinfo(proxy)
      .replace(/^\w+:\/\/(?:…@)?/, '')
      .replace(/\/$/, '') === listen
  ) {
    throw invalid('--proxy: that is the address of this client itself')
  }
  const passwordFile = absolute(values['proxy-password-file'])
  if (proxy === undefined && passwordFile !== undefined)
    throw invalid('--proxy-password-file: goes with --proxy')
  const input: ConfigInput = {
    inbounds: [{ type: 'mixed', listen, outbound: 'gateway' }],
    outbounds: {
      gateway: {
        type: 'tunnel',
        url: [...urls],
        certificate: absolute(values.certificate),
        key: absolute(values.key),
        authority: path.resolve(values.authority),
        ...(connections !== undefined && {
          connections: connections === 'auto' ? ('auto' as const) : Number(connections),
        }),
        ...(proxy !== undefined && {
          proxy: { url: proxy, ...(passwordFile !== undefined && { passwordFile }) },
        }),
      },
    },
    log: { level: 'silent' },
    ...(values.admin !== undefined && { admin: { listen: values.admin } }),
  }
  const result = configSchema.safeParse(input)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const at = issue?.path ?? []
  const what = issue?.message ?? 'not valid'
  if (at.includes('proxy')) {
    throw invalid(`${at.at(-1) === 'passwordFile' ? '--proxy-password-file' : '--proxy'}: ${what}`)
  }
  if (at.includes('url')) {
    const index = at.find((part) => typeof part === 'number')
    const given = urls[index ?? 0]
    throw invalid(`URL: ${what}${given === undefined ? '' : ` (found "${withoutUserinfo(given)}")`}`)
  }
  const option = at.at(-1)
  const given = typeof option === 'string' ? (Reflect.get(values, option) as string | undefined) : undefined
  throw invalid(`--${String(option)}: ${what}${given === undefined ? '' : ` (found "${given}")`}`)
}

/** Only where it was asked for: a shell that has our own exports would send us to ourselves. */
function proxyOfEnvironment(env: ServiceIo['env']): string {
  const names = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY']
  const given = names.map((name) => env[name]).find((value) => value !== undefined && value !== '')
  if (given === undefined) throw invalid('--proxy env: neither HTTPS_PROXY nor ALL_PROXY is set')
  return given.includes('://') ? given : `http://${given}`
}

function invalid(detail: string): GatewayError {
  return new GatewayError('config-invalid', { detail, hint: 'sightline connect --help shows each option' })
}
