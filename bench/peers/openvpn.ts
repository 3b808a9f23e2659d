// OpenVPN, whose client is a whole network: a namespace of its own, in which the load stands too, joined to the gateway's by a
// pair of virtual interfaces. Needs root. The origin listens on the gateway's address inside the tunnel.
import { execFileSync } from 'node:child_process'
import type { Running, Subject } from '../bench.ts'
import { LoadProcess } from '../load-process.ts'
import { freePort } from '../processes.ts'
import { direct } from '../way.ts'

/** Documentation ranges (RFC 5737, RFC 2544), so that no real network is hidden. */
const OUTSIDE = { gateway: '198.18.73.1', client: '198.18.73.2' }
const INSIDE = { gateway: '198.18.74.1', client: '198.18.74.2' }
const START_TIMEOUT_MS = 20_000

let started = 0
const ip = (...args: readonly string[]): void => void execFileSync('ip', args, { stdio: 'pipe' })

export const OPENVPN: Subject = {
  name: 'OpenVPN',
  family: 'encrypted',
  programs: { openvpn: 'openvpn', ip: 'iproute2' },
  needsRoot: true,
  version: ['openvpn', '--version'],
  start: async (bench): Promise<Running> => {
    // The kernel takes a while to remove the last one.
    const name = `slb${process.pid}${String.fromCharCode(97 + (started++ % 26))}`
    const startedMs = performance.now()
    bench.atStop(() => ip('netns', 'delete', name))
    ip('netns', 'add', name)
    ip('link', 'add', `${name}a`, 'type', 'veth', 'peer', 'name', `${name}b`, 'netns', name)
    ip('address', 'add', `${OUTSIDE.gateway}/30`, 'dev', `${name}a`)
    ip('link', 'set', `${name}a`, 'up')
    ip('-n', name, 'address', 'add', `${OUTSIDE.client}/30`, 'dev', `${name}b`)
    ip('-n', name, 'link', 'set', `${name}b`, 'up')
    ip('-n', name, 'link', 'set', 'lo', 'up')
    const port = String(await freePort())
    const common = [
      '--dev-type',
      'tun',
      '--proto',
      'udp',
      '--topology',
      'p2p',
      '--data-ciphers',
      'AES-256-GCM',
      '--verb',
      '0',
      '--ca',
      bench.file('ca.crt'),
    ]
    const gateway = bench.processes.start('openvpn', [
      ...[
        ...common,
        '--dev',
        `${name}s`,
        '--tls-server',
        '--dh',
        'none',
        '--local',
        OUTSIDE.gateway,
        '--port',
        port,
      ],
      ...['--ifconfig', INSIDE.gateway, INSIDE.client],
      ...['--cert', bench.file('gateway.crt'), '--key', bench.file('gateway.key')],
    ])
    const client = bench.processes.start('ip', [
      ...['netns', 'exec', name, 'openvpn', ...common, '--dev', `${name}c`, '--tls-client'],
      ...['--remote', OUTSIDE.gateway, port, '--nobind', '--ifconfig', INSIDE.client, INSIDE.gateway],
      ...['--cert', bench.file('client.crt'), '--key', bench.file('client.key')],
    ])
    const origin = await listening(() => {
      ip('address', 'show', 'to', INSIDE.gateway, 'dev', `${name}s`, 'up')
      return bench.startOrigin(INSIDE.gateway)
    })
    await listening(() =>
      ip('netns', 'exec', name, 'bash', '-c', `exec 3<>/dev/tcp/${origin.host}/${origin.port}`),
    )
    const startMs = performance.now() - startedMs
    const load = new LoadProcess(['ip', 'netns', 'exec', name])
    bench.atStop(() => load.end())
    return {
      way: { ...direct(origin), name: 'OpenVPN' },
      pids: [gateway.pid ?? 0, client.pid ?? 0],
      gatewayPids: [gateway.pid ?? 0],
      load,
      startMs,
    }
  },
}

/** Tries until it works: until the tunnel stands. */
async function listening<T>(attempt: () => T): Promise<Awaited<T>> {
  const untilMs = performance.now() + START_TIMEOUT_MS
  for (;;) {
    try {
      return await attempt()
    } catch (thrown) {
      if (performance.now() > untilMs) throw thrown
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
