// The worker processes, as the primary has them: started, called, and started again. Rules: whoever ends without being told to
// is replaced after a while that grows, and what it held is free at once; no call waits for a worker that is gone; and what
// workers write to standard error comes out a line at a time.
import cluster, { type Worker } from 'node:cluster'
import { createInterface } from 'node:readline'
import { GatewayError } from '../errors.ts'
import { BackOff } from '../policy/back-off.ts'
import type { UseOfDay } from '../state/usage-store.ts'
import type { HeadCount } from './head-count.ts'
import { keepTotals, type MetricSamples } from './merge.ts'
import {
  receivedError,
  type CallName,
  type Calls,
  type InboundAddress,
  type ToPrimary,
  type ToWorker,
  type WorkerSetting,
} from './messages.ts'

export interface CrewOptions {
  readonly count: number
  readonly headCount: HeadCount
  /** What a worker is started with, now. */
  readonly setting: (slot: number) => WorkerSetting
  /** A line of a worker's standard error. */
  readonly line: (text: string) => void
  readonly seen: (identity: Extract<ToPrimary, { type: 'seen' }>['identity']) => void
  /** What a worker's identities moved. */
  readonly used: (uses: readonly UseOfDay[]) => void
  /** All have stopped accepting. */
  readonly draining: () => void
  /** One ended that was not told to; it is started again after so long. */
  readonly lost: (afterMs: number) => void
  /** One that was started again serves. */
  readonly back: () => void
  /** One could not be started again; it is tried once more. */
  readonly failed: (error: unknown) => void
}

interface Member {
  readonly slot: number
  readonly worker: Worker
  readonly sinceMs: number
  readonly waiting: Map<number, PromiseWithResolvers<unknown>>
  readonly ended: Promise<void>
  up: boolean
  ready: boolean
  draining: boolean
  metrics: readonly MetricSamples[]
}

const LOOK_EVERY_MS = 200
/** Who lived so long was no failure of its start. */
const LASTED_MS = 60_000
/** What blocks for longer is shown as it was the last time. */
const SCRAPE_MS = 2_000
const END_MS = 2_000
const DRAIN_SPARE_MS = 5_000

export class Crew {
  #options: CrewOptions
  #members = new Map<number, Member>()
  #backOffs: BackOff[]
  #timers = new Set<NodeJS.Timeout>()
  #look: NodeJS.Timeout
  #lastId = 0
  #stopping = false
  #addresses: readonly InboundAddress[] = []
  #retired: Promise<readonly MetricSamples[]> = Promise.resolve([])

  private constructor(options: CrewOptions) {
    this.#options = options
    this.#backOffs = Array.from({ length: options.count }, () => new BackOff(Math.random))
    // `exec` and `args` are this program's own.
    cluster.setupPrimary({ stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    this.#look = setInterval(() => {
      for (const [worker, shares] of options.headCount.look())
        this.#send(this.#members.get(worker), { type: 'shares', shares })
    }, LOOK_EVERY_MS).unref()
  }

