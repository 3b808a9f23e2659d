// Debian's proxies, each started on a free loopback port with the least config that serves this machine alone, all
// else as the program has it. Rules: files are in a directory of the test's own; a program is ended by its own process
// id; none is started as a service.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { eventually } from '../support/eventually.ts'
import { start } from '../support/programs.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { Wire } from '../support/wire.ts'
import type { Subject } from './player.ts'
import type { PeerName } from './script.ts'

export interface Peer extends Subject, AsyncDisposable {
  readonly name: PeerName
}

interface Recipe {
  readonly program: string
  /** Name of the Debian package. */
  readonly package: string
  readonly config: (port: number, asRoot: boolean, dir: TempDir) => string
  readonly args: (port: number, config: string) => readonly string[]
}

/** Where every program is told to refuse: nothing listens there, and no case means it otherwise. */
export const DENIED_ADDRESS = '127.0.0.9'
export const USER = { name: 'ada', password: 'lace' }

const RECIPES: Readonly<Record<PeerName, Recipe>> = {
  dante: {
    program: 'danted',
    package: 'dante-server',
    config: (port, asRoot) => `
      logoutput: /dev/null
      internal: 127.0.0.1 port = ${port}
      external: lo
      external.rotation: route
      clientmethod: none
      socksmethod: none
      ${asRoot ? 'user.privileged: root\nuser.unprivileged: nobody' : ''}
      client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
      socks block { from: 0.0.0.0/0 to: ${DENIED_ADDRESS}/32 }
      socks pass { from: 0/0 to: 0/0 command: bind connect udpassociate bindreply udpreply }`,
    args: (_, config) => ['-f', config],
  },
  microsocks: {
    program: 'microsocks',
    package: 'microsocks',
    config: () => '',
    args: (port) => ['-i', '127.0.0.1', '-p', String(port)],
  },
  squid: {
    program: 'squid',
    package: 'squid',
    config: (port) => `
      http_port 127.0.0.1:${port}
      pid_filename none
      cache_log /dev/null
      access_log none
      netdb_filename none
      pinger_enable off
      cache deny all
      cache_mem 8 MB
      max_filedescriptors 1024
      shutdown_lifetime 0 seconds
      dns_timeout 2 seconds
      visible_hostname squid
      acl denied dst ${DENIED_ADDRESS}
      http_access deny denied
      http_access allow all`,
    args: (_, config) => ['-N', '-f', config],
  },
  tinyproxy: {
    program: 'tinyproxy',
    package: 'tinyproxy',
    config: (port, _, dir) => `
      Port ${port}
      Listen 127.0.0.1
      Timeout 60
      MaxClients 500
      LogLevel Critical
      Filter "${dir.file('denied')}"
      FilterURLs Off
      Allow 127.0.0.1`,
    args: (_, config) => ['-d', '-c', config],
  },
}

/** The program and the package that a peer needs. */
export function programOf(name: PeerName): Pick<Recipe, 'program' | 'package'> {
  return RECIPES[name]
}

/** Starts one and waits until it accepts. `auth`: it wants USER. */
export async function startPeer(name: PeerName, auth = false): Promise<Peer> {
  const recipe = RECIPES[name]
  const dir = await tempDir()
  // squid reads its files as a user of its own.
  await chmod(dir.path, 0o755)
  await writeFile(dir.file('denied'), `^${DENIED_ADDRESS.replaceAll('.', '\\.')}$\n`)
  const port = await freePort()
  const lines = recipe.config(port, process.getuid?.() === 0, dir).split('\n')
  await writeFile(dir.file('config'), `${lines.map((line) => line.trim()).join('\n')}\n`)
  const args = [...recipe.args(port, dir.file('config'))]
  if (auth) args.push(...(await authArgs(name, dir)))
  // Names that no server knows are asked for once, where there is no server to ask.
  const child = start(recipe.program, args, { cwd: dir.path, env: { RES_OPTIONS: 'timeout:1 attempts:1' } })
  const said = collect(child)
  const stop = async (): Promise<void> => {
    await end(child)
    await dir[Symbol.asyncDispose]()
  }
  try {
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`${recipe.program} ended: ${said()}`)
      const wire = await Wire.connect(port)
      wire.socket.destroy()
    })
  } catch (thrown) {
    await stop()
    throw thrown
  }
  return { name, connect: () => Wire.connect(port), [Symbol.asyncDispose]: stop }
}

/** Dante checks passwords of the system's users alone: it knows no user of the tables, and is asked only for refusals. */
async function authArgs(name: PeerName, dir: TempDir): Promise<readonly string[]> {
  if (name === 'microsocks') return ['-u', USER.name, '-P', USER.password]
  if (name !== 'dante') throw new Error(`${name} has no users in these tables`)
  const file = dir.file('config')
  const config = await readFile(file, 'utf8')
  await writeFile(file, config.replace('socksmethod: none', 'socksmethod: username'))
  return []
}

function collect(child: ChildProcess): () => string {
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  return () => said.trim()
}

/** SIGTERM, which every one of them obeys at once with its children; SIGKILL where it does not. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  const timer = setTimeout(() => child.kill('SIGKILL'), 3_000)
  child.kill('SIGTERM')
  await ended
  clearTimeout(timer)
}

/** A port that was free a moment ago, for programs that cannot say which one the system gave them. */
async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
