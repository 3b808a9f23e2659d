// The names of the audited world: a root, the zone of its hosts with a delegation of the probe's zone in it, just as the
// documentation has its owner write it, and resolvers that begin at the root, as those of a provider do. All are unbound.
import { writeFile } from 'node:fs/promises'
import type { TempDir } from '../../support/temp-dir.ts'
import { Program } from '../namespaces.ts'

export interface NamedWorld {
  /** Where the root's server is. */
  readonly root: string
  readonly addresses: Readonly<Record<string, string>>
  /** By zone: the name of its server. */
  readonly delegated: Readonly<Record<string, string>>
}

const TOP = 'test'
const COMMON = [
  ...['do-daemonize: no', 'username: ""', 'chroot: ""', 'pidfile: ""', 'use-syslog: no', 'do-ip6: no'],
  ...['module-config: "iterator"', `local-zone: "${TOP}." nodefault`, 'access-control: 10.0.0.0/8 allow'],
]

/** The server of the root and of the hosts' zone. */
export async function startRoot(
  within: readonly string[],
  dir: TempDir,
  { root, addresses, delegated }: NamedWorld,
): Promise<Program> {
  const soa = (name: string): string => `${name} 60 IN SOA a.root. a.root. 1 60 60 60 60`
  const top = [
    ...[soa(`${TOP}.`), `${TOP}. 60 IN NS a.root.`],
    ...Object.entries(addresses).map(([name, address]) => `${name}. 60 IN A ${address}`),
    ...Object.entries(delegated).map(([zone, server]) => `${zone}. 60 IN NS ${server}.`),
  ]
  const hints = [`. 60 IN NS a.root.`, `a.root. 60 IN A ${root}`]
  await writeFile(dir.file('root.zone'), [soa('.'), ...hints, `${TOP}. 60 IN NS a.root.`, ''].join('\n'))
  await writeFile(dir.file('top.zone'), [...top, ''].join('\n'))
  await writeFile(dir.file('root.hints'), [...hints, ''].join('\n'))
  const zone = (name: string, file: string): string[] => [
    ...['auth-zone:', `  name: "${name}"`, `  zonefile: "${dir.file(file)}"`],
    ...['  for-downstream: yes', '  for-upstream: no'],
  ]
  return startUnbound(within, dir, root, [...zone('.', 'root.zone'), ...zone(`${TOP}.`, 'top.zone')])
}

/** It asks from the address that it is asked at, as few letters of a name as it can, in a case of its own. */
export function startResolver(within: readonly string[], dir: TempDir, address: string): Promise<Program> {
  const strict = ['qname-minimisation-strict: yes', 'use-caps-for-id: yes', 'harden-referral-path: yes']
  const from = [`outgoing-interface: ${address}`, `root-hints: "${dir.file('root.hints')}"`]
  return startUnbound(
    within,
    dir,
    address,
    [...from, ...strict].map((line) => `  ${line}`),
  )
}

async function startUnbound(
  within: readonly string[],
  dir: TempDir,
  address: string,
  lines: readonly string[],
): Promise<Program> {
  const own = [`directory: "${dir.path}"`, `interface: ${address}`, ...COMMON].map((line) => `  ${line}`)
  const control = ['remote-control:', '  control-enable: no', '']
  const file = dir.file(`unbound-${address}.conf`)
  await writeFile(file, ['server:', ...own, ...lines, ...control].join('\n'))
  const program = new Program(within, 'unbound', ['-d', '-c', file])
  await program.err.line(/start of service/)
  return program
}
