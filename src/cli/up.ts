// sightline up: everything on this machine, ready to try: a gateway with every mode, a tunnel client, a site with
// and without TLS, and the console. Certificates for development are made on first use.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { Registry } from 'prom-client'
import { configSchema, type Config } from '../config/schema.ts'
import type { Gateway } from '../gateway/gateway.ts'
import { startConsole } from '../lab/console/console.ts'
import { measureCost, type CostSite } from '../lab/console/cost.ts'
import { gatewayFacts } from '../lab/console/gateway-facts.ts'
import { waysOf, type WaysOptions } from '../lab/console/ways.ts'
import { startSite, type Site } from '../lab/site.ts'
import { ensureDevelopmentPki } from '../pki/store.ts'
import { Metrics } from '../telemetry/metrics.ts'
import type { Listener } from '../transport/listener.ts'
import { OWN_PROBE_PORTS } from './audit.ts'
import { readCall } from './arguments.ts'
import { fail } from './failure.ts'
import type { ServiceIo } from './io.ts'
import { runService, type ReadyAddress } from './service.ts'
import { VERSION } from './version.ts'

const HELP = `usage: sightline up [--dir certs] [--seed NAME] [--json]

  starts everything on this machine: the proxies, the tunnel gateway, a tunnel client, a site to visit with
  and without TLS, the console and the admin address; prints a line to try for each mode

  --dir D   where certificates for development are, and are made on first use; default certs
  --seed N  words and addresses of the console that are a student's own, for the lessons; default random
            each time
  --json    one JSON object a line on standard output`

const SITE = { address: '127.0.0.1', ports: { http: 9000, https: 9001 } } as const
const HTTP_LISTEN = '127.0.0.1:3128'
const COST_SITE: CostSite = {
  host: 'localhost:9000',
  small: '/',
  large: '/large',
  largeBytes: 8 * 1024 * 1024,
}
const CONSOLE = { host: '127.0.0.1', port: 9900 } as const

export async function upCommand(args: string[], io: ServiceIo): Promise<number> {
  const call = readCall(args, io, {
    command: 'up',
    help: HELP,
    words: false,
    options: {
      dir: { type: 'string', default: 'certs' },
      seed: { type: 'string' },
      json: { type: 'boolean' },
    },
  })
  if (typeof call === 'number') return call
  const { values } = call
  const { dir, json = false } = values
  let site: Site | undefined
  let console: Listener | undefined
  try {
    const { made } = await ensureDevelopmentPki(dir)
    if (made.length > 0 && !json) io.out(`made certificates for development in ${dir}: ${made.join(', ')}`)
    site = await startSite({
      ...SITE,
      certificate: readFileSync(path.join(dir, 'origin.crt'), 'utf8'),
      key: readFileSync(path.join(dir, 'origin.key'), 'utf8'),
      page: (request) =>
        request.url === COST_SITE.large
          ? largePage()
          : `hello from the site: ${request.method} ${request.url} reached me from ${request.socket.remoteAddress}\n`,
    })
    const tries = triesFor(dir, io.env)
    let addresses: readonly ReadyAddress[] = []
    let running: { readonly gateway: Gateway; readonly metrics: Metrics } | undefined
    console = await startConsole({
      listen: CONSOLE,
      ...(values.seed !== undefined && { seed: values.seed }),
      welcome: () => ({ version: VERSION, addresses, tries, settings: `http://${HTTP_LISTEN}/` }),
      observer: new Metrics(VERSION).observer,
      gateway: () =>
        gatewayFacts(
          {
            version: VERSION,
            registry: running?.metrics.registry ?? new Registry(),
            ready: () => running?.gateway.draining === false,
            certificates: certificatesOf(dir),
          },
          Date.now(),
        ),
      cost: () => measureCost(waysOf(addressesOf(dir)), COST_SITE),
    })
    return await runService(
      {
        config: upConfig(dir),
        reread: () => upConfig(dir),
        admin: true,
        json,
        started: (gateway, metrics) => void (running = { gateway, metrics }),
        beside: [{ name: 'console', listener: console, reachable: false }],
        ready: (list) => {
          addresses = list
          if (!json) io.out(welcome(tries))
        },
      },
      io,
    )
  } catch (thrown) {
    return fail(io, thrown)
  } finally {
    site?.close()
    void console?.close()
  }
}

