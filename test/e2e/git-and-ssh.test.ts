// git and ssh through the tunnel client, against servers of this test on loopback: a clone over http and one over
// ssh give the same commit, and ssh's own bytes come through.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { sum } from '../support/metrics.ts'
import { startOrigin, type Origin } from '../support/origin.ts'
import { findProgram, isMissing, run, start, succeed } from '../support/programs.ts'
import { startStack, type Stack } from '../support/stacks.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'

const GIT_ENVIRONMENT = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.org',
}

let stack: Stack
let dir: TempDir
beforeAll(async () => {
  stack = await startStack()
  dir = await tempDir()
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
  await dir[Symbol.asyncDispose]()
})

const git = async (args: readonly string[], environment: Record<string, string> = {}): Promise<string> =>
  (await succeed('git', args, { cwd: dir.path, env: { ...GIT_ENVIRONMENT, ...environment } })).stdout
    .toString()
    .trim()

/** A bare repository with one commit; gives the commit. */
async function makeRepository(name: string): Promise<string> {
  await git(['init', '--quiet', '-b', 'main', `${name}-work`])
  await writeFile(dir.file(`${name}-work/file.txt`), 'through the tunnel\n'.repeat(10_000))
  await git(['-C', `${name}-work`, 'add', '.'])
  await git(['-C', `${name}-work`, 'commit', '--quiet', '-m', 'one'])
  await git(['clone', '--quiet', '--bare', `${name}-work`, `${name}.git`])
  await git(['-C', `${name}.git`, 'update-server-info'])
  return git(['-C', `${name}.git`, 'rev-parse', 'main'])
}

const tunnelStreams = async (): Promise<number> =>
  sum(await stack.gatewayMetrics(), 'sightline_streams_total', { mode: 'tunnel' })

describe('through the tunnel client', () => {
  let origin: Origin
  beforeAll(async () => {
    origin = await startOrigin({
      handle: (request, response) => {
        const file = path.join(dir.path, path.normalize(new URL(request.url ?? '/', 'http://x').pathname))
        readFile(file).then(
          (content) => response.end(content),
          () => response.writeHead(404).end(),
        )
      },
    })
  })
  afterAll(() => origin.close())

  it.skipIf(isMissing('git'))('git clones over http (needs git)', async () => {
    const commit = await makeRepository('dumb')
    const proxy = `http.proxy=socks5h://127.0.0.1:${stack.ports.client}`
    await git(['-c', proxy, 'clone', '--quiet', `http://localhost:${origin.port}/dumb.git`, 'by-http'])
    expect(await git(['-C', 'by-http', 'rev-parse', 'HEAD'])).toBe(commit)
    expect(origin.requests.length).toBeGreaterThan(2)
    await eventually(async () => expect(await tunnelStreams()).toBeGreaterThan(0))
  })

  describe.skipIf(isMissing('sshd', 'ssh', 'ssh-keygen', 'nc'))('ssh (needs sshd, ssh, nc)', () => {
    let server: ChildProcess
    let options: string[]
    let port: number
    beforeAll(async () => {
      if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 })
      await succeed('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', dir.file('host_key')])
      await succeed('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', dir.file('user_key')])
      const [hostKey = '', userKey = ''] = await Promise.all(
        ['host_key.pub', 'user_key.pub'].map((name) => readFile(dir.file(name), 'utf8')),
      )
      await writeFile(dir.file('authorized_keys'), userKey, { mode: 0o600 })
      port = await freePort()
      await writeFile(dir.file('known_hosts'), `[localhost]:${port} ${hostKey}`)
      await writeFile(
        dir.file('sshd_config'),
        [
          `ListenAddress 127.0.0.1:${port}`,
          `HostKey ${dir.file('host_key')}`,
          `AuthorizedKeysFile ${dir.file('authorized_keys')}`,
          `PidFile ${dir.file('sshd.pid')}`,
          'PermitRootLogin prohibit-password',
          'PasswordAuthentication no',
          'StrictModes no',
          'UsePAM no',
          'PrintMotd no',
          '',
        ].join('\n'),
      )
      server = start(findProgram('sshd') ?? 'sshd', ['-D', '-e', '-f', dir.file('sshd_config')])
      server.stderr?.resume()
      await eventually(() => canConnect(port))
      options = [
        ...['-F', '/dev/null', '-i', dir.file('user_key'), '-p', String(port)],
        ...[
          '-o',
          'IdentitiesOnly=yes',
          '-o',
          'BatchMode=yes',
          '-o',
          `UserKnownHostsFile=${dir.file('known_hosts')}`,
        ],
        ...['-o', 'LogLevel=ERROR', '-o', `ProxyCommand=nc -X 5 -x 127.0.0.1:${stack.ports.client} %h %p`],
        ...['-l', os.userInfo().username],
      ]
    })
    afterAll(async () => {
      const closed = once(server, 'close')
      server.kill('SIGTERM')
      await closed
    })

    it('runs a command, with its input, output and exit code', async () => {
      const before = await tunnelStreams()
      const bytes = Buffer.alloc(300_000, 'ssh through the tunnel\n')
      const finished = await run('ssh', [...options, 'localhost', 'cat; exit 7'], { input: bytes })
      expect(finished.stderr).toBe('')
      expect(finished.stdout.equals(bytes)).toBe(true)
      expect(finished.code).toBe(7)
      await eventually(async () => expect(await tunnelStreams()).toBe(before + 1))
      const metrics = await stack.gatewayMetrics()
      expect(
        sum(metrics, 'sightline_relayed_bytes_total', { mode: 'tunnel', readable: 'no' }),
      ).toBeGreaterThan(500_000)
    })

    it.skipIf(isMissing('git'))('git clones over it (needs git)', async () => {
      const commit = await makeRepository('smart')
      const command = `ssh ${options.map((option) => `'${option}'`).join(' ')}`
      await git(['clone', '--quiet', `ssh://localhost:${port}${dir.file('smart.git')}`, 'by-ssh'], {
        GIT_SSH_COMMAND: command,
      })
      expect(await git(['-C', 'by-ssh', 'rev-parse', 'HEAD'])).toBe(commit)
    })
  })
})

async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

function canConnect(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.on('error', reject)
    socket.on('connect', () => {
      socket.destroy()
      resolve()
    })
  })
}
