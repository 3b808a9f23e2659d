// Proxies of others under audit, each as its Debian package has it: what is said of each is what its documentation says
// that it does.
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import os from 'node:os'
import { describe, expect, it } from 'vitest'
import type { AuditResult } from '../../../src/lab/audit/audit.ts'
import { startPeer } from '../../differential/peers.ts'
import type { PeerName } from '../../differential/script.ts'
import { freePort, startProgram } from '../../support/chain.ts'
import { findProgram, isMissing, succeed } from '../../support/programs.ts'
import { tempDir, type TempDir } from '../../support/temp-dir.ts'
import { ALL_PASSED, answers, audit, controls, HONEST, says, value } from './audits.ts'

async function auditPeer(name: PeerName, scheme: string): Promise<AuditResult> {
  await using peer = await startPeer(name)
  const wire = await peer.connect()
  const port = wire.socket.remotePort ?? 0
  wire.socket.destroy()
  return await audit(`${scheme}://127.0.0.1:${port}`)
}

describe('the audit of', () => {
  it.skipIf(isMissing('squid'))('squid: it names you, and adds headers (needs squid)', async () => {
    const result = await auditPeer('squid', 'http')
    expect(answers(result)).toEqual({
      'link-encrypted': 'no',
      'program-named': 'yes',
      'names-by-proxy': 'yes',
      'headers-name-you': 'yes',
      'request-changed': 'yes',
      'response-changed': 'yes',
      'tls-intercepted': 'no',
      'udp-carried': 'no',
      'report-forged': 'no',
    })
    expect(says(result, 'headers-name-you')).toMatch(/^x-forwarded-for: 127\.0\.0\.1 \(http\)$/)
    expect(says(result, 'request-changed')).toMatch(/added via: 1\.1 squid/)
    expect(says(result, 'response-changed')).toMatch(/added via: .*squid/)
    expect(value(result, 'http', 'destination', 'client-address')).toBe('clear')
    expect(value(result, 'https', 'destination', 'client-address')).not.toBe('clear')
    expect(controls(result)).toEqual(ALL_PASSED)
  })

  it.skipIf(isMissing('tinyproxy'))('tinyproxy: it adds Via (needs tinyproxy)', async () => {
    const result = await auditPeer('tinyproxy', 'http')
    expect(answers(result)).toMatchObject({
      'link-encrypted': 'no',
      'headers-name-you': 'no',
      'request-changed': 'yes',
      'tls-intercepted': 'no',
    })
    expect(says(result, 'request-changed')).toMatch(/added via: 1\.[01] .*tinyproxy/)
    expect(controls(result)).toEqual(ALL_PASSED)
  })

  it.skipIf(isMissing('danted'))('Dante: plain SOCKS that carries UDP (needs danted)', async () => {
    const result = await auditPeer('dante', 'socks5')
    expect(answers(result)).toEqual({
      ...HONEST,
      'link-encrypted': 'no',
      'program-named': 'no',
      'names-by-proxy': 'no',
      'udp-carried': 'yes',
    })
    expect(controls(result)).toEqual(ALL_PASSED)
  })

  it.skipIf(isMissing('privoxy'))(
    'privoxy, without rules of its own: it changes nothing (needs privoxy)',
    async () => {
      await using dir = await tempDir()
      const port = await freePort()
      await writeFile(dir.file('config'), `listen-address 127.0.0.1:${port}\nlogdir ${dir.path}\n`)
      await using _ = await startProgram('privoxy', ['--no-daemon', dir.file('config')], port)
      const result = await audit(`http://127.0.0.1:${port}`)
      expect(answers(result)).toMatchObject({
        ...HONEST,
        'link-encrypted': 'no',
        'program-named': 'yes',
        'names-by-proxy': 'yes',
        'udp-carried': 'no',
      })
      expect(controls(result)).toEqual(ALL_PASSED)
    },
  )

  it.skipIf(isMissing('ss-local', 'ss-server'))(
    "shadowsocks' ss-local: the link to it is plain, and on this machine (needs ss-local, ss-server)",
    async () => {
      const [server, port] = [await freePort(), await freePort()]
      const key = ['-k', 'a password of the test', '-m', 'chacha20-ietf-poly1305', '-u']
      const local = ['-s', '127.0.0.1', '-p', `${server}`, '-b', '127.0.0.1', '-l', `${port}`, ...key]
      await using programs = new AsyncDisposableStack()
      programs.use(await startProgram('ss-server', ['-s', '127.0.0.1', '-p', `${server}`, ...key], server))
      programs.use(await startProgram('ss-local', local, port))
      const result = await audit(`socks5h://127.0.0.1:${port}`)
      expect(answers(result)).toEqual({
        ...HONEST,
        'link-encrypted': 'no',
        'program-named': 'no',
        'names-by-proxy': 'yes',
        'udp-carried': 'yes',
      })
      expect(result.notes.join('\n')).toContain('ss-local), that link was not measured')
      expect(controls(result)).toEqual(ALL_PASSED)
    },
  )

  it.skipIf(isMissing('sshd', 'ssh', 'ssh-keygen'))(
    'ssh -D: SOCKS without UDP (needs sshd, ssh)',
    async () => {
      await using dir = await tempDir()
      const port = await freePort()
      await using server = await startSshd(dir)
      await using _ = await startProgram(
        'ssh',
        ['-F', '/dev/null', '-N', '-D', `127.0.0.1:${port}`, ...server.options],
        port,
      )
      const result = await audit(`socks5h://127.0.0.1:${port}`)
      expect(answers(result)).toEqual({
        ...HONEST,
        'link-encrypted': 'no',
        'program-named': 'no',
        'names-by-proxy': 'yes',
        'udp-carried': 'no',
      })
      expect(result.coverage.find(({ traffic }) => traffic === 'udp')?.outside).toBe(true)
      expect(controls(result)).toEqual(ALL_PASSED)
    },
  )
})

/** sshd on a free port, for this user and a key of the test alone; and what tells ssh to reach it. */
async function startSshd(dir: TempDir): Promise<AsyncDisposable & { readonly options: readonly string[] }> {
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 })
  for (const name of ['host_key', 'user_key'])
    await succeed('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', dir.file(name)])
  const port = await freePort()
  await writeFile(dir.file('keys'), await readFile(dir.file('user_key.pub')), { mode: 0o600 })
  await writeFile(
    dir.file('known'),
    `[127.0.0.1]:${port} ${await readFile(dir.file('host_key.pub'), 'utf8')}`,
  )
  const lines = [
    `ListenAddress 127.0.0.1:${port}`,
    `HostKey ${dir.file('host_key')}`,
    `AuthorizedKeysFile ${dir.file('keys')}`,
    `PidFile ${dir.file('pid')}`,
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'StrictModes no',
    'UsePAM no',
    '',
  ]
  await writeFile(dir.file('sshd_config'), lines.join('\n'))
  const running = await startProgram(
    findProgram('sshd') ?? 'sshd',
    ['-D', '-e', '-f', dir.file('sshd_config')],
    port,
  )
  return {
    options: [
      ...['-i', dir.file('user_key'), '-p', `${port}`, '-l', os.userInfo().username],
      ...['-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', `UserKnownHostsFile=${dir.file('known')}`],
      ...['-o', 'ExitOnForwardFailure=yes', '127.0.0.1'],
    ],
    [Symbol.asyncDispose]: async () => {
      const closed = once(running.process, 'close')
      running.process.kill('SIGTERM')
      await closed
    },
  }
}
