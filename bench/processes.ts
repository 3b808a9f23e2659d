// Processes of the benchmarks: started, asked what they took, and ended, by id. Rule: what a program starts itself counts
// with it, and is ended with it: a process is always taken with all its children.
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { findProgram } from '../test/support/programs.ts'

const START_TIMEOUT_MS = 20_000
/** Of /proc/PID/stat: USER_HZ, the same on every machine that Node runs on. */
const TICKS_A_SECOND = 100

/** What programs of ours say of their listeners. */
export interface Ready {
  readonly port?: number
  readonly addresses?: ReadonlyArray<{ readonly name: string; readonly address: string }>
}

/** Everything that one run has started; `stop` ends it, the last first. */
export class Processes {
  #children: ChildProcess[] = []

  /** What it says on standard error is shown only where it ends by itself. */
  start(file: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const child = spawn(findProgram(file) ?? file, args, { stdio: ['ignore', 'ignore', 'pipe'], ...options })
    this.#children.push(child)
    let said = ''
    child.stderr?.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-2_000)))
    child.on('error', (error) => (said += error.message))
    child.on('exit', (code, signal) => {
      if (signal === null && code !== 0)
        console.error(`${path.basename(file)} ended with ${code}: ${said.trim()}`)
    })
    return child
  }

  /** A Node program of ours that prints one JSON line `ready`. */
  async startReady(args: readonly string[]): Promise<{ child: ChildProcess; ready: Ready }> {
    const child = this.start(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const ready = await new Promise<Ready>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${args[0]} did not start`)), START_TIMEOUT_MS)
      child.once('exit', (code) => reject(new Error(`${args.slice(0, 2).join(' ')} ended with ${code}`)))
      if (child.stdout === null) return reject(new Error('no output'))
      createInterface({ input: child.stdout }).on('line', (line) => {
        const event = JSON.parse(line) as Ready & { event: string }
        if (event.event !== 'ready') return
        clearTimeout(timer)
        resolve(event)
      })
    })
    return { child, ready }
  }

  async stop(): Promise<void> {
    for (const child of this.#children.splice(0).toReversed()) await end(child)
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const over = new Promise((resolve) => child.once('exit', resolve))
  for (const pid of treeOf([child.pid]).toReversed()) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has just ended.
    }
  }
  await over
}

/** A port that was free a moment ago, for a program that cannot say which one it took. */
export async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Resolves once `port` takes connections. */
export async function listens(child: ChildProcess, port: number, host = '127.0.0.1'): Promise<void> {
  const untilMs = performance.now() + START_TIMEOUT_MS
  while (child.exitCode === null && performance.now() < untilMs) {
    const answered = await new Promise<boolean>((resolve) => {
      const socket = net.connect({ host, port })
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (answered) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`${path.basename(child.spawnfile)} does not listen on ${port}`)
}

interface Stat {
  readonly pid: number
  readonly parent: number
  readonly ticks: number
}

function stats(): Stat[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      // The second field may hold spaces, and ends with the last parenthesis (proc_pid_stat(5)).
      const fields = stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .map(Number)
      const [parent = 0, user = 0, system = 0, childUser = 0, childSystem = 0] = [1, 11, 12, 13, 14].map(
        (at) => fields[at],
      )
      return [{ pid: Number(name), parent, ticks: user + system + childUser + childSystem }]
    } catch {
      return []
    }
  })
}

function within(all: readonly Stat[], pids: readonly number[]): Stat[] {
  const inTree = new Set(pids)
  for (let size = 0; size !== inTree.size;) {
    size = inTree.size
    for (const { pid, parent } of all) if (inTree.has(parent)) inTree.add(pid)
  }
  return all.filter(({ pid }) => inTree.has(pid))
}

function treeOf(pids: readonly number[]): number[] {
  return within(stats(), pids).map(({ pid }) => pid)
}

/** Seconds of processor time that `pids` and their children, gone ones included, have used so far. */
export function cpuSecondsOf(pids: readonly number[]): number {
  if (pids.length === 0) return 0
  return within(stats(), pids).reduce((sum, { ticks }) => sum + ticks, 0) / TICKS_A_SECOND
}

/** KiB of memory of `pids` and their children; what several share is counted in parts (Pss). */
export function memoryKiBOf(pids: readonly number[]): number {
  return treeOf(pids).reduce((sum, pid) => {
    try {
      const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
      return sum + Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0)
    } catch {
      return sum
    }
  }, 0)
}
