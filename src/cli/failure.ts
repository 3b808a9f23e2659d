// How a command fails: `error: what; hint: what to do`, exit 1; a wrong call is exit 2 with the call's usage.
import { GatewayError } from '../errors.ts'
import type { CliIo } from './io.ts'

export const EXIT_FAILURE = 1
const EXIT_USAGE = 2

/** Prints what went wrong and gives the exit code. */
export function fail(io: CliIo, thrown: unknown): number {
  if (thrown instanceof GatewayError) {
    io.err(`error: ${thrown.message}${thrown.hint === undefined ? '' : `; hint: ${thrown.hint}`}`)
  } else {
    io.err(`error: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`)
    io.err('hint: this is a defect of sightline; please report it with the lines above')
  }
  return EXIT_FAILURE
}

/** Prints how the command is called and gives the exit code of a wrong call. */
export function usage(io: CliIo, what: string, command: string): number {
  const text = what.split('\n')[0] ?? ''
  io.err(
    `error: ${text.charAt(0).toLowerCase()}${text.slice(1).replace(/\.$/, '')}; hint: sightline ${command} --help`,
  )
  return EXIT_USAGE
}
