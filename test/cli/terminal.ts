// A terminal for commands in this process: what they print is kept, a directory of the test's own reads as DIR, and
// signals are sent by hand.
import type { ServiceIo } from '../../src/cli/io.ts'
import { auditCommand } from '../../src/cli/audit.ts'
import { configCommand } from '../../src/cli/config.ts'
import { connectCommand } from '../../src/cli/connect.ts'
import { healthCommand } from '../../src/cli/health.ts'
import { labCommand } from '../../src/cli/lab.ts'
import { pkiCommand } from '../../src/cli/pki.ts'
import { probeCommand } from '../../src/cli/probe.ts'
import { serveCommand } from '../../src/cli/serve.ts'
import { upCommand } from '../../src/cli/up.ts'
import { usageCommand } from '../../src/cli/usage.ts'
import { userCommand } from '../../src/cli/user.ts'

export const COMMANDS = {
  up: upCommand,
  serve: serveCommand,
  connect: connectCommand,
  lab: labCommand,
  audit: auditCommand,
  probe: probeCommand,
  pki: pkiCommand,
  user: userCommand,
  usage: usageCommand,
  config: configCommand,
  health: healthCommand,
} as const
export type CommandName = keyof typeof COMMANDS

export interface Typed {
  readonly exit: number
  readonly out: string
  readonly err: string
}

/** Runs one command to its end. `dir` is shown as DIR, and stands for it in the words. */
export async function type(words: readonly string[], { dir = 'DIR', stdin = '' } = {}): Promise<Typed> {
  const [name = '', ...args] = words.map((word) => word.replaceAll('DIR', dir))
  const out: string[] = []
  const err: string[] = []
  const terminal: ServiceIo = {
    out: (line: string) => void out.push(line),
    err: (line: string) => void err.push(line),
    env: {},
    isTty: false,
    readStdin: async () => stdin,
    log: { write: (text: string) => void err.push(text), lost: 0 },
    onSignal: () => {},
  }
  // What a command needs of a terminal beyond that is a person's, and nobody is there.
  const exit = await COMMANDS[name as CommandName](args, terminal)
  const shown = (lines: string[]): string => lines.join('\n').replaceAll(dir, 'DIR')
  return { exit, out: shown(out), err: shown(err) }
}
