// What a command was called with: its options and words, or the exit code where the call ends there. Rule: --help goes
// before every other mistake but an option that there is not.
import { parseArgs, type ParseArgsConfig } from 'node:util'
import { usage } from './failure.ts'
import type { CliIo } from './io.ts'

type Options = NonNullable<ParseArgsConfig['options']>
type Parsed<O extends Options> = ReturnType<typeof parseArgs<{ options: O; allowPositionals: true }>>

interface Call<O extends Options> {
  /** As `sightline COMMAND --help` names it. */
  readonly command: string
  readonly help: string
  readonly options: O
  /** False: a word that is no option is a wrong call. */
  readonly words: boolean
}

/** Prints the help or what is wrong with the call, and gives the exit code then. */
export function readCall<O extends Options>(
  args: string[],
  io: CliIo,
  { command, help, options, words }: Call<O>,
): Parsed<O> | number {
  let parsed
  try {
    parsed = parseArgs({
      args,
      allowPositionals: words,
      options: { ...options, help: { type: 'boolean', short: 'h' } },
    })
  } catch (thrown) {
    return usage(io, (thrown as Error).message, command)
  }
  if ((parsed.values as { help?: boolean }).help === true) {
    io.out(help)
    return 0
  }
  return parsed
}
