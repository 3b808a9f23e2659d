// Real programs as clients and servers of the tests: curl, git, ssh … Rules: a program that is not installed
// skips its test by name, and fails it with SIGHTLINE_NO_SKIPS=1; what is started here is ended here, by its
// own process id; no proxy setting of the machine reaches a program.
import { spawn, type ChildProcess } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import path from 'node:path'

export interface Finished {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: string
}

export interface RunOptions {
  readonly input?: Buffer | string
  readonly env?: Record<string, string>
  readonly cwd?: string
  readonly timeoutMs?: number
}

const SBIN = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** The path of an installed program, or undefined. */
export function findProgram(name: string): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(path.delimiter), ...SBIN]
  return directories
    .map((directory) => path.join(directory, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/** True where a test that needs these has to be skipped. With SIGHTLINE_NO_SKIPS=1 never: the test then fails. */
export function isMissing(...names: readonly string[]): boolean {
  return process.env['SIGHTLINE_NO_SKIPS'] !== '1' && names.some((name) => findProgram(name) === undefined)
}

/** The machine's environment without its proxy settings. */
export function plainEnvironment(extra: Record<string, string> = {}): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && !/_proxy$|^SIGHTLINE_|^VITEST|^NODE_OPTIONS$/i.test(entry[0]),
  )
  return { ...Object.fromEntries(kept), ...extra }
}

/** Starts a program. Whoever starts it ends it. */
export function start(name: string, args: readonly string[], options: RunOptions = {}): ChildProcess {
  const file = name.includes('/') ? name : findProgram(name)
  if (file === undefined) throw new Error(`${name} is not installed`)
  return spawn(file, [...args], {
    env: plainEnvironment(options.env),
    stdio: 'pipe',
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  })
}

/** Runs a program to its end; never rejects for its exit code. Kills it after `timeoutMs` (15 s). */
export function run(name: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = start(name, args, options)
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.input)
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 15_000)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() })
    })
  })
}

/** `run`, for a program that has to succeed: fails with what it said on standard error. */
export async function succeed(
  name: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  const finished = await run(name, args, options)
  if (finished.code === 0) return finished
  throw new Error(`${name} ended with ${finished.code ?? finished.signal}: ${finished.stderr.trim()}`)
}
