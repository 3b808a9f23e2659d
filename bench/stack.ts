// What is measured, each in a process of its own: the origin, a gateway with every mode, and a tunnel client.
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { initAuthority, issue } from '../src/pki/store.ts'
import { direct, httpConnect, httpForward, httpsConnect, socks5, type Way } from './clients.ts'

const TREE = path.join(import.meta.dirname, '..')
const START_TIMEOUT_MS = 20_000

export interface Stack {
  readonly ways: readonly Way[]
  /** Process ids of the gateway and of the tunnel client. */
  readonly measured: readonly number[]
  stop(): Promise<void>
}

interface Ready {
  readonly port?: number
  readonly addresses?: ReadonlyArray<{ readonly name: string; readonly address: string }>
}

export interface StackOptions {
  /** Between the tunnel client and its gateway. */
  readonly link?: { readonly roundTripMs: number; readonly megabits: number } | undefined
  /** Of the tunnel client; `auto` where nothing is said. */
  readonly connections?: number
  /** The checkout whose gateway and client are started; this one where nothing is said. */
  readonly tree?: string
}

/** Starts everything on free loopback ports. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'sightline-bench-'))
  const children: ChildProcess[] = []
  const main = path.join(options.tree ?? TREE, 'src/main.ts')
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(end))
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await initAuthority(directory)
    await issue(directory, 'gateway', { kind: 'server', hosts: ['localhost', '127.0.0.1'] })
    await issue(directory, 'client', { kind: 'client', hosts: [] })
    const originReady = await start(children, [path.join(import.meta.dirname, 'origin.ts')])
    const origin = { host: '127.0.0.1', port: originReady.port ?? 0 }
    const config = path.join(directory, 'gateway.yaml')
    await writeFile(config, gatewayConfig(origin.port))
    const gatewayAt = children.length
    const gateway = await start(children, [main, 'serve', '--config', config, '--json'])
    const at = (ready: Ready, name: string): { host: string; port: number } => {
      const address = ready.addresses?.find((entry) => entry.name === name)?.address ?? ''
      return { host: '127.0.0.1', port: Number(address.split(':').at(-1)) }
    }
    const file = (name: string): string => path.join(directory, name)
    const { link } = options
    const tunnel = at(gateway, 'tunnel').port
    const reached =
      link === undefined
        ? tunnel
        : (
            await start(children, [
              ...[path.join(import.meta.dirname, 'link.ts'), '--onward', `127.0.0.1:${tunnel}`],
              ...['--round-trip-ms', String(link.roundTripMs), '--megabits', String(link.megabits)],
            ])
          ).port
    const client = await start(children, [
      ...[
        main,
        'connect',
        `wss://localhost:${reached}/tunnel`,
        ...(options.connections === undefined ? [] : ['--connections', String(options.connections)]),
        '--json',
        '--listen',
        '127.0.0.1:0',
      ],
      ...['--certificate', file('client.crt'), '--key', file('client.key'), '--authority', file('ca.crt')],
    ])
    const authority = await readFile(file('ca.crt'), 'utf8')
    return {
      ways: [
        direct(origin),
        httpForward(at(gateway, 'http'), origin),
        httpConnect(at(gateway, 'http'), origin),
        socks5('socks-proxy', at(gateway, 'socks'), origin),
        httpsConnect(at(gateway, 'https'), origin, authority),
        socks5('tunnel', at(client, 'client'), origin),
      ],
      measured: [children[gatewayAt], children.at(-1)].map((child) => child?.pid ?? 0),
      stop,
    }
  } catch (thrown) {
    await stop()
    throw thrown
  }
}

function gatewayConfig(originPort: number): string {
  return `inbounds:
  - { type: http, listen: "127.0.0.1:0" }
  - { type: socks, listen: "127.0.0.1:0" }
  - { type: http, listen: "127.0.0.1:0", tls: { certificate: gateway.crt, key: gateway.key } }
  - { type: tunnel, listen: "127.0.0.1:0", tls: { certificate: gateway.crt, key: gateway.key, clientAuthority: ca.crt, revocationList: ca.crl } }
egress: { allow: ["127.0.0.1:${originPort}"] }
admin: { listen: "127.0.0.1:0" }
log: { level: warn }
`
}

function start(children: ChildProcess[], args: readonly string[]): Promise<Ready> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${args[0]} did not start`)), START_TIMEOUT_MS)
    child.once('exit', (code) => reject(new Error(`${args.slice(0, 2).join(' ')} ended with ${code}`)))
    if (child.stdout === null) return reject(new Error('no output'))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const event = JSON.parse(line) as Ready & { event: string }
      if (event.event !== 'ready') return
      clearTimeout(timer)
      resolve(event)
    })
  })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  await new Promise((resolve) => {
    child.once('exit', resolve)
    child.kill('SIGKILL')
  })
}
