#!/usr/bin/env node
// The one file that touches process.*: it checks the Node version before anything that needs it is loaded, gives
// the command its streams and signals, and ends the process with the command's exit code.
import { crashLine } from './cli/crash.ts'
import type { ServiceIo } from './cli/io.ts'
import { LogDescriptor } from './cli/log-descriptor.ts'
import { askSecret } from './cli/secret.ts'

const NEEDED_MAJOR = 24
const STDERR = 2

const HELP = `usage: sightline COMMAND [options]

  a plain proxy and an encrypted tunnel in one program, which shows from captured bytes who can read what

  up                 everything on this machine, ready to try: proxies, tunnel, client, sites to visit
  serve              a gateway (or any role), as a config file says
  connect URL        a tunnel to a gateway, and a SOCKS and HTTP port for the programs here
  lab run            measure who can read what in each mode, and print the table; lab serve shows it live
  audit URL          what a proxy of others does with what you send through it; probe is its far end
  probe              the far end of audits over a network
  pki                certificates: init, issue, renew, revoke, list, bundle, crl
  user               proxy users: add, remove, list
  usage              who moved how many bytes, where a gateway keeps it
  config             check a config file, or print its schema
  health             is the gateway here ready?

  sightline COMMAND --help says more; sightline --version

examples:
  sightline up
  sightline lab run --mode http-proxy --mode tunnel
  sightline serve --config gateway.yaml`

type Command = (args: string[], io: ServiceIo) => Promise<number>

const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  up: async () => (await import('./cli/up.ts')).upCommand,
  serve: async () => (await import('./cli/serve.ts')).serveCommand,
  connect: async () => (await import('./cli/connect.ts')).connectCommand,
  lab: async () => (await import('./cli/lab.ts')).labCommand,
  audit: async () => (await import('./cli/audit.ts')).auditCommand,
  probe: async () => (await import('./cli/probe.ts')).probeCommand,
  pki: async () => (await import('./cli/pki.ts')).pkiCommand,
  user: async () => (await import('./cli/user.ts')).userCommand,
  usage: async () => (await import('./cli/usage.ts')).usageCommand,
  config: async () => (await import('./cli/config.ts')).configCommand,
  health: async () => (await import('./cli/health.ts')).healthCommand,
}

const columns = (): number => process.stdout.columns
const write = (text: string): void => void process.stdout.write(text)

/** A command that stays until a signal ends it. */
let serves = false

const log = new LogDescriptor(STDERR)

const io: ServiceIo = {
  out: (line) => void process.stdout.write(`${line}\n`),
  err: (line) => void process.stderr.write(`${line}\n`),
  env: process.env,
  isTty: process.stdout.isTTY === true,
  readStdin: async () => {
    const chunks: Buffer[] = []
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString('utf8')
  },
  ...(process.stdin.isTTY && { askSecret: (prompt) => askSecret(process.stdin, process.stderr, prompt) }),
  ...(process.stdout.isTTY && process.env['TERM'] !== 'dumb' && { terminal: { columns, write } }),
  log,
  onSignal: (signal, handler) => {
    if (!serves) process.on('uncaughtException', crashed)
    serves = true
    process.on(signal, handler)
  },
}

/** What it holds open cannot be trusted any more: whoever started it starts it again. */
function crashed(thrown: unknown): never {
  log.write(crashLine(thrown, new Date()))
  process.exit(1)
}

async function main(args: string[]): Promise<number> {
  const major = Number(process.versions.node.split('.')[0])
  if (major < NEEDED_MAJOR) {
    io.err(
      `error: this is Node ${process.versions.node}, and sightline needs ${NEEDED_MAJOR}; hint: npx sightline and npm start bring their own`,
    )
    return 1
  }
  const [name, ...rest] = args
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    io.out(HELP)
    return name === undefined ? 2 : 0
  }
  if (name === '--version' || name === '-v') {
    io.out((await import('./cli/version.ts')).VERSION)
    return 0
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (load === undefined) {
    io.err(`error: there is no command "${name}"; hint: sightline --help lists them`)
    return 2
  }
  const command = await load()
  return command(rest, io)
}

// A reader that went away (`| head`) is no defect, a full disk is one; what serves goes on without either.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (serves) return
  if (error.code !== 'EPIPE') io.err(`error: standard output: ${error.code}; hint: is the disk full?`)
  process.exit(error.code === 'EPIPE' ? 0 : 1)
})
process.stderr.on('error', () => {})

const code = await main(process.argv.slice(2))
// A pipe takes 64 KiB at once, and the end of the process throws the rest away. What serves does not wait for a reader.
if (!serves) await new Promise<void>((resolve) => process.stdout.write('', () => resolve()))
// What could not be written is told in the next turn.
await new Promise((resolve) => setImmediate(resolve))
process.exit(code)
