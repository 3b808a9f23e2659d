// `sightline pki`: the authority and its certificates, as seen from a terminal. Output rules: lower case, no
// final full stop, `error: what; hint: what to do` on standard error, exit 1 for failure and 2 for usage; what
// was made is said with its place and its end.
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { GatewayError } from '../errors.ts'
import {
  bundle,
  initAuthority,
  issue,
  list,
  refreshRevocationList,
  renew,
  revoke,
  writeFileAtomically,
  type IssuedFiles,
} from '../pki/store.ts'
import type { ListedCertificate } from '../pki/index-file.ts'
import type { CliIo } from './io.ts'

const USAGE_EXIT = 2
const FAILURE_EXIT = 1

const OPTIONS = {
  dir: { type: 'string', default: 'certs' },
  help: { type: 'boolean', short: 'h', default: false },
  server: { type: 'boolean', default: false },
  client: { type: 'boolean', default: false },
  host: { type: 'string', multiple: true, default: [] as string[] },
  days: { type: 'string' },
  out: { type: 'string' },
  'password-file': { type: 'string' },
  json: { type: 'boolean', default: false },
} as const

type OptionName = keyof typeof OPTIONS

interface Arguments {
  /** Empty for commands that take none. */
  readonly name: string
  readonly dir: string
  readonly server: boolean
  readonly client: boolean
  readonly hosts: readonly string[]
  readonly days: number | undefined
  readonly out: string | undefined
  readonly passwordFile: string | undefined
  readonly json: boolean
}

interface Command {
  readonly takesName: boolean
  readonly options: readonly OptionName[]
  readonly help: string
  run(args: Arguments, io: CliIo): Promise<void>
}

/** A mistake in how the command was typed, which exits with 2. */
interface UsageMistake {
  readonly what: string
  readonly hint: string
}

const HELP = `sightline pki makes and keeps the certificates of a gateway and its clients

  sightline pki init                            make an authority and an empty revocation list
  sightline pki issue NAME --server --host H    a certificate for a gateway
  sightline pki issue NAME --client             a certificate for a person or a machine
  sightline pki renew NAME                      the same name with a new key and a new end
  sightline pki revoke NAME                     shut a name out, and write the revocation list anew
  sightline pki list                            what was issued, and how long it lasts
  sightline pki bundle NAME --out F.p12         key and certificates for a browser or a phone
  sightline pki crl                             write the revocation list anew, before it is due

every command takes --dir DIR (default certs) and --help

from nothing to a client that the gateway lets in:

  $ sightline pki init
  $ sightline pki issue gateway --server --host vpn.example.org --host 192.0.2.7
  $ sightline pki issue alice --client`

