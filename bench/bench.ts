// What every subject of a benchmark is started in: an origin, certificates, a directory for its files, and perhaps a long link.
// A subject is what is measured: a mode of Sightline, another program, or nothing between (`direct`).
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { initAuthority, issue } from '../src/pki/store.ts'
import type { LoadProcess } from './load-process.ts'
import { Processes } from './processes.ts'
import type { Place, Way } from './way.ts'

export interface Link {
  readonly roundTripMs: number
  readonly megabits: number
}

/** What has been started, and how the load reaches the origin through it. */
export interface Running {
  readonly way: Way
  /** Roots of the process trees whose time and memory count: both ends of a tunnel. */
  readonly pids: readonly number[]
  /** Those of them that many clients would share. */
  readonly gatewayPids: readonly number[]
  /** Where the load has to stand, if not here. */
  readonly load?: LoadProcess
  /** From the start of the first of its programs until it takes connections. */
  readonly startMs: number
}

export interface Subject {
  readonly name: string
  /** `none`: nothing between; `plain`: a relay; `encrypted`: with the client's end of it. */
  readonly family: 'none' | 'plain' | 'encrypted'
  /** Of a mode of Sightline. */
  readonly mode?: string
  /** Programs that it needs, and the packages of Debian that have them. */
  readonly programs?: Readonly<Record<string, string>>
  readonly needsRoot?: boolean
  /** The command that says its version. */
  readonly version?: readonly string[]
  start(bench: Bench): Promise<Running>
}

export class Bench {
  readonly processes = new Processes()
  readonly directory: string
  readonly origin: Place
  /** Where ping-pong is played: an origin that sends nobody else anything. */
  readonly echo: Place
  #link: Link | undefined
  #atStop: Array<() => void> = []

  private constructor(directory: string, origin: Place, link: Link | undefined) {
    this.directory = directory
    this.origin = origin
    this.echo = { ...origin }
    this.#link = link
  }

  /** Certificates, an origin of its own unless `origin` is given, and `link` in front of what `reach` is asked for. */
  static async start({
    origin,
    link,
  }: { origin?: Place | undefined; link?: Link | undefined } = {}): Promise<Bench> {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'sightline-bench-'))
    await initAuthority(directory)
    await issue(directory, 'gateway', { kind: 'server', hosts: ['localhost', '127.0.0.1'] })
    await issue(directory, 'client', { kind: 'client', hosts: [] })
    const bench = new Bench(directory, origin ?? { host: '127.0.0.1', port: 0 }, link)
    if (origin === undefined) {
      Object.assign(bench.origin, await bench.startOrigin())
      Object.assign(bench.echo, await bench.startOrigin())
    }
    return bench
  }

  async startOrigin(host = '127.0.0.1'): Promise<Place> {
    const file = path.join(import.meta.dirname, 'origin.ts')
    const { ready } = await this.processes.startReady([file, '--host', host])
    return { host, port: ready.port ?? 0 }
  }

  file(name: string): string {
    return path.join(this.directory, name)
  }

  async write(name: string, text: string): Promise<string> {
    await writeFile(this.file(name), text, { mode: 0o600 })
    return this.file(name)
  }

  /** Where `port` is reached by who stands on the other side of the link; at itself where there is none. */
  async reach(port: number): Promise<number> {
    if (this.#link === undefined) return port
    const { roundTripMs, megabits } = this.#link
    const { ready } = await this.processes.startReady([
      ...[path.join(import.meta.dirname, 'link.ts'), '--onward', `127.0.0.1:${port}`],
      ...['--round-trip-ms', String(roundTripMs), '--megabits', String(megabits)],
    ])
    return ready.port ?? 0
  }

  /** For what is no process of ours; the last is undone first, and before the processes end. */
  atStop(undo: () => void): void {
    this.#atStop.unshift(undo)
  }

  async stop(): Promise<void> {
    for (const undo of this.#atStop) {
      try {
        undo()
      } catch (thrown) {
        console.error(thrown)
      }
    }
    await this.processes.stop()
    await rm(this.directory, { recursive: true, force: true })
  }
}