  /** Starts all of them. Errors: of the first that cannot be started; none is left then. */
  static async start(options: CrewOptions): Promise<Crew> {
    const crew = new Crew(options)
    try {
      await Promise.all(Array.from({ length: options.count }, (_, slot) => crew.#start(slot)))
      return crew
    } catch (thrown) {
      await crew.destroy()
      throw thrown
    }
  }

  get addresses(): readonly InboundAddress[] {
    return this.#addresses
  }

  /** How many serve. */
  get up(): number {
    return [...this.#members.values()].filter(({ up }) => up).length
  }

  /** Who serves wants more, and somebody does. */
  get ready(): boolean {
    const up = [...this.#members.values()].filter((member) => member.up)
    return up.length > 0 && up.every((member) => member.ready)
  }

  /** Reads `next` in all of them; nothing is in force before `commit`. Errors: of the first that refuses. */
  async prepare(
    next: Pick<WorkerSetting, 'config' | 'otherListeners'>,
  ): Promise<{ commit(): Promise<void>; abandon(): Promise<void> }> {
    const members = [...this.#members.values()].filter(({ up }) => up)
    const abandon = async (): Promise<void> => {
      await Promise.allSettled(members.map((member) => this.#call(member, 'abandon', null)))
    }
    const prepared = await Promise.allSettled(members.map((member) => this.#call(member, 'prepare', next)))
    const refused = prepared.find((one, index) => one.status === 'rejected' && this.#isAlive(members[index]))
    if (refused?.status === 'rejected') {
      await abandon()
      throw refused.reason
    }
    return {
      commit: async () => {
        await Promise.allSettled(
          members.map(async (member) => {
            this.#addresses = await this.#call(member, 'commit', null)
          }),
        )
        // Who was being started meanwhile has the config from before.
        for (const member of this.#members.values())
          if (!members.includes(member)) member.worker.process.kill('SIGKILL')
      },
      abandon,
    }
  }

  /** Lets all of them finish, and end. True where nothing was cut off. */
  async drain(timeoutMs: number, delayMs: number): Promise<boolean> {
    this.#stop()
    // Who does not serve yet has nothing to finish.
    for (const { up, worker } of this.#members.values()) if (!up) worker.process.kill('SIGKILL')
    const members = [...this.#members.values()]
    const late = setTimeout(() => this.#kill(), delayMs + timeoutMs + DRAIN_SPARE_MS)
    const finished = await Promise.all(
      members.map(async (member) => {
        if (!member.up) return true
        try {
          return await this.#call(member, 'drain', { timeoutMs, delayMs })
        } catch {
          return false
        }
      }),
    )
    await Promise.all(members.map(({ ended }) => ended))
    clearTimeout(late)
    return finished.every(Boolean)
  }

  /** Ends all at once. */
  async destroy(): Promise<void> {
    this.#stop()
    const members = [...this.#members.values()]
    for (const member of members) this.#call(member, 'destroy', null).catch(() => {})
    const late = setTimeout(() => this.#kill(), END_MS)
    await Promise.all(members.map(({ ended }) => ended))
    clearTimeout(late)
  }

  /** Samples of each, and of those that are no more. */
  async metrics(): Promise<Array<readonly MetricSamples[]>> {
    const live = await Promise.all([...this.#members.values()].map((member) => this.#scrape(member)))
    return [await this.#retired, ...live]
  }

  async #scrape(member: Member): Promise<readonly MetricSamples[]> {
    if (!member.up) return []
    const late = Promise.withResolvers<readonly MetricSamples[]>()
    const timer = setTimeout(() => late.resolve(member.metrics), SCRAPE_MS)
    try {
      member.metrics = await Promise.race([this.#call(member, 'metrics', null), late.promise])
    } catch {
      // It has ended: its last samples are kept with those of the others that did.
      return []
    } finally {
      clearTimeout(timer)
    }
    return member.metrics
  }

  #isAlive(member: Member | undefined): boolean {
    return member !== undefined && this.#members.get(member.worker.id) === member
  }

  #stop(): void {
    this.#stopping = true
    clearInterval(this.#look)
    for (const timer of this.#timers) clearTimeout(timer)
  }

  #kill(): void {
    for (const { worker } of this.#members.values()) worker.process.kill('SIGKILL')
  }

  async #start(slot: number): Promise<void> {
    const worker = cluster.fork()
    const ended = Promise.withResolvers<void>()
    const member: Member = {
      slot,
      worker,
      sinceMs: performance.now(),
      waiting: new Map(),
      ended: ended.promise,
      up: false,
      ready: false,
      draining: false,
      metrics: [],
    }
    this.#members.set(worker.id, member)
    worker.on('message', (message: ToPrimary) => this.#take(member, message))
    worker.on('error', () => {})
    const { stderr } = worker.process
    if (stderr !== null) createInterface({ input: stderr }).on('line', this.#options.line)
    // What it wrote is read to its end before it counts as ended.
    worker.process.on('close', () => {
      this.#gone(member)
      ended.resolve()
    })
    this.#addresses = await this.#call(member, 'start', this.#options.setting(slot))
    member.up = true
    member.ready = true
  }

  #gone(member: Member): void {
    const { headCount } = this.#options
    this.#members.delete(member.worker.id)
    headCount.gone(member.worker.id)
    const before = this.#retired
    this.#retired = before.then((samples) => keepTotals(samples, member.metrics))
    for (const call of member.waiting.values())
      call.reject(new GatewayError('internal-error', { detail: 'a worker ended before it had answered' }))
    if (this.#stopping || !member.up) return
    this.#again(member.slot, performance.now() - member.sinceMs > LASTED_MS)
  }

  #again(slot: number, lasted: boolean): void {
    const backOff = this.#backOffs[slot]
    if (backOff === undefined || this.#stopping) return
    if (lasted) backOff.reset()
    const afterMs = backOff.next(performance.now())
    this.#options.lost(afterMs)
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.#start(slot).then(this.#options.back, (thrown: unknown) => {
        if (this.#stopping) return
        this.#options.failed(thrown)
        this.#again(slot, false)
      })
    }, afterMs)
    this.#timers.add(timer)
  }

  #call<Name extends CallName>(member: Member, name: Name, value: Calls[Name][0]): Promise<Calls[Name][1]> {
    this.#lastId += 1
    const answer = Promise.withResolvers<unknown>()
    member.waiting.set(this.#lastId, answer)
    this.#send(member, { type: 'call', id: this.#lastId, name, value })
    return answer.promise as Promise<Calls[Name][1]>
  }

  #send(member: Member | undefined, message: ToWorker): void {
    if (member?.worker.isConnected() === true) member.worker.send(message)
  }

  #take(member: Member, message: ToPrimary): void {
    const { headCount, seen, used, draining } = this.#options
    switch (message.type) {
      case 'reply': {
        const call = member.waiting.get(message.id)
        member.waiting.delete(message.id)
        if ('error' in message) call?.reject(receivedError(message.error))
        else call?.resolve(message.value)
        return
      }
      case 'asks': {
        const answers = message.asks.flatMap(([id, ask]): Array<readonly [number, unknown]> => {
          const value = headCount.answer(member.worker.id, ask)
          return id === 0 ? [] : [[id, value ?? null]]
        })
        if (answers.length > 0) this.#send(member, { type: 'answers', answers })
        return
      }
      case 'ready':
        member.ready = message.ready
        return
      case 'draining':
        member.draining = true
        if ([...this.#members.values()].every((one) => one.draining || !one.up)) draining()
        return
      case 'usage':
        return used(message.uses)
      case 'seen':
        return seen(message.identity)
    }
  }
}
