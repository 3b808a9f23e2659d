// Each command of `sightline pki`: its help, and what it does. Rules: what was made is said with its place and its end;
// a secret is asked for without showing it, and never taken from the command line.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GatewayError } from '../errors.ts'
import type { IssuedFiles } from '../pki/directory.ts'
import { listIsCurrent } from '../pki/directory.ts'
import { writeFileAtomically } from '../pki/disk.ts'
import { REQUEST_BYTES_MAX } from '../pki/request.ts'
import {
  bundle,
  initAuthority,
  issue,
  list,
  listAuthority,
  needsPassphrase,
  refreshRevocationList,
  renew,
  request,
  revoke,
} from '../pki/store.ts'
import type { CliIo } from './io.ts'
import { listTable, listWarnings } from './pki-list.ts'
import { askNewSecret, GivenUp } from './secret.ts'

export const OPTIONS = {
  dir: { type: 'string', default: 'certs' },
  help: { type: 'boolean', short: 'h', default: false },
  server: { type: 'boolean', default: false },
  client: { type: 'boolean', default: false },
  host: { type: 'string', multiple: true, default: [] as string[] },
  days: { type: 'string' },
  csr: { type: 'string' },
  out: { type: 'string' },
  'password-file': { type: 'string' },
  passphrase: { type: 'boolean', default: false },
  'passphrase-file': { type: 'string' },
  json: { type: 'boolean', default: false },
} as const

export interface Arguments {
  /** Empty for commands that take none. */
  readonly name: string
  readonly dir: string
  readonly server: boolean
  readonly hosts: readonly string[]
  readonly days: number | undefined
  readonly csr: string | undefined
  readonly out: string | undefined
  readonly passwordFile: string | undefined
  readonly passphrase: boolean
  readonly passphraseFile: string | undefined
  readonly json: boolean
}

export interface Command {
  readonly takesName: boolean
  readonly options: ReadonlyArray<keyof typeof OPTIONS>
  readonly help: string
  run(args: Arguments, io: CliIo): Promise<void>
}

const PASSPHRASE_HELP = `  --passphrase-file F   where the authority's key has one: its first line; else it is asked for`

