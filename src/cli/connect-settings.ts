// What programs need to use a tunnel client that runs: lines to paste, and exports for a shell.
import net from 'node:net'
import { parseListenAddress } from '../config/address.ts'
import type { Reached } from '../inbound/settings-facts.ts'
import {
  chromiumLine,
  curlLines,
  environmentLines,
  gitLine,
  sshLine,
  urlOf,
} from '../inbound/settings-lines.ts'
import { EXIT_FAILURE, usage } from './failure.ts'
import type { CliIo } from './io.ts'

const ANSWERS_WITHIN_MS = 1_000
/** What stands for "every address" is reached by loopback. */
const WILDCARDS: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** The listener at `address`, as `ready` prints it; undefined where it is none. */
function reachedAt(address: string): Reached | undefined {
  const at = parseListenAddress(address)
  if (at === undefined || at.port === 0) return undefined
  const host = WILDCARDS[at.host] ?? at.host
  const plain = { type: 'mixed', secure: false, needsPassword: false, needsCertificate: false } as const
  return { ...plain, address: at.host, host, port: at.port }
}

/** Exports for a POSIX shell, in the lower case that curl reads and the upper case that others do. */
export function environmentOf(address: string): string[] {
  const reached = reachedAt(address)
  if (reached === undefined) return []
  const lines = environmentLines(urlOf(reached), true)
  return [...lines, ...lines.map((line) => line.replace(/\w+(?==)/, (name) => name.toUpperCase()))]
}

/** Lines to paste. */
export function settingsText(address: string): string {
  const reached = reachedAt(address)
  if (reached === undefined) return ''
  const ways: Array<[string, string]> = [
    ['curl', curlLines(reached, reached).at(-1) ?? ''],
    ['git', gitLine(reached)],
    ['ssh', sshLine(reached)],
    ['chromium', chromiumLine(reached)],
    ['a shell, for all that it starts', `eval "$(sightline connect --print-env --listen ${address})"`],
  ]
  return `
to use it (each line works as typed):
${ways.map(([what, line]) => `  ${what}\n    ${line}`).join('\n')}

more settings, and proxy.pac for browsers: ${urlOf(reached)}/
stop with control-c`
}

/** `connect --print-env` without a gateway: for the client that runs already. Gives the exit code. */
export async function printEnvironment(address: string, io: CliIo): Promise<number> {
  const reached = reachedAt(address)
  if (reached === undefined)
    return usage(io, `--listen ${address}: not the address of a running client`, 'connect')
  if (!(await answers(reached))) {
    io.err(
      `error: nothing listens on ${address}; hint: start it first: sightline connect wss://HOST:8443/tunnel …`,
    )
    return EXIT_FAILURE
  }
  for (const line of environmentOf(address)) io.out(line)
  return 0
}

function answers({ host, port }: Reached): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: ANSWERS_WITHIN_MS })
    const end = (does: boolean): void => {
      socket.destroy()
      resolve(does)
    }
    socket.once('connect', () => end(true))
    socket.once('timeout', () => end(false))
    socket.once('error', () => end(false))
  })
}
