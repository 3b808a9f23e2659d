// sightline health: asks a running process whether it takes requests. For HEALTHCHECK, without a shell or curl.
import http from 'node:http'
import { parseListenAddress } from '../config/address.ts'
import { loadConfig, readText } from '../config/load.ts'
import { configSchema } from '../config/schema.ts'
import { GatewayError } from '../errors.ts'
import { readCall } from './arguments.ts'
import { fail } from './failure.ts'
import type { CliIo } from './io.ts'

const HELP = `usage: sightline health [--config FILE]

  exit 0 when the gateway of this config (default: admin on 127.0.0.1:9901) takes requests, 1 when not`

const TIMEOUT_MS = 3_000
const ANY_ADDRESS: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

export async function healthCommand(args: string[], io: CliIo): Promise<number> {
  const call = readCall(args, io, {
    command: 'health',
    help: HELP,
    words: false,
    options: { config: { type: 'string' } },
  })
  if (typeof call === 'number') return call
  const { values } = call
  try {
    const file = values.config ?? io.env['SIGHTLINE_CONFIG']
    const admin = file === undefined ? configSchema.shape.admin.parse({}) : loadConfig(file, io.env).admin
    const where = parseListenAddress(admin.listen)
    if (where === undefined)
      throw new GatewayError('config-invalid', { detail: 'admin.listen is no address' })
    const headers: Record<string, string> =
      admin.token === undefined
        ? {}
        : { authorization: `Bearer ${readText(admin.token, 'admin.token').trim()}` }
    const status = await askReady(ANY_ADDRESS[where.host] ?? where.host, where.port, headers)
    if (status === 200) {
      io.out('ready')
      return 0
    }
    io.err(`error: not ready (status ${status})`)
    return 1
  } catch (thrown) {
    if (thrown instanceof GatewayError) return fail(io, thrown)
    io.err('error: nothing answers at the admin address; hint: is the gateway running, with this config?')
    return 1
  }
}

function askReady(host: string, port: number, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = http.get(
      { host, port, path: '/readyz', headers, timeout: TIMEOUT_MS, agent: false },
      (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      },
    )
    request.on('timeout', () => request.destroy(new Error('timeout')))
    request.on('error', reject)
  })
}
