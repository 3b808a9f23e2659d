// What others offer between a client and a gateway of one's own, both ends started here: SOCKS 5 on loopback, encryption
// between the ends. Ciphers are AES-GCM throughout, as Sightline's TLS takes on a processor that has AES.
import { mkdir } from 'node:fs/promises'
import { execFileSync } from 'node:child_process'
import os from 'node:os'
import type { ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import type { Bench, Running, Subject } from '../bench.ts'
import { freePort, listens } from '../processes.ts'
import { startDante } from './plain.ts'

const HOST = '127.0.0.1'

interface Ends {
  /** Gives the gateway's processes. */
  readonly gateway: (bench: Bench, port: number) => Promise<readonly ChildProcess[]>
  /** Gives the client's end, which listens on `local` and reaches the gateway on `port`. */
  readonly client: (bench: Bench, port: number, local: number) => Promise<ChildProcess>
  /** Further trees that belong to the gateway. */
  readonly behind?: (bench: Bench) => Promise<{ port: number; pid: number }>
}

function pair(facts: Omit<Subject, 'family' | 'start'>, { gateway, client }: Ends): Subject {
  const { name } = facts
  return {
    ...facts,
    family: 'encrypted',
    start: async (bench): Promise<Running> => {
      const [port, local] = [await freePort(), await freePort()]
      const startedMs = performance.now()
      const gateways = await gateway(bench, port)
      const [first] = gateways
      if (first !== undefined) await listens(first, port)
      const gatewayMs = performance.now() - startedMs
      const reached = await bench.reach(port)
      const againMs = performance.now()
      const near = await client(bench, reached, local)
      await listens(near, local)
      const startMs = gatewayMs + performance.now() - againMs
      const gatewayPids = gateways.map(({ pid }) => pid ?? 0)
      return {
        way: { name, handshake: 'socks5', proxy: { host: HOST, port: local }, origin: bench.origin },
        pids: [...gatewayPids, near.pid ?? 0],
        gatewayPids,
        startMs,
      }
    },
  }
}

const json = (value: unknown): string => JSON.stringify(value)

const sshD = pair(
  { name: 'ssh -D', programs: { sshd: 'openssh-server', ssh: 'openssh-client' }, version: ['ssh', '-V'] },
  {
    gateway: async (bench, port) => {
      for (const key of ['host', 'user']) {
        execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', bench.file(`ssh-${key}`)])
      }
      // Where sshd, as root, drops its privileges.
      if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true })
      const config = `ListenAddress ${HOST}:${port}
HostKey ${bench.file('ssh-host')}
AuthorizedKeysFile ${bench.file('ssh-user.pub')}
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
AllowTcpForwarding yes
MaxSessions 10
LogLevel ERROR
`
      return [bench.processes.start('sshd', ['-D', '-e', '-f', await bench.write('sshd.conf', config)])]
    },
    client: async (bench, port, local) =>
      bench.processes.start('ssh', [
        ...['-N', '-F', 'none', '-i', bench.file('ssh-user'), '-p', String(port), '-D', `${HOST}:${local}`],
        ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR'],
        ...['-o', 'IdentitiesOnly=yes', '-c', 'aes256-gcm@openssh.com', `${os.userInfo().username}@${HOST}`],
      ]),
  },
)

const shadowsocks = pair(
  {
    name: 'shadowsocks-libev',
    programs: { 'ss-server': 'shadowsocks-libev', 'ss-local': 'shadowsocks-libev' },
  },
  {
    gateway: async (bench, port) => [
      bench.processes.start('ss-server', [
        ...['-c', await bench.write('ss-server.json', shadowsocksConfig(port, {}))],
      ]),
    ],
    client: async (bench, port, local) =>
      bench.processes.start('ss-local', [
        ...[
          '-c',
          await bench.write(
            'ss-local.json',
            shadowsocksConfig(port, { local_address: HOST, local_port: local }),
          ),
        ],
      ]),
  },
)

const shadowsocksConfig = (port: number, more: object): string =>
  json({
    server: HOST,
    server_port: port,
    password: 'for loopback',
    method: 'aes-256-gcm',
    no_delay: true,
    timeout: 600,
    ...more,
  })

const trojan = pair(
  { name: 'trojan', programs: { trojan: 'trojan' } },
  {
    gateway: async (bench, port) => {
      const config = {
        run_type: 'server',
        local_addr: HOST,
        local_port: port,
        remote_addr: HOST,
        remote_port: bench.origin.port,
        password: ['for loopback'],
        log_level: 5,
        ssl: {
          cert: bench.file('gateway.crt'),
          key: bench.file('gateway.key'),
          alpn: ['http/1.1'],
          reuse_session: true,
          session_ticket: false,
        },
        tcp: { no_delay: true, keep_alive: true },
      }
      return [bench.processes.start('trojan', ['-c', await bench.write('trojan-server.json', json(config))])]
    },
    client: async (bench, port, local) => {
      const config = {
        run_type: 'client',
        local_addr: HOST,
        local_port: local,
        remote_addr: HOST,
        remote_port: port,
        password: ['for loopback'],
        log_level: 5,
        ssl: {
          verify: true,
          verify_hostname: true,
          cert: bench.file('ca.crt'),
          sni: 'localhost',
          alpn: ['http/1.1'],
          reuse_session: true,
        },
        tcp: { no_delay: true, keep_alive: true },
      }
      return bench.processes.start('trojan', ['-c', await bench.write('trojan-client.json', json(config))])
    },
  },
)

