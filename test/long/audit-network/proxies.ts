// The proxies of the audited host: squid and Dante as Debian has them, and our own gateway with an encrypted proxy and a
// tunnel. Rule: each listens on the host's own address, and is ended with whoever holds it.
import { chmod, writeFile } from 'node:fs/promises'
import { hashPassword } from '../../../src/gateway/users.ts'
import { initAuthority, issue } from '../../../src/pki/store.ts'
import { eventually } from '../../support/eventually.ts'
import { serve, startSightline, type SightlineProcess } from '../../support/gateway-process.ts'
import { succeed } from '../../support/programs.ts'
import type { TempDir } from '../../support/temp-dir.ts'
import { Program } from '../namespaces.ts'
import { NAMES, PLACES, type Internet } from './internet.ts'

export const PORTS = { squid: 3128, dante: 1080 } as const
export const USER = { name: 'ada4711', password: 'lace4711' }

/** Waits until it accepts, asked from its own host. */
async function accepting(internet: Internet, port: number): Promise<void> {
  const [program = '', ...words] = internet.on('proxy')
  await eventually(() => succeed(program, [...words, 'bash', '-c', `: > /dev/tcp/${PLACES.proxy}/${port}`]))
}

export async function startSquid(internet: Internet, dir: TempDir): Promise<Program> {
  await chmod(dir.path, 0o755)
  const lines = [
    `http_port ${PLACES.proxy}:${PORTS.squid}`,
    ...[
      'pid_filename none',
      'cache_log /dev/null',
      'access_log none',
      'netdb_filename none',
      'pinger_enable off',
    ],
    ...['cache deny all', 'cache_mem 8 MB', 'max_filedescriptors 1024', 'shutdown_lifetime 0 seconds'],
    ...['visible_hostname squid', 'http_access allow all', ''],
  ]
  await writeFile(dir.file('squid.conf'), lines.join('\n'))
  const squid = new Program(internet.on('proxy'), 'squid', ['-N', '-f', dir.file('squid.conf')])
  await accepting(internet, PORTS.squid)
  return squid
}

export async function startDante(internet: Internet, dir: TempDir): Promise<Program> {
  const lines = [
    ...[
      'logoutput: /dev/null',
      `internal: ${PLACES.proxy} port = ${PORTS.dante}`,
      `external: ${PLACES.proxy}`,
    ],
    ...['clientmethod: none', 'socksmethod: none', 'user.privileged: root', 'user.unprivileged: nobody'],
    'client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }',
    'socks pass { from: 0/0 to: 0/0 command: bind connect udpassociate bindreply udpreply }',
    '',
  ]
  await writeFile(dir.file('danted.conf'), lines.join('\n'))
  const dante = new Program(internet.on('proxy'), 'danted', ['-f', dir.file('danted.conf')])
  await accepting(internet, PORTS.dante)
  return dante
}

/** With an authority in `dir`: ca.crt, and ada.crt and ada.key for a client. */
export async function startGateway(internet: Internet, dir: TempDir): Promise<SightlineProcess> {
  await initAuthority(dir.path)
  await issue(dir.path, 'gateway', { kind: 'server', hosts: [NAMES.proxy] })
  await issue(dir.path, 'ada', { kind: 'client', hosts: [] })
  await writeFile(dir.file('users'), `${USER.name}:${await hashPassword(USER.password)}\n`, { mode: 0o600 })
  const tls = { certificate: dir.file('gateway.crt'), key: dir.file('gateway.key') }
  const trust = { clientAuthority: dir.file('ca.crt'), revocationList: dir.file('ca.crl') }
  const listen = `${PLACES.proxy}:0`
  return serve(
    dir.file('gateway.json'),
    {
      inbounds: [
        { type: 'http', listen, auth: { users: dir.file('users') }, tls },
        { type: 'tunnel', listen, tls: { ...tls, ...trust } },
      ],
      egress: { allow: [`${PLACES.probe}/32`] },
    },
    internet.on('proxy'),
  )
}

/** The tunnel's client, on the client's own machine. */
export function startTunnelClient(internet: Internet, dir: TempDir, port: number): Promise<SightlineProcess> {
  const args = [
    ...['connect', `wss://${NAMES.proxy}:${port}/tunnel`, '--authority', dir.file('ca.crt')],
    ...['--certificate', dir.file('ada.crt'), '--key', dir.file('ada.key'), '--listen', '127.0.0.1:0'],
  ]
  return startSightline(args, internet.on('client'))
}
