// HAProxy before several gateways: TCP as it is with a PROXY header, and out of turn whoever is not ready. Ports are found by
// binding them first; what it knows of each server is read from its own socket.
import { writeFile } from 'node:fs/promises'
import net from 'node:net'
import { eventually } from '../../support/eventually.ts'
import { freePort } from '../../support/free-port.ts'
import { start } from '../../support/programs.ts'
import type { TempDir } from '../../support/temp-dir.ts'

export interface Server {
  readonly name: string
  readonly ports: Readonly<Record<'http' | 'tunnel' | 'users' | 'admin', number>>
}

export interface Balancer extends AsyncDisposable {
  readonly ports: Readonly<Record<'http' | 'tunnel', number>>
  /** Resolves once it sends nobody, or somebody, to this server. */
  sees(server: string, status: 'UP' | 'DOWN'): Promise<void>
}

export async function startBalancer(dir: TempDir, servers: readonly Server[]): Promise<Balancer> {
  const ports = { http: await freePort(), tunnel: await freePort() }
  const socket = dir.file('haproxy.sock')
  const section = (kind: 'http' | 'tunnel'): string =>
    [
      `listen ${kind}`,
      `  bind 127.0.0.1:${ports[kind]}`,
      '  option httpchk GET /readyz',
      ...servers.map(
        ({ name, ports: own }) =>
          `  server ${name} 127.0.0.1:${own[kind]} send-proxy-v2 check port ${own.admin} no-check-send-proxy inter 200 fall 1 rise 1`,
      ),
    ].join('\n')
  const config = `global
  stats socket ${socket} level admin
defaults
  mode tcp
  balance roundrobin
  timeout connect 2s
  # A busy machine answers late, and that is no reason to take a server out: 503 is.
  timeout check 5s
  timeout client 60s
  timeout server 60s
  retries 3
  option redispatch 1
${section('http')}
${section('tunnel')}
`
  await writeFile(dir.file('haproxy.cfg'), config)
  const child = start('haproxy', ['-db', '-f', dir.file('haproxy.cfg')])
  let said = ''
  child.stderr?.on('data', (text: Buffer) => (said += text.toString()))
  const exited = new Promise<void>((resolve) => child.on('close', () => resolve()))
  const status = async (server: string): Promise<string[]> =>
    (await askSocket(socket, 'show stat\n'))
      .split('\n')
      .map((line) => line.split(','))
      .filter((fields) => fields[1] === server)
      .map((fields) => fields[17] ?? '')
  const balancer: Balancer = {
    ports,
    sees: (server, wanted) =>
      eventually(async () => {
        const seen = await status(server)
        if (seen.length !== 2 || !seen.every((one) => one.startsWith(wanted)))
          throw new Error(`haproxy sees ${server} as ${seen.join(', ')}: ${said}`)
      }, 400),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await exited
    },
  }
  for (const { name } of servers) await balancer.sees(name, 'UP')
  return balancer
}

function askSocket(path: string, question: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(path)
    let answer = ''
    socket.on('data', (text: Buffer) => (answer += text.toString()))
    socket.on('error', reject)
    socket.on('end', () => resolve(answer))
    socket.write(question)
  })
}
