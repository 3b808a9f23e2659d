// A container engine as the container test drives it: docker or podman, whichever is there, or what CONTAINER_TOOL
// names. That may also be a script of your own with the verbs `build TAG DIR` (makes localhost/TAG), `run ARGS…`, and
// `podman ARGS…` for all else, where an engine needs help to run. Rule: what is started here is removed by its name.
import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { findProgram, run, succeed, type Finished } from '../../support/programs.ts'

const BUILD_MS = 600_000
const COMMAND_MS = 60_000

/** The program, or undefined where there is none. */
export const ENGINE =
  process.env['CONTAINER_TOOL'] ?? ['docker', 'podman'].find((name) => findProgram(name) !== undefined)
const isScript = ENGINE !== undefined && !['docker', 'podman'].includes(path.basename(ENGINE))

function words(verb: string, args: readonly string[]): string[] {
  return isScript && verb !== 'run' ? ['podman', verb, ...args] : [verb, ...args]
}

/** Any command, to its end. */
export function engine(verb: string, ...args: readonly string[]): Promise<Finished> {
  return run(ENGINE ?? 'docker', words(verb, args), { timeoutMs: COMMAND_MS })
}

/** Any command that has to succeed; gives its standard output. */
export async function ask(verb: string, ...args: readonly string[]): Promise<string> {
  const done = await succeed(ENGINE ?? 'docker', words(verb, args), { timeoutMs: COMMAND_MS })
  return done.stdout.toString().trim()
}

/** Builds the Dockerfile of a directory; gives the image's name. */
export async function build(tag: string, directory: string): Promise<string> {
  const args = isScript ? ['build', tag, directory] : ['build', '-t', `localhost/${tag}`, directory]
  await succeed(ENGINE ?? 'docker', args, { timeoutMs: BUILD_MS })
  return `localhost/${tag}`
}

export async function imageBytes(image: string): Promise<number> {
  return Number(await ask('image', 'inspect', image, '--format', '{{.Size}}'))
}

export interface Container extends AsyncDisposable {
  readonly name: string
  /** All that it wrote, both streams. */
  logs(): Promise<string>
  /** Runs a program in it; gives its exit code. */
  exec(...args: readonly string[]): Promise<Finished>
  /** Where one of its ports is published on this machine. */
  port(inside: number): Promise<number>
  /** Stops it as an engine does, which kills it after `seconds`; gives its exit code. */
  stop(seconds: number): Promise<number>
}

/** Starts one in the background, on `network`. */
export async function start(
  role: string,
  network: string,
  args: readonly string[],
  command: readonly string[],
): Promise<Container> {
  const name = `${network}-${role}`
  await ask(
    'run',
    '-d',
    '--name',
    name,
    '--hostname',
    role,
    '--network',
    network,
    '--network-alias',
    role,
    ...args,
    ...command,
  )
  return {
    name,
    logs: async () => {
      const { stdout, stderr } = await engine('logs', name)
      return `${stdout.toString()}${stderr}`
    },
    exec: (...program) => engine('exec', name, ...program),
    port: async (inside) => Number((await ask('port', name, `${inside}/tcp`)).split(/[:\n]/)[1]),
    stop: async (seconds) => {
      await ask('stop', '-t', String(seconds), name)
      return Number(await ask('inspect', '--format', '{{.State.ExitCode}}', name))
    },
    [Symbol.asyncDispose]: async () => void (await engine('rm', '-f', name)),
  }
}

/** A network of its own, in which containers find each other by their role. */
export async function startNetwork(): Promise<AsyncDisposable & { readonly name: string }> {
  const name = `sightline-test-${randomBytes(4).toString('hex')}`
  await ask('network', 'create', name)
  return { name, [Symbol.asyncDispose]: async () => void (await engine('network', 'rm', '-f', name)) }
}
