// Plain relays of others, each with the least configuration that serves SOCKS 5 or CONNECT on loopback without
// logging and without asking who is there.
import type { Bench, Running, Subject } from '../bench.ts'
import { freePort, listens } from '../processes.ts'
import type { Handshake } from '../way.ts'

const HOST = '127.0.0.1'

/** A subject that is one program on one port. */
function relay(
  facts: Omit<Subject, 'family' | 'start'> & { readonly handshake: Handshake },
  command: (bench: Bench, port: number) => Promise<readonly [file: string, ...args: string[]]>,
): Subject {
  const { handshake, ...subject } = facts
  return {
    ...subject,
    family: 'plain',
    start: async (bench) => {
      const port = await freePort()
      const [file, ...args] = await command(bench, port)
      const startedMs = performance.now()
      const child = bench.processes.start(file, args)
      await listens(child, port)
      const startMs = performance.now() - startedMs
      const proxy = { host: HOST, port: await bench.reach(port) }
      const pids = [child.pid ?? 0]
      return {
        way: { name: subject.name, handshake, proxy, origin: bench.origin },
        pids,
        gatewayPids: pids,
        startMs,
      }
    },
  }
}

async function danteConfig(bench: Bench, name: string, port: number): Promise<string> {
  return bench.write(
    name,
    `logoutput: /dev/null
internal: ${HOST} port = ${port}
external: ${HOST}
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks pass { from: 127.0.0.0/8 to: 127.0.0.0/8 }
`,
  )
}

/** Dante, for itself and behind what terminates TLS in front of it. */
export async function startDante(bench: Bench, name: string): Promise<{ port: number; pid: number }> {
  const port = await freePort()
  const config = await danteConfig(bench, `${name}.conf`, port)
  const child = bench.processes.start('danted', ['-f', config, '-p', bench.file(`${name}.pid`)])
  await listens(child, port)
  return { port, pid: child.pid ?? 0 }
}

export const PLAIN_PEERS: readonly Subject[] = [
  relay(
    { name: 'microsocks', handshake: 'socks5', programs: { microsocks: 'microsocks' } },
    async (_bench, port) => ['microsocks', '-i', HOST, '-p', String(port)],
  ),
  {
    name: 'Dante',
    family: 'plain',
    programs: { danted: 'dante-server' },
    needsRoot: true,
    start: async (bench): Promise<Running> => {
      const startedMs = performance.now()
      const { port, pid } = await startDante(bench, 'dante')
      const startMs = performance.now() - startedMs
      const proxy = { host: HOST, port: await bench.reach(port) }
      return {
        way: { name: 'Dante', handshake: 'socks5', proxy, origin: bench.origin },
        pids: [pid],
        gatewayPids: [pid],
        startMs,
      }
    },
  },
  relay(
    { name: 'tinyproxy', handshake: 'connect', programs: { tinyproxy: 'tinyproxy' } },
    async (bench, port) => {
      const config = `Port ${port}\nListen ${HOST}\nTimeout 600\nMaxClients 10000\nLogLevel Critical\nLogFile "/dev/null"\nDisableViaHeader Yes\n`
      return ['tinyproxy', '-d', '-c', await bench.write('tinyproxy.conf', config)]
    },
  ),
  relay({ name: 'squid', handshake: 'connect', programs: { squid: 'squid' } }, async (bench, port) => {
    const config = `http_port ${HOST}:${port}
http_access allow all
access_log none
cache_log /dev/null
cache deny all
cache_mem 8 MB
pid_filename none
pinger_enable off
max_filedescriptors 16384
coredump_dir /tmp
shutdown_lifetime 0 seconds
visible_hostname localhost
`
    return ['squid', '-N', '-f', await bench.write('squid.conf', config)]
  }),
  relay({ name: 'proxy-chain', handshake: 'connect' }, async (_bench, port) => [
    process.execPath,
    `${import.meta.dirname}/proxy-chain.ts`,
    String(port),
  ]),
]
