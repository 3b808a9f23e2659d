// sightline user: the users file of a proxy. Passwords are asked for at a terminal, else they come from standard
// input, never from the command line, where other users of the machine could read them.
import { readFileSync } from 'node:fs'
import { GatewayError } from '../errors.ts'
import { hashPassword, parseUsers } from '../gateway/users.ts'
import { writeFileAtomically } from '../pki/disk.ts'
import { readCall } from './arguments.ts'
import { fail, usage } from './failure.ts'
import type { CliIo } from './io.ts'
import { askNewSecret, EXIT_GIVEN_UP, GivenUp } from './secret.ts'

const HELP = `usage: sightline user add NAME --file F      (password asked for, or on standard input)
       sightline user remove NAME --file F
       sightline user list --file F

  the users file of an inbound with auth: { users: F }; a running gateway reads a change by itself

examples:
  sightline user add alice --file config/users
  printf %s "$PASSWORD" | sightline user add alice --file config/users`

// A line that starts with # is a comment.
const NAME = /^[^:\s#\p{Cc}][^:\s\p{Cc}]{0,254}$/u
const READ_BY_ITSELF = 'a running gateway reads it by itself'

export async function userCommand(args: string[], io: CliIo): Promise<number> {
  const call = readCall(args, io, {
    command: 'user',
    help: HELP,
    words: true,
    options: { file: { type: 'string' } },
  })
  if (typeof call === 'number') return call
  const { values, positionals } = call
  const [verb, name] = positionals
  const { file } = values
  if (file === undefined) return usage(io, 'no users file given: add --file F', 'user')
  try {
    const lines = readLines(file)
    const names = [...parseUsers(lines.join('\n'), file).keys()]
    if (verb === 'list' && name === undefined) {
      for (const known of names) io.out(known)
      return 0
    }
    if ((verb !== 'add' && verb !== 'remove') || name === undefined || positionals.length > 2) {
      return usage(io, 'say what to do: user add NAME, user remove NAME or user list', 'user')
    }
    if (!NAME.test(name)) {
      return usage(
        io,
        'a user name has 1 to 255 characters, no colon, no space and no # at its start',
        'user',
      )
    }
    const others = lines.filter((line) => !line.startsWith(`${name}:`))
    if (verb === 'remove') {
      if (!names.includes(name)) {
        throw new GatewayError('config-invalid', {
          detail: `${file} has no such user`,
          hint: `sightline user list --file ${file}`,
        })
      }
      await writeLines(file, others)
      io.out(`removed from ${file}; ${READ_BY_ITSELF}`)
      return 0
    }
    const password = await readPassword(io)
    if (password === '') return usage(io, 'no password given', 'user')
    await writeLines(file, [...others, `${name}:${await hashPassword(password)}`])
    io.out(`${names.includes(name) ? 'changed' : 'added'} in ${file}; ${READ_BY_ITSELF}`)
    return 0
  } catch (thrown) {
    return thrown instanceof GivenUp ? EXIT_GIVEN_UP : fail(io, thrown)
  }
}

/** Asks twice at a terminal, else takes what standard input has. Throws GivenUp. */
async function readPassword(io: CliIo): Promise<string> {
  if (io.askSecret !== undefined) return askNewSecret(io.askSecret, 'password: ')
  return (await io.readStdin()).replace(/\r?\n$/, '')
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8')
      .split(/\r?\n/)
      .filter((line) => line !== '')
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw new GatewayError('file-unusable', {
      cause: thrown,
      detail: `${file} cannot be read`,
      hint: 'check its owner and mode',
    })
  }
}

async function writeLines(file: string, lines: readonly string[]): Promise<void> {
  await writeFileAtomically(file, lines.map((line) => `${line}\n`).join(''), 0o600)
}
