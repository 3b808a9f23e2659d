// sightline as a process of its own: started with a command line, waited for by its `ready` line, ended by its
// own process id. Rule: nothing of it outlives the scope that started it.
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import http from 'node:http'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ConfigInput } from '../../src/config/schema.ts'
import { plainEnvironment, start, run, type Finished, type RunOptions } from './programs.ts'

const MAIN = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../src/main.ts')

export interface SightlineProcess extends AsyncDisposable {
  readonly pid: number
  /** Names and ports of the `ready` line, in its order. */
  readonly addresses: ReadonlyArray<{ readonly name: string; readonly port: number }>
  /** The port of the first listener with this name. */
  port(name: string): number
  /** Every line on standard output so far. */
  readonly out: readonly string[]
  readonly err: readonly string[]
  /** Resolves with the exit code, or the signal. */
  readonly exited: Promise<number | NodeJS.Signals | null>
  kill(signal: NodeJS.Signals): void
  /** Resolves when a line on standard error matches. */
  errLine(pattern: RegExp): Promise<string>
  outLine(pattern: RegExp): Promise<string>
  /** Largest resident set so far, in MiB (/proc/PID/status, VmHWM). */
  peakMemoryMiB(): Promise<number>
  memoryMiB(): Promise<number>
}

/** Runs one command to its end. */
export function sightline(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return run(process.execPath, [MAIN, ...args], options)
}

/**
 * Starts a command that stays, and waits for `ready`. Rejects with its standard error where it ends before. `before`: words
 * that become the command in the end, as `ip netns exec NAME` does.
 */
export async function startSightline(
  args: readonly string[],
  before: readonly string[] = [],
): Promise<SightlineProcess> {
  const [program = '', ...words] = [...before, process.execPath, MAIN, ...args]
  const child = start(program, words, { env: plainEnvironment() })
  child.stdin?.end()
  const out = new Lines(child.stdout)
  const err = new Lines(child.stderr)
  const exited = once(child, 'close').then(
    ([code, signal]) => (code ?? signal) as number | NodeJS.Signals | null,
  )
  const ended = exited.then((how) => {
    throw new Error(`sightline ended with ${how} before it was ready: ${err.all.join('\n')}`)
  })
  ended.catch(() => {})
  const ready = await Promise.race([out.line(/^ready /), ended])
  const addresses = [...ready.matchAll(/(\S+) (\S+):(\d+)/g)].map(([, name = '', , port]) => ({
    name: name.replace(/^ready /, ''),
    port: Number(port),
  }))
  const pid = child.pid ?? 0
  const status = async (field: string): Promise<number> => {
    const text = await readFile(`/proc/${pid}/status`, 'utf8')
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024
  }
  return {
    pid,
    addresses,
    port: (name) => {
      const found = addresses.find((address) => address.name === name)
      if (found === undefined) throw new Error(`no ${name} in: ${ready}`)
      return found.port
    },
    out: out.all,
    err: err.all,
    exited,
    kill: (signal) => void child.kill(signal),
    outLine: (pattern) => out.line(pattern),
    errLine: (pattern) => err.line(pattern),
    peakMemoryMiB: () => status('VmHWM'),
    memoryMiB: () => status('VmRSS'),
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await exited
    },
  }
}

/** Writes `config` (JSON is YAML) to `file` and serves it. */
export async function serve(
  file: string,
  config: ConfigInput,
  before: readonly string[] = [],
): Promise<SightlineProcess> {
  await writeFile(file, JSON.stringify({ admin: { listen: '127.0.0.1:0' }, ...config }))
  return startSightline(['serve', '--config', file], before)
}

/** What runs a command as `exec "$@"` of a script: to set a limit, or send a stream elsewhere, first. */
export function inShell(script: string): string[] {
  return ['sh', '-c', script, 'sh']
}

/** GET on loopback: status and body. */
export function get(port: number, target: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, path: target, agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => (body += text))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    request.on('error', reject)
  })
}

export class Lines {
  readonly all: string[] = []
  #rest = ''
  #waiting = new Set<() => void>()

  constructor(stream: NodeJS.ReadableStream | null) {
    stream?.setEncoding('utf8')
    stream?.on('data', (text: string) => {
      const parts = (this.#rest + text).split('\n')
      this.#rest = parts.pop() ?? ''
      this.all.push(...parts)
      for (const look of this.#waiting) look()
    })
  }

  /** The first line that matches, now or later. */
  line(pattern: RegExp): Promise<string> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.all.find((line) => pattern.test(line))
        if (found === undefined) return
        this.#waiting.delete(look)
        resolve(found)
      }
      this.#waiting.add(look)
      look()
    })
  }
}