/** The embedded defaults: every mode, and the tunnel client, in one process. */
function upConfig(dir: string): Config {
  const file = (name: string): string => path.resolve(dir, name)
  const gateway = { certificate: file('gateway.crt'), key: file('gateway.key') }
  return configSchema.parse({
    inbounds: [
      { type: 'http', listen: HTTP_LISTEN },
      { type: 'socks', listen: '127.0.0.1:1080' },
      { type: 'http', listen: '127.0.0.1:3129', tls: gateway },
      {
        type: 'tunnel',
        listen: '127.0.0.1:8443',
        tls: { ...gateway, clientAuthority: file('ca.crt'), revocationList: file('ca.crl') },
      },
      { type: 'mixed', listen: '127.0.0.1:1081', outbound: 'gateway' },
    ],
    outbounds: {
      gateway: {
        type: 'tunnel',
        url: 'wss://localhost:8443/tunnel',
        certificate: file('client.crt'),
        key: file('client.key'),
        authority: file('ca.crt'),
      },
    },
    // Beside the public network, exactly the site that this command starts.
    // The site, and the far end of an audit of this gateway.
    egress: {
      allow: [...Object.values(SITE.ports), ...Object.values(OWN_PROBE_PORTS)].map(
        (port) => `${SITE.address}:${port}`,
      ),
    },
    log: { level: 'warn' },
  })
}

const largePage = (): string => 'x'.repeat(COST_SITE.largeBytes)

/** Where the embedded defaults listen, for a measurement of what each mode costs. */
function addressesOf(dir: string): WaysOptions {
  const at = (port: number): { address: string; port: number } => ({ address: '127.0.0.1', port })
  return {
    site: at(SITE.ports.http),
    http: at(3128),
    socks: at(1080),
    https: { ...at(3129), name: 'localhost', authority: readFileSync(path.join(dir, 'ca.crt'), 'utf8') },
    tunnel: at(1081),
  }
}

/** Certificates in use, by what they are for. */
function certificatesOf(dir: string): Record<string, string> {
  return {
    authority: path.join(dir, 'ca.crt'),
    gateway: path.join(dir, 'gateway.crt'),
    client: path.join(dir, 'client.crt'),
    site: path.join(dir, 'origin.crt'),
  }
}

function triesFor(dir: string, env: ServiceIo['env']): Array<{ what: string; command: string }> {
  // An environment that keeps programs from proxies would make these lines go direct, and look as if they had not.
  const curl = (env['NO_PROXY'] ?? env['no_proxy'] ?? '') === '' ? 'curl' : "curl --noproxy ''"
  const http = `http://localhost:${SITE.ports.http}/`
  const https = `https://localhost:${SITE.ports.https}/`
  const authority = shellWord(path.join(dir, 'ca.crt'))
  return [
    { what: 'plain HTTP proxy', command: `${curl} -x http://127.0.0.1:3128 ${http}` },
    {
      what: 'plain HTTP proxy, site with TLS',
      command: `${curl} --cacert ${authority} -x http://127.0.0.1:3128 ${https}`,
    },
    { what: 'plain SOCKS proxy', command: `${curl} --socks5-hostname 127.0.0.1:1080 ${http}` },
    {
      what: 'encrypted proxy',
      command: `${curl} --proxy-cacert ${authority} -x https://localhost:3129 ${http}`,
    },
    { what: 'tunnel', command: `${curl} --socks5-hostname 127.0.0.1:1081 ${http}` },
    {
      what: 'tunnel, as an HTTP proxy, site with TLS',
      command: `${curl} --cacert ${authority} -x http://127.0.0.1:1081 ${https}`,
    },
    {
      what: 'what each mode has exposed since the start',
      command: 'curl -s http://127.0.0.1:9901/metrics | grep exposed_streams',
    },
  ]
}

/** `text` as one word of a POSIX shell, quoted only where it has to be. */
function shellWord(text: string): string {
  return /^[\w./@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

function welcome(tries: ReadonlyArray<{ what: string; command: string }>): string {
  const lines = tries.map(({ what, command }) => `  ${what}\n    ${command}`)
  return `
try (each line works as typed, offline too):
${lines.join('\n')}

who can read what: http://127.0.0.1:9900/, or sightline lab run (npm run demo)
stop with control-c`
}