const COMMANDS: Readonly<Record<string, Command>> = {
  init: {
    takesName: false,
    options: [],
    help: `sightline pki init [--dir DIR]

makes DIR/ca.crt, DIR/ca.key and DIR/ca.crl (an empty revocation list); refuses where an authority is already

  $ sightline pki init
  $ sightline pki init --dir /etc/sightline/certs`,
    async run({ dir }, io) {
      const made = await initAuthority(dir)
      io.out(`made an authority: ${made.certificateFile} and ${made.keyFile}, until ${day(made.notAfter)}`)
      io.out(`made an empty revocation list: ${made.revocationListFile}, next due ${day(made.nextUpdate)}`)
      io.out(`keep ${made.keyFile} to yourself: whoever has it can let anyone in`)
    },
  },
  issue: {
    takesName: true,
    options: ['server', 'client', 'host', 'days'],
    help: `sightline pki issue NAME --server --host H [--host H] [--days N] [--dir DIR]
sightline pki issue NAME --client [--days N] [--dir DIR]

makes DIR/NAME.crt and DIR/NAME.key; NAME is the identity that the gateway knows a client by
  --host   a name or address under which clients reach the server
  --days   how long it lasts: 397 for a server, 365 for a client

  $ sightline pki issue gateway --server --host vpn.example.org --host 192.0.2.7
  $ sightline pki issue alice --client
  $ sightline pki issue visitor --client --days 7`,
    async run({ dir, name, server, hosts, days }, io) {
      const kind = server ? 'server' : 'client'
      const made = await issue(dir, name, { kind, hosts, ...(days !== undefined && { days }) })
      sayIssued(`made a ${kind} certificate for ${name}`, made, io)
    },
  },
  renew: {
    takesName: true,
    options: ['days'],
    help: `sightline pki renew NAME [--days N] [--dir DIR]

writes DIR/NAME.crt and DIR/NAME.key anew: same name and hosts, new key, new end; the earlier certificate
stays good until it ends, so that nothing is cut off meanwhile

  $ sightline pki renew alice`,
    async run({ dir, name, days }, io) {
      const made = await renew(dir, name, days === undefined ? {} : { days })
      sayIssued(`renewed the ${made.entry.kind} certificate of ${name}`, made, io)
    },
  },
  revoke: {
    takesName: true,
    options: [],
    help: `sightline pki revoke NAME [--dir DIR]

shuts out every certificate of NAME, earlier ones too, and writes DIR/ca.crl anew; a running gateway takes
the list up on SIGHUP and closes what it revokes

  $ sightline pki revoke alice`,
    async run({ dir, name }, io) {
      const { serials, revocationListFile, nextUpdate } = await revoke(dir, name)
      const what = `${serials.length} ${serials.length === 1 ? 'certificate' : 'certificates'}`
      io.out(serials.length > 0 ? `revoked ${name}: ${what}` : `${name} was revoked already`)
      io.out(`wrote ${revocationListFile}, next due ${day(nextUpdate)}`)
      io.out('a running gateway takes it up on SIGHUP')
    },
  },
  list: {
    takesName: false,
    options: ['json'],
    help: `sightline pki list [--json] [--dir DIR]

lists what was issued: name, kind, state (valid, expired, revoked), whole days left, start of the serial

  $ sightline pki list
  $ sightline pki list --json | jq -r '.[] | select(.daysLeft < 30) | .name'`,
    async run({ dir, json }, io) {
      const entries = await list(dir)
      if (json) io.out(JSON.stringify(entries, null, 2))
      else if (entries.length === 0) io.out(`nothing issued yet in ${dir}`)
      else for (const line of table(entries)) io.out(line)
    },
  },
  bundle: {
    takesName: true,
    options: ['out', 'password-file'],
    help: `sightline pki bundle NAME --out F.p12 [--password-file F] [--dir DIR]

writes key, certificate and authority as PKCS#12, which browsers and phones import; the password is read
from standard input or from the first line of a file

  $ sightline pki bundle alice --out alice.p12
  $ openssl rand -base64 15 | tee password.txt | sightline pki bundle alice --out alice.p12
  $ sightline pki bundle alice --out alice.p12 --password-file password.txt`,
    async run({ dir, name, out = '', passwordFile }, io) {
      const entry = (await list(dir)).findLast((listed) => listed.name === name)
      // A name that cannot be bundled is told before anyone types a password.
      const password = entry?.state === 'revoked' || !entry ? '' : await readPassword(name, passwordFile, io)
      await writeFileAtomically(out, await bundle(dir, name, password), 0o600)
      io.out(`made a bundle for ${name}: ${out}, until ${entry?.notAfter.slice(0, 10)}`)
      io.out('it holds the private key: send its password another way')
    },
  },
  crl: {
    takesName: false,
    options: [],
    help: `sightline pki crl [--dir DIR]

writes DIR/ca.crl anew with the same revocations, good for another year; a gateway whose list is past due
lets no client in

  $ sightline pki crl --dir /etc/sightline/certs`,
    async run({ dir }, io) {
      const { revocationListFile, nextUpdate } = await refreshRevocationList(dir)
      io.out(`wrote ${revocationListFile}, next due ${day(nextUpdate)}`)
    },
  },
}

