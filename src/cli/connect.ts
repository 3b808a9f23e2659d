// sightline connect: the tunnel client. A SOCKS and HTTP port on this machine, whose traffic leaves through a
// gateway and nowhere else.
import path from 'node:path'
import { parseArgs } from 'node:util'
import { configSchema, type Config, type ConfigInput } from '../config/schema.ts'
import { GatewayError, type ErrorCode } from '../errors.ts'
import type { TunnelState } from '../outbound/tunnel.ts'
import { fail, usage } from './failure.ts'
import type { ServiceIo } from './io.ts'
import { runService } from './service.ts'

const HELP = `usage: sightline connect URL --certificate F --key F --authority F [options]

  keeps a tunnel to the gateway at URL and offers it to programs on this machine as a SOCKS and HTTP proxy;
  while the gateway is away nothing leaves by another way

  --certificate F   this client's certificate       (sightline pki issue NAME --client makes both)
  --key F           its private key
  --authority F     ca.crt of the authority that the gateway's certificate comes from
  --listen A        address for programs; default 127.0.0.1:1081
  --connections N   connections to the gateway, 1 to 16; default auto: one, and more while it is busy
  --admin A         address for /metrics, /healthz and /readyz; none by default
  --json            one JSON object a line on standard output

examples:
  sightline connect wss://gateway.example.org:8443/tunnel \\
    --certificate alice.crt --key alice.key --authority ca.crt
  curl --socks5-hostname 127.0.0.1:1081 https://example.org/`

const HINTS: Partial<Record<ErrorCode, string>> = {
  'certificate-required': 'give --certificate and --key; sightline pki issue NAME --client makes them',
  'certificate-untrusted': 'this gateway takes certificates of another authority; ask its operator for one',
  'certificate-expired': 'ask the operator for a new one: sightline pki renew NAME',
  'certificate-not-yet-valid': 'compare the clocks of this machine and the gateway',
  'certificate-wrong-usage': 'this is a certificate for servers; ask for one made with --client',
  'certificate-revoked': 'the operator has withdrawn it; ask for another',
  'gateway-untrusted':
    '--authority must be the ca.crt of this gateway, and the host in the URL one of its names',
  'tls-version': 'what answers there does not speak TLS 1.3; check host and port',
  'revocation-list-unusable': 'the operator has to renew the revocation list: sightline pki crl',
  'connection-refused': 'nothing listens there; check host and port, and that the gateway runs',
  'name-not-found': 'check the host in the URL',
}

export async function connectCommand(args: string[], io: ServiceIo): Promise<number> {
  let parsed
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: {
        certificate: { type: 'string' },
        key: { type: 'string' },
        authority: { type: 'string' },
        listen: { type: 'string' },
        connections: { type: 'string' },
        admin: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (thrown) {
    return usage(io, (thrown as Error).message, 'connect')
  }
  const { values, positionals } = parsed
  if (values.help === true) {
    io.out(HELP)
    return 0
  }
  const [url, ...more] = positionals
  if (url === undefined)
    return usage(io, 'no gateway given: sightline connect wss://HOST:8443/tunnel …', 'connect')
  if (more.length > 0) return usage(io, `one gateway, not ${positionals.length}`, 'connect')
  if (values.authority === undefined)
    return usage(io, 'no authority given: add --authority ca.crt', 'connect')
  let config: Config
  try {
    config = connectConfig(url, { ...values, authority: values.authority })
  } catch (thrown) {
    return fail(io, thrown)
  }
  const report = new StateReport(values.json === true, io)
  return runService(
    {
      config,
      reread: () => config,
      admin: values.admin !== undefined,
      json: values.json === true,
      onTunnelState: (state) => report.show(state),
      started: () => report.failIfRefused(),
    },
    io,
  )
}

interface ConnectValues {
  readonly authority: string
  readonly certificate?: string | undefined
  readonly key?: string | undefined
  readonly listen?: string | undefined
  readonly connections?: string | undefined
  readonly admin?: string | undefined
}

/** The config that the options stand for. Errors: `config-invalid`, naming the option. */
function connectConfig(url: string, values: ConnectValues): Config {
  const absolute = (file: string | undefined): string | undefined =>
    file === undefined ? undefined : path.resolve(file)
  const input: ConfigInput = {
    inbounds: [{ type: 'mixed', listen: values.listen ?? '127.0.0.1:1081', outbound: 'gateway' }],
    outbounds: {
      gateway: {
        type: 'tunnel',
        url,
        certificate: absolute(values.certificate),
        key: absolute(values.key),
        authority: path.resolve(values.authority),
        ...(values.connections !== undefined && {
          connections: values.connections === 'auto' ? 'auto' : Number(values.connections),
        }),
      },
    },
    log: { level: 'silent' },
    ...(values.admin !== undefined && { admin: { listen: values.admin } }),
  }
  const result = configSchema.safeParse(input)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const option = issue?.path.at(-1)
  const given =
    option === 'url'
      ? url
      : typeof option === 'string'
        ? (Reflect.get(values, option) as string | undefined)
        : undefined
  throw new GatewayError('config-invalid', {
    detail: `${option === 'url' ? 'URL' : `--${String(option)}`}: ${issue?.message ?? 'not valid'}${given === undefined ? '' : ` (found "${given}")`}`,
    hint: 'sightline connect --help shows each option',
  })
}

/** Says what becomes of the tunnel, once for each change. */
class StateReport {
  #json: boolean
  #io: ServiceIo
  #last = ''
  #refused: GatewayError | undefined
  #started = false

  constructor(json: boolean, io: ServiceIo) {
    this.#json = json
    this.#io = io
  }

  show(state: TunnelState): void {
    if (state.state === 'connecting') return
    const error = 'error' in state ? state.error : undefined
    this.#refused = state.state === 'refused' || isMisconfigured(error) ? error : undefined
    const key = `${state.state}:${error?.code ?? ''}`
    if (key === this.#last || (!this.#started && this.#refused !== undefined)) return
    this.#last = key
    if (this.#json) {
      const facts = state.state === 'up' ? state.facts : { code: error?.code, reference: error?.reference }
      return this.#io.out(JSON.stringify({ event: 'tunnel', state: state.state, ...facts }))
    }
    if (state.state === 'up') {
      const { protocol, cipher, group } = state.facts
      return this.#io.out(`tunnel up: ${protocol}, ${cipher}, key exchange ${group}`)
    }
    const again =
      state.state === 'down' ? 'trying again' : 'waiting for a new certificate, which is read by itself'
    this.#io.err(`tunnel ${state.state}: ${describe(error)}; ${again}`)
  }

  /** At the start, what waiting cannot mend ends the command. */
  failIfRefused(): void {
    this.#started = true
    if (this.#refused === undefined) return
    const hint = HINTS[this.#refused.code]
    throw new GatewayError(this.#refused.code, {
      detail: describe(this.#refused),
      ...(hint !== undefined && { hint }),
    })
  }
}

function isMisconfigured(error: GatewayError | undefined): boolean {
  return error?.code === 'gateway-untrusted' || error?.code === 'tls-version' || error?.code === 'pki-invalid'
}

function describe(error: GatewayError | undefined): string {
  if (error === undefined) return 'unknown'
  const reference = error.reference === undefined ? '' : `, reference ${error.reference}`
  return `${error.code} (${error.message}${reference})`
}
