// `sightline pki`: reads what was typed, and hands it to the command (pki-commands.ts). Output rules: lower case, no
// final full stop, `error: what; hint: what to do` on standard error, exit 1 for failure and 2 for usage.
import { parseArgs } from 'node:util'
import { GatewayError } from '../errors.ts'
import type { CliIo } from './io.ts'
import { COMMANDS, OPTIONS, type Arguments, type Command } from './pki-commands.ts'
import { EXIT_GIVEN_UP, GivenUp } from './secret.ts'

const USAGE_EXIT = 2
const FAILURE_EXIT = 1

/** A mistake in how the command was typed, which exits with 2. */
interface UsageMistake {
  readonly what: string
  readonly hint: string
}

const HELP = `sightline pki makes and keeps the certificates of a gateway and its clients

  sightline pki init                            make an authority and an empty revocation list
  sightline pki issue NAME --server --host H    a certificate for a gateway
  sightline pki issue NAME --client             a certificate for a person or a machine
  sightline pki request NAME                    a key that stays here, and a request for issue --csr
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

/** Runs `sightline pki ARGS`. Returns the exit code: 0, 1 for failure, 2 for usage, 130 where a person gave up. Never rejects for either. */
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
    if (error instanceof GivenUp) return EXIT_GIVEN_UP
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
  const { dir, json, csr, passphrase } = values
  const { 'password-file': passwordFile, 'passphrase-file': passphraseFile } = values
  return { name, dir, server, hosts, days, csr, out, passwordFile, passphrase, passphraseFile, json }
}

function parseAll(args: string[]) {
  return parseArgs({ args, options: OPTIONS, allowPositionals: true, strict: true, tokens: true })
}

/** The first sentence of what node:util says, in this program's manner. */
function parseFault(error: unknown): string {
  const [sentence = ''] = (error instanceof Error ? error.message : String(error)).split(/\.(?:\s|$)/)
  return sentence.charAt(0).toLowerCase() + sentence.slice(1)
}

function fail(io: CliIo, exit: number, what: string, hint: string | undefined): number {
  io.err(`error: ${what}${hint === undefined ? '' : `; hint: ${hint}`}`)
  return exit
}