/** Runs `sightline pki ARGS`. Returns the exit code: 0, 1 for failure, 2 for usage. Never rejects for either. */
export async function pkiCommand(args: string[], io: CliIo): Promise<number> {
  const [verb, ...rest] = args
  if (verb === '--help' || verb === '-h' || verb === 'help') {
    io.out(HELP)
    return 0
  }
  const command = verb !== undefined && Object.hasOwn(COMMANDS, verb) ? COMMANDS[verb] : undefined
  if (verb === undefined || !command) {
    const what = verb === undefined ? 'pki needs a command' : `pki has no command ${JSON.stringify(verb)}`
    return fail(io, USAGE_EXIT, what, `one of ${Object.keys(COMMANDS).join(', ')}; see sightline pki --help`)
  }
  const parsed = parse(verb, command, rest)
  if (parsed === 'help') {
    io.out(command.help)
    return 0
  }
  if ('what' in parsed) return fail(io, USAGE_EXIT, parsed.what, parsed.hint)
  try {
    await command.run(parsed, io)
    return 0
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    return fail(io, FAILURE_EXIT, error.message, error.hint)
  }
}

function parse(verb: string, command: Command, args: string[]): Arguments | UsageMistake | 'help' {
  const hint = `sightline pki ${verb} --help`
  const allowed = new Set<string>(['dir', 'help', ...command.options])
  let parsed: ReturnType<typeof parseAll>
  try {
    parsed = parseAll(args)
  } catch (error) {
    return { what: parseFault(error), hint }
  }
  const { values, positionals, tokens } = parsed
  if (values.help) return 'help'
  for (const token of tokens) {
    if (token.kind !== 'option' || allowed.has(token.name)) continue
    return { what: `pki ${verb} takes no option ${token.rawName}`, hint }
  }
  const [name = '', ...more] = positionals
  if (command.takesName && name === '') return { what: `pki ${verb} needs a name`, hint }
  const extra = command.takesName ? more[0] : positionals[0]
  if (extra !== undefined) return { what: `unexpected argument ${JSON.stringify(extra)}`, hint }

  const days = values.days === undefined ? undefined : Number(values.days)
  if (days !== undefined && !(Number.isInteger(days) && days > 0 && days <= 36_500)) {
    return { what: `--days ${JSON.stringify(values.days)} is not a whole number from 1 to 36500`, hint }
  }
  const { server, client, host: hosts, out } = values
  if (verb === 'issue' && server === client)
    return { what: 'pki issue needs either --server or --client', hint }
  if (verb === 'issue' && server !== hosts.length > 0) {
    return { what: server ? 'a server needs --host' : 'a client takes no --host', hint }
  }
  if (verb === 'bundle' && !out) return { what: 'pki bundle needs --out', hint }
  const { dir, json, 'password-file': passwordFile } = values
  return { name, dir, server, client, hosts, days, out, passwordFile, json }
}

function parseAll(args: string[]) {
  return parseArgs({ args, options: OPTIONS, allowPositionals: true, strict: true, tokens: true })
}

/** The first sentence of what node:util says, in this program's manner. */
function parseFault(error: unknown): string {
  const [sentence = ''] = (error instanceof Error ? error.message : String(error)).split(/\.(?:\s|$)/)
  return sentence.charAt(0).toLowerCase() + sentence.slice(1)
}

async function readPassword(name: string, file: string | undefined, io: CliIo): Promise<string> {
  if (file === undefined) {
    if (io.isTty) io.err(`password for the bundle of ${name}:`)
    return firstLine(await io.readStdin())
  }
  try {
    return firstLine(await readFile(file, 'utf8'))
  } catch (cause) {
    const detail = `cannot read ${file}`
    throw new GatewayError('file-unusable', { detail, hint: 'check the path and its permissions', cause })
  }
}

function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? ''
}

function sayIssued(what: string, { certificateFile, keyFile, entry }: IssuedFiles, io: CliIo): void {
  io.out(`${what}: ${certificateFile} and ${keyFile}, until ${entry.notAfter.slice(0, 10)}`)
}

function table(entries: readonly ListedCertificate[]): string[] {
  const rows = [
    ['name', 'kind', 'state', 'days left', 'serial'],
    ...entries.map(({ name, kind, state, daysLeft, serial }) => [
      name,
      kind,
      state,
      String(daysLeft),
      serial.slice(0, 8),
    ]),
  ]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10)
}

function fail(io: CliIo, exit: number, what: string, hint: string | undefined): number {
  io.err(`error: ${what}${hint === undefined ? '' : `; hint: ${hint}`}`)
  return exit
}