export const COMMANDS: Readonly<Record<string, Command>> = {
  init: {
    takesName: false,
    options: ['passphrase', 'passphrase-file'],
    help: `sightline pki init [--passphrase | --passphrase-file F] [--dir DIR]

makes DIR/ca.crt, DIR/ca.key and DIR/ca.crl (an empty revocation list); refuses where an authority is already
  --passphrase          asks for a passphrase that encrypts ca.key; every command that signs then asks for it
  --passphrase-file F   takes it from the first line of F

  $ sightline pki init
  $ sightline pki init --passphrase --dir /etc/sightline/certs`,
    async run({ dir, passphrase: isAsked, passphraseFile }, io) {
      const passphrase = isAsked || passphraseFile ? await newPassphrase(passphraseFile, io) : undefined
      const made = await initAuthority(dir, { passphrase })
      io.out(`made an authority: ${made.certificateFile} and ${made.keyFile}, until ${day(made.notAfter)}`)
      io.out(`made an empty revocation list: ${made.revocationListFile}, next due ${day(made.nextUpdate)}`)
      if (passphrase !== undefined)
        io.out(`${made.keyFile} is encrypted: without the passphrase nobody can sign`)
      io.out(`keep ${made.keyFile} to yourself: whoever has it can let anyone in`)
    },
  },
  request: {
    takesName: true,
    options: [],
    help: `sightline pki request NAME [--dir DIR]

for whoever will use the certificate: makes DIR/NAME.key, which stays, and DIR/NAME.csr, which goes to the
authority's operator, who signs it with pki issue NAME --csr

  $ sightline pki request alice --dir .`,
    async run({ dir, name }, io) {
      const { keyFile, requestFile } = await request(dir, name)
      io.out(`made a key for ${name}: ${keyFile}; it stays where it is`)
      io.out(`made a request: ${requestFile}; send it to the operator of the authority, who signs it with`)
      io.out(`sightline pki issue ${name} --client --csr ${name}.csr`)
    },
  },
  issue: {
    takesName: true,
    options: ['server', 'client', 'host', 'days', 'csr', 'passphrase-file'],
    help: `sightline pki issue NAME --server --host H [--host H] [--csr F] [--days N] [--dir DIR]
sightline pki issue NAME --client [--csr F] [--days N] [--dir DIR]

makes DIR/NAME.crt and DIR/NAME.key; NAME is the identity that the gateway knows a client by
  --host                a name or address under which clients reach the server
  --csr F               sign the key of this request, and make none; its own names are not looked at
  --days                how long it lasts: 397 for a server, 365 for a client
${PASSPHRASE_HELP}

  $ sightline pki issue gateway --server --host vpn.example.org --host 192.0.2.7
  $ sightline pki issue alice --client
  $ sightline pki issue alice --client --csr alice.csr
  $ sightline pki issue visitor --client --days 7`,
    async run(args, io) {
      const { dir, name, server, hosts, days } = args
      const kind = server ? 'server' : 'client'
      const asked = await readRequest(args)
      const passphrase = await passphraseFor(args, io)
      const options = {
        kind,
        hosts,
        request: asked,
        passphrase,
        ...(days !== undefined && { days }),
      } as const
      sayIssued(`made a ${kind} certificate for ${name}`, await issue(dir, name, options), io)
    },
  },
  renew: {
    takesName: true,
    options: ['days', 'csr', 'passphrase-file'],
    help: `sightline pki renew NAME [--csr F] [--days N] [--dir DIR]

writes DIR/NAME.crt and DIR/NAME.key anew: same name and hosts, new key, new end; the earlier certificate
stays good until it ends, so that nothing is cut off meanwhile; where a request was signed, its key is kept
  --csr F               sign the key of this request instead
  --days                how long it lasts: 397 for a server, 365 for a client
${PASSPHRASE_HELP}

  $ sightline pki renew alice`,
    async run(args, io) {
      const { dir, name, days } = args
      const asked = await readRequest(args)
      const passphrase = await passphraseFor(args, io)
      const made = await renew(dir, name, { request: asked, passphrase, ...(days !== undefined && { days }) })
      sayIssued(`renewed the ${made.entry.kind} certificate of ${name}`, made, io)
    },
  },
  revoke: {
    takesName: true,
    options: ['passphrase-file'],
    help: `sightline pki revoke NAME [--dir DIR]

shuts out every certificate of NAME, earlier ones too, and writes DIR/ca.crl anew; a running gateway that
reads this file takes it up by itself within two seconds, and closes what it revokes
${PASSPHRASE_HELP}

  $ sightline pki revoke alice`,
    async run(args, io) {
      const { dir, name } = args
      const passphrase = await passphraseFor(args, io)
      const { serials, revocationListFile, nextUpdate } = await revoke(dir, name, { passphrase })
      const what = `${serials.length} ${serials.length === 1 ? 'certificate' : 'certificates'}`
      io.out(serials.length > 0 ? `revoked ${name}: ${what}` : `${name} was revoked already`)
      io.out(`wrote ${revocationListFile}, next due ${day(nextUpdate)}`)
      io.out('a running gateway that reads this file takes it up by itself; copy it to those elsewhere')
    },
  },
  list: {
    takesName: false,
    options: ['json'],
    help: `sightline pki list [--json] [--dir DIR]

lists the authority, its revocation list and what was issued: name, kind, state (valid, expired, revoked),
whole days left, start of the serial or number of the list; says on standard error what ends soon: within
30 days, or a third of the whole where that was short

  $ sightline pki list
  $ sightline pki list --json | jq -r '.[] | select(.endsSoon) | .name'`,
    async run({ dir, json }, io) {
      const issued = await list(dir)
      const all = [...(await listAuthority(dir)), ...issued]
      if (json) return io.out(JSON.stringify(all, null, 2))
      for (const line of listTable(all)) io.out(line)
      if (issued.length === 0) io.out(`nothing issued yet in ${dir}`)
      for (const line of listWarnings(dir, all, await listIsCurrent(dir))) io.err(line)
    },
  },
  bundle: {
    takesName: true,
    options: ['out', 'password-file'],
    help: `sightline pki bundle NAME --out F.p12 [--password-file F] [--dir DIR]

writes key, certificate and authority as PKCS#12, which browsers and phones import; the password is asked for,
or read from standard input or from the first line of a file

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
    options: ['passphrase-file'],
    help: `sightline pki crl [--dir DIR]

writes DIR/ca.crl anew with the same revocations, good for another year; a gateway whose list is past due
lets no client in
${PASSPHRASE_HELP}

  $ sightline pki crl --dir /etc/sightline/certs`,
    async run(args, io) {
      const passphrase = await passphraseFor(args, io)
      const { revocationListFile, nextUpdate } = await refreshRevocationList(args.dir, { passphrase })
      io.out(`wrote ${revocationListFile}, next due ${day(nextUpdate)}`)
    },
  },
}

/** Undefined where the authority's key has none, or nobody can be asked. Throws `GivenUp`, `file-unusable`, `pki-invalid`. */
async function passphraseFor({ dir, passphraseFile }: Arguments, io: CliIo): Promise<string | undefined> {
  if (!(await needsPassphrase(dir))) return undefined
  if (passphraseFile !== undefined) return readLine(passphraseFile)
  if (io.askSecret === undefined) return undefined
  const passphrase = await io.askSecret(`passphrase of ${join(dir, 'ca.key')}: `)
  if (passphrase === undefined) throw new GivenUp()
  return passphrase
}

async function newPassphrase(file: string | undefined, io: CliIo): Promise<string> {
  if (file !== undefined) return readLine(file)
  if (io.askSecret !== undefined)
    return askNewSecret(io.askSecret, 'passphrase for the new key: ', 'passphrases')
  throw new GatewayError('pki-invalid', {
    detail: '--passphrase asks for it, and there is no terminal',
    hint: 'give --passphrase-file F',
  })
}

async function readPassword(name: string, file: string | undefined, io: CliIo): Promise<string> {
  if (file !== undefined) return readLine(file)
  if (io.askSecret !== undefined) return askNewSecret(io.askSecret, `password for the bundle of ${name}: `)
  return firstLine(await io.readStdin())
}

async function readRequest({ csr }: Arguments): Promise<Buffer | undefined> {
  if (csr === undefined) return undefined
  const bytes = await read(csr)
  // What is far too large is refused before anything reads it: a wrong name may be that of a disk.
  return bytes.subarray(0, REQUEST_BYTES_MAX + 1)
}

async function readLine(file: string): Promise<string> {
  return firstLine((await read(file)).toString('utf8'))
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (cause) {
    const detail = `cannot read ${file}`
    throw new GatewayError('file-unusable', { detail, hint: 'check the path and its permissions', cause })
  }
}

function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? ''
}

function sayIssued(what: string, { certificateFile, keyFile, entry }: IssuedFiles, io: CliIo): void {
  const files = keyFile === undefined ? certificateFile : `${certificateFile} and ${keyFile}`
  io.out(`${what}: ${files}, until ${entry.notAfter.slice(0, 10)}`)
  if (keyFile === undefined) io.out(`its key stays where it was made: send ${certificateFile} there`)
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10)
}
