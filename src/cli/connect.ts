// sightline connect: the tunnel client. A SOCKS and HTTP port on this machine, whose traffic leaves through a
// gateway and nowhere else.
import type { Config } from '../config/schema.ts'
import { GatewayError, type ErrorCode } from '../errors.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { TunnelState } from '../outbound/tunnel.ts'
import { connectConfig, DEFAULT_LISTEN } from './connect-config.ts'
import { environmentOf, printEnvironment, settingsText } from './connect-settings.ts'
import { describeError, RateMeter, statusLine, tellState } from './connect-status.ts'
import { readCall } from './arguments.ts'
import { fail, usage } from './failure.ts'
import type { ServiceIo } from './io.ts'
import { runService, type ReadyAddress } from './service.ts'
import { BottomLine } from './bottom-line.ts'

const HELP = `usage: sightline connect URL [URL...] --certificate F --key F --authority F [options]
       sightline connect --print-env [--listen A]

  keeps a tunnel to the gateway at URL and offers it to programs on this machine as a SOCKS and HTTP proxy;
  while the gateway is away nothing leaves by another way; of several gateways the first that can be reached
  is used, and the first of the list again when it is back

  --certificate F   this client's certificate       (sightline pki issue NAME --client makes both)
  --key F           its private key
  --authority F     ca.crt of the authority that the gateway's certificate comes from
  --listen A        address for programs; default 127.0.0.1:1081
  --connections N   connections to the gateway, 1 to 16; default auto: one, and more while it is busy
  --proxy URL       reach the gateway through this HTTP proxy: http://[NAME[:PASS]@]HOST:PORT or https://…;
                    --proxy env takes it from HTTPS_PROXY, which is not looked at otherwise
  --proxy-password-file F
                    its password; one in the URL can be read by every user of this machine
  --print-env       print exports for a shell; without URL those of the client that runs, and end
  --admin A         address for /metrics, /healthz and /readyz; none by default
  --json            one JSON object a line on standard output

examples:
  sightline connect wss://gateway.example.org:8443/tunnel \\
    --certificate alice.crt --key alice.key --authority ca.crt
  curl --socks5-hostname 127.0.0.1:1081 https://example.org/
  eval "$(sightline connect --print-env)"`

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
  'upstream-auth-failed':
    'the proxy wants a name and a password: --proxy http://NAME@HOST:PORT --proxy-password-file F',
  'upstream-untrusted':
    "the proxy's certificate is of no authority that this machine knows; `proxy.authority` in a config file names one",
}

/** What is wrong with how this client was started, and is not mended by trying again. */
const MISCONFIGURED: ReadonlySet<ErrorCode> = new Set([
  'gateway-untrusted',
  'tls-version',
  'pki-invalid',
  'upstream-auth-failed',
  'upstream-untrusted',
])

const REFRESH_MS = 1_000

export async function connectCommand(args: string[], io: ServiceIo): Promise<number> {
  const call = readCall(args, io, {
    command: 'connect',
    help: HELP,
    words: true,
    options: {
      certificate: { type: 'string' },
      key: { type: 'string' },
      authority: { type: 'string' },
      listen: { type: 'string' },
      connections: { type: 'string' },
      proxy: { type: 'string' },
      'proxy-password-file': { type: 'string' },
      'print-env': { type: 'boolean' },
      admin: { type: 'string' },
      json: { type: 'boolean' },
    },
  })
  if (typeof call === 'number') return call
  const { values, positionals: urls } = call
  const printEnv = values['print-env'] === true
  if (urls.length === 0 && printEnv) return printEnvironment(values.listen ?? DEFAULT_LISTEN, io)
  if (urls.length === 0)
    return usage(io, 'no gateway given: sightline connect wss://HOST:8443/tunnel …', 'connect')
  if (values.authority === undefined)
    return usage(io, 'no authority given: add --authority ca.crt', 'connect')
  let config: Config
  try {
    config = connectConfig(urls, { ...values, authority: values.authority }, io.env)
  } catch (thrown) {
    return fail(io, thrown)
  }
  return new Connect(
    config,
    { json: values.json === true, printEnv, admin: values.admin !== undefined },
    io,
  ).run()
}

interface ConnectOptions {
  readonly json: boolean
  readonly printEnv: boolean
  readonly admin: boolean
}

/** One run of the command: what it says, and when. */
class Connect {
  #config: Config
  #options: ConnectOptions
  #io: ServiceIo
  #bottom: BottomLine | undefined
  #meter = new RateMeter()
  #state: TunnelState = { state: 'connecting' }
  #gateway: Gateway | undefined

  constructor(config: Config, options: ConnectOptions, io: ServiceIo) {
    this.#config = config
    this.#options = options
    if (io.terminal !== undefined && !options.json) this.#bottom = new BottomLine(io.terminal, io.env)
    this.#io = this.#bottom?.under(io) ?? io
  }

  async run(): Promise<number> {
    const timer = setInterval(() => this.#refresh(), REFRESH_MS).unref()
    const { json, admin } = this.#options
    try {
      return await runService(
        {
          config: this.#config,
          reread: () => this.#config,
          admin,
          json,
          onTunnelState: (state) => this.#changed(state),
          started: (gateway) => this.#started(gateway),
          ready: (addresses) => this.#ready(addresses),
        },
        this.#io,
      )
    } finally {
      clearInterval(timer)
      this.#bottom?.end()
    }
  }

  #changed(state: TunnelState): void {
    this.#state = state
    // At the start what ends the command is said once, as its error.
    if (this.#gateway !== undefined || hopeless(state) === undefined)
      tellState(state, this.#options.json, this.#io)
    if (this.#gateway !== undefined) this.#refresh()
  }

  /** At the start, what waiting cannot mend ends the command. */
  #started(gateway: Gateway): void {
    this.#gateway = gateway
    const error = hopeless(this.#state)
    if (error === undefined) return
    const hint = HINTS[error.code]
    throw new GatewayError(error.code, { detail: describeError(error), ...(hint !== undefined && { hint }) })
  }

  #ready(addresses: readonly ReadyAddress[]): void {
    const { json, printEnv } = this.#options
    const address = addresses[0]?.address ?? ''
    if (printEnv) for (const line of environmentOf(address)) this.#io.out(line)
    else if (!json) this.#io.out(settingsText(address))
    this.#refresh()
  }

  #refresh(): void {
    const { terminal } = this.#io
    if (this.#gateway === undefined || this.#bottom === undefined || terminal === undefined) return
    const traffic = this.#gateway.tunnelTraffic
    const rates = this.#meter.look(traffic, performance.now())
    const { text, colour } = statusLine(this.#state, traffic, rates, terminal.columns())
    this.#bottom.show(text, colour)
  }
}

function hopeless(state: TunnelState): GatewayError | undefined {
  if (!('error' in state)) return undefined
  return state.state === 'refused' || MISCONFIGURED.has(state.error.code) ? state.error : undefined
}