const v2ray = pair(
  { name: 'v2ray (WebSocket + TLS)', programs: { v2ray: 'v2ray' }, version: ['v2ray', '-version'] },
  {
    gateway: async (bench, port) => {
      const config = {
        log: { loglevel: 'none' },
        inbounds: [
          {
            listen: HOST,
            port,
            protocol: 'vless',
            settings: { clients: [{ id: V2RAY_ID }], decryption: 'none' },
            streamSettings: {
              network: 'ws',
              security: 'tls',
              tlsSettings: {
                certificates: [
                  { certificateFile: bench.file('gateway.crt'), keyFile: bench.file('gateway.key') },
                ],
              },
              wsSettings: { path: '/tunnel' },
            },
          },
        ],
        outbounds: [{ protocol: 'freedom' }],
      }
      return [
        bench.processes.start('v2ray', ['-config', await bench.write('v2ray-server.json', json(config))]),
      ]
    },
    client: async (bench, port, local) => {
      const config = {
        log: { loglevel: 'none' },
        inbounds: [
          { listen: HOST, port: local, protocol: 'socks', settings: { auth: 'noauth', udp: false } },
        ],
        outbounds: [
          {
            protocol: 'vless',
            settings: { vnext: [{ address: HOST, port, users: [{ id: V2RAY_ID, encryption: 'none' }] }] },
            streamSettings: {
              network: 'ws',
              security: 'tls',
              tlsSettings: { serverName: 'localhost' },
              wsSettings: { path: '/tunnel', headers: { Host: 'localhost' } },
            },
          },
        ],
      }
      const file = await bench.write('v2ray-client.json', json(config))
      const env = { ...process.env, SSL_CERT_FILE: bench.file('ca.crt') }
      return bench.processes.start('v2ray', ['-config', file], { env })
    },
  },
)
const V2RAY_ID = '27848739-7e62-4138-9fd3-098a63964b6b'

const stunnel = pair(
  {
    name: 'stunnel, mutual TLS, Dante',
    programs: { stunnel4: 'stunnel4', danted: 'dante-server' },
    needsRoot: true,
  },
  {
    gateway: async (bench, port) => {
      const dante = await startDante(bench, 'dante-behind-stunnel')
      const config = `foreground = yes
pid =
debug = 0
syslog = no
sslVersionMin = TLSv1.3
[gateway]
accept = ${HOST}:${port}
connect = ${HOST}:${dante.port}
cert = ${bench.file('gateway.crt')}
key = ${bench.file('gateway.key')}
CAfile = ${bench.file('ca.crt')}
verifyChain = yes
`
      const child = bench.processes.start('stunnel4', [await bench.write('stunnel-gateway.conf', config)])
      return [child, { pid: dante.pid } as ChildProcess]
    },
    client: async (bench, port, local) => {
      const config = `foreground = yes
pid =
debug = 0
syslog = no
sslVersionMin = TLSv1.3
[client]
client = yes
accept = ${HOST}:${local}
connect = ${HOST}:${port}
cert = ${bench.file('client.crt')}
key = ${bench.file('client.key')}
CAfile = ${bench.file('ca.crt')}
verifyChain = yes
checkHost = localhost
`
      return bench.processes.start('stunnel4', [await bench.write('stunnel-client.conf', config)])
    },
  },
)

const HAPROXY_DEFAULTS = `global
  maxconn 8000
defaults
  mode tcp
  timeout connect 5s
  timeout client 600s
  timeout server 600s
`

const haproxy = pair(
  {
    name: 'HAProxy, mutual TLS, Dante',
    programs: { haproxy: 'haproxy', danted: 'dante-server' },
    needsRoot: true,
  },
  {
    gateway: async (bench, port) => {
      const dante = await startDante(bench, 'dante-behind-haproxy')
      const config = `${HAPROXY_DEFAULTS}listen gateway
  bind ${HOST}:${port} ssl crt ${await pem(bench, 'gateway')} ca-file ${bench.file('ca.crt')} verify required ssl-min-ver TLSv1.3
  server dante ${HOST}:${dante.port}
`
      const child = bench.processes.start('haproxy', [
        '-db',
        '-q',
        '-f',
        await bench.write('haproxy-gateway.cfg', config),
      ])
      return [child, { pid: dante.pid } as ChildProcess]
    },
    client: async (bench, port, local) => {
      const config = `${HAPROXY_DEFAULTS}listen client
  bind ${HOST}:${local}
  server gateway ${HOST}:${port} ssl crt ${await pem(bench, 'client')} ca-file ${bench.file('ca.crt')} verify required verifyhost localhost sni str(localhost) ssl-min-ver TLSv1.3
`
      return bench.processes.start('haproxy', [
        '-db',
        '-q',
        '-f',
        await bench.write('haproxy-client.cfg', config),
      ])
    },
  },
)

/** HAProxy wants certificate and key in one file. */
async function pem(bench: Bench, name: string): Promise<string> {
  const parts = [
    await readFile(bench.file(`${name}.crt`), 'utf8'),
    await readFile(bench.file(`${name}.key`), 'utf8'),
  ]
  return bench.write(`${name}.pem`, parts.join('\n'))
}

export const ENCRYPTED_PEERS: readonly Subject[] = [sshD, shadowsocks, trojan, v2ray, stunnel, haproxy]
