// The load as a process of its own, so that what it costs is not in another's event loop, that there may be several, and
// that it can stand in another network namespace. The parent asks by name for a function of load.ts.
import { spawn, type ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import * as load from './load.ts'
import type { Way } from './way.ts'

interface Calls {
  bulk: typeof load.bulk
  fresh: typeof load.fresh
  pingPong: typeof load.pingPong
  checkBytes: (way: Way, bytes: number) => Promise<void>
  /** Opens connections that stay until `release`. */
  hold: (way: Way, count: number) => Promise<number>
  release: (way: Way, unused: undefined) => Promise<void>
  /** Endless downloads that stay until `release`. */
  flood: (way: Way, streams: number) => Promise<number>
  /** Bytes of the flood since the last time, and the ms between. */
  flooded: (way: Way, unused: undefined) => Promise<{ bytes: number; ms: number }>
}
type Options<K extends keyof Calls> = Parameters<Calls[K]>[1]
type Result<K extends keyof Calls> = Awaited<ReturnType<Calls[K]>>

/** The parent's side. */
export class LoadProcess {
  #child: ChildProcess
  #waiting: { resolve: (result: never) => void; reject: (error: Error) => void } | undefined

  /** `before`: a command that runs another, such as `ip netns exec NAME`. */
  constructor(before: readonly string[] = []) {
    const [file, ...args] = [...before, process.execPath, import.meta.filename]
    this.#child = spawn(file ?? process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#child.on('message', (answer: { result?: never; error?: string }) => {
      const waiting = this.#waiting
      this.#waiting = undefined
      if (answer.error === undefined) waiting?.resolve(answer.result as never)
      else waiting?.reject(new Error(answer.error))
    })
    this.#child.on('exit', (code) => this.#waiting?.reject(new Error(`the load ended with ${code}`)))
  }

  /** One call at a time. */
  call<K extends keyof Calls>(name: K, way: Way, options: Options<K>): Promise<Result<K>> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#child.send({ name, way, options })
    })
  }

  end(): void {
    this.#child.removeAllListeners('exit').kill('SIGKILL')
  }
}

async function serve(): Promise<void> {
  const held: Socket[] = []
  let flow: Awaited<ReturnType<typeof load.downloads>> | undefined
  let before = { bytes: 0, atMs: 0 }
  const calls: Calls = {
    ...load,
    hold: async (way, count) => held.push(...(await load.hold(way, count))),
    release: async () => {
      for (const socket of [...held.splice(0), ...(flow?.sockets ?? [])]) load.breakOff(socket)
      flow = undefined
    },
    flood: async (way, streams) => {
      flow = await load.downloads(way, streams)
      before = flow.arrived()
      return streams
    },
    flooded: async () => {
      const now = flow?.arrived() ?? before
      const since = { bytes: now.bytes - before.bytes, ms: now.atMs - before.atMs }
      before = now
      return since
    },
  }
  process.on('message', ({ name, way, options }: { name: keyof Calls; way: Way; options: never }) => {
    const call = calls[name] as (way: Way, options: never) => Promise<unknown>
    call(way, options).then(
      (result) => process.send?.({ result: result ?? null }),
      (thrown: Error) => process.send?.({ error: thrown.message }),
    )
  })
  process.on('disconnect', () => process.exit())
}

if (import.meta.main) await serve()
