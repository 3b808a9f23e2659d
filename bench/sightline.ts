// Sightline's own modes as subjects, each on a gateway of its own, so that what one costs is not counted with another.
import path from 'node:path'
import { readFile } from 'node:fs/promises'
import type { ChildProcess } from 'node:child_process'
import type { Bench, Running, Subject } from './bench.ts'
import { direct, type Handshake, type Way } from './way.ts'

const TLS = 'certificate: gateway.crt, key: gateway.key'
const LIMITS =
  '{ connections: 20000, connectionsPerSource: 20000, streamsPerTunnel: 10000, connectionsPerIdentity: 20000, idleMs: 3600000 }'

export interface SightlineOptions {
  /** The checkout that is started; this one where nothing is said. */
  readonly tree?: string | undefined
  /** Sessions of the tunnel client; `auto` where nothing is said. */
  readonly connections?: number | undefined
  /** Worker processes of the gateway; 1 where nothing is said. */
  readonly workers?: string | undefined
  /** An argument of Node. */
  readonly node?: string | undefined
}

/** In the order of what they cost. */
export function sightline(options: SightlineOptions = {}): Subject[] {
  return [
    { name: 'direct', family: 'none', mode: 'direct', start: startDirect },
    plain('http-proxy (absolute-form)', 'http', 'http-proxy', options),
    plain('http-proxy', 'connect', 'http-proxy', options),
    plain('socks-proxy', 'socks5', 'socks-proxy', options),
    plain('https-proxy', 'connect-tls', 'https-proxy', options),
    {
      name: 'tunnel',
      family: 'encrypted',
      mode: 'tunnel',
      start: (bench) => startTunnel(bench, options),
    },
  ]
}

const startDirect = async ({ origin }: Bench): Promise<Running> => ({
  way: direct(origin),
  pids: [],
  gatewayPids: [],
  startMs: 0,
})

function plain(name: string, handshake: Handshake, mode: string, options: SightlineOptions): Subject {
  const tls = handshake === 'connect-tls'
  const type = handshake === 'socks5' ? 'socks' : 'http'
  return {
    name,
    family: tls ? 'encrypted' : 'plain',
    mode,
    start: async (bench) => {
      const startedMs = performance.now()
      const { child, port } = await serve(
        bench,
        name,
        `type: ${type}${tls ? `, tls: { ${TLS} }` : ''}`,
        options,
      )
      const startMs = performance.now() - startedMs
      const proxy = { host: '127.0.0.1', port: await bench.reach(port) }
      const way: Way = { name, handshake, proxy, origin: bench.origin }
      const pids = [child.pid ?? 0]
      if (!tls) return { way, pids, gatewayPids: pids, startMs }
      return {
        way: { ...way, authority: await readFile(bench.file('ca.crt'), 'utf8') },
        pids,
        gatewayPids: pids,
        startMs,
      }
    },
  }
}

async function startTunnel(bench: Bench, options: SightlineOptions): Promise<Running> {
  const startedMs = performance.now()
  const judged = `${TLS}, clientAuthority: ca.crt, revocationList: ca.crl`
  const gateway = await serve(bench, 'tunnel', `type: tunnel, tls: { ${judged} }`, options)
  const gatewayMs = performance.now() - startedMs
  const reached = await bench.reach(gateway.port)
  const againMs = performance.now()
  const config = await bench.write(
    'tunnel-client.yaml',
    `inbounds: [{ type: mixed, listen: "127.0.0.1:0", outbound: gateway }]
outbounds:
  gateway:
    type: tunnel
    url: wss://localhost:${reached}/tunnel
    certificate: client.crt
    key: client.key
    authority: ca.crt
${options.connections === undefined ? '' : `    connections: ${options.connections}\n`}limits: ${LIMITS}
admin: { listen: "127.0.0.1:0" }
log: { level: warn }
`,
  )
  const client = await run(bench, config, options)
  const pids = [gateway.child.pid ?? 0, client.child.pid ?? 0]
  return {
    way: {
      name: 'tunnel',
      handshake: 'socks5',
      proxy: { host: '127.0.0.1', port: client.port },
      origin: bench.origin,
    },
    pids,
    gatewayPids: pids.slice(0, 1),
    startMs: gatewayMs + performance.now() - againMs,
  }
}

async function serve(
  bench: Bench,
  name: string,
  inbound: string,
  options: SightlineOptions,
): Promise<{ child: ChildProcess; port: number }> {
  const config = await bench.write(
    `${name}.yaml`,
    `inbounds: [{ ${inbound}, listen: "127.0.0.1:0" }]
egress: { allow: ["127.0.0.1:${bench.origin.port}", "127.0.0.1:${bench.echo.port}"] }
limits: ${LIMITS}
workers: ${options.workers ?? 1}
admin: { listen: "127.0.0.1:0" }
log: { level: warn }
`,
  )
  return run(bench, config, options)
}

async function run(
  { processes }: Bench,
  config: string,
  { tree = path.join(import.meta.dirname, '..'), node }: SightlineOptions,
): Promise<{ child: ChildProcess; port: number }> {
  const { child, ready } = await processes.startReady([
    ...(node === undefined || node === '' ? [] : node.split(' ')),
    ...[path.join(tree, 'src/main.ts'), 'serve', '--config', config, '--json'],
  ])
  const address = ready.addresses?.find((entry) => entry.name !== 'admin')?.address ?? ''
  return { child, port: Number(address.split(':').at(-1)) }
}
