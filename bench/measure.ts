// What both runs measure (run.ts: Sightline's own modes; compare.ts: beside others), each figure noted under its subject. Rule: what
// is started for one figure is ended after it, also where it fails or the run is broken off.
import { Bench, type Link, type Running, type Subject } from './bench.ts'
import { LoadProcess } from './load-process.ts'
import { wait } from './load.ts'
import { memoryKiBOf } from './processes.ts'
import { figuresOf, versionOf, type SubjectResult } from './results.ts'
import { towards, type Way } from './way.ts'

/** Bytes that go each way, three times, before anything is timed. */
export const HASHED_BYTES = 16 * 1024 * 1024 + 12_345
const WARM_UP_MS = 700
const FRESH_MS = 800
const ALONE_MS = 600
const PING_MS = 800
/** What everyone pays once is not a connection's. */
const FIRST_CONNECTIONS = 50
const SETTLE_MS = 1_500
const MEMORY_EVERY_MS = 100

export interface Started {
  readonly subject: Subject
  readonly bench: Bench
  readonly running: Running
  readonly load: LoadProcess
}

export const say = (text: string): void => console.error(`${Math.round(performance.now() / 1000)} s: ${text}`)

export class Measuring {
  /** The load, and a second one for what is felt beside it. */
  readonly load = new LoadProcess()
  readonly player = new LoadProcess()
  #samples = new Map<string, Map<string, number[]>>()
  #open = new Set<{ stop(): Promise<void> }>()

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => void this.stop().then(() => process.exit(1)))
    }
  }

  async stop(): Promise<void> {
    this.load.end()
    this.player.end()
    for (const bench of this.#open) await bench.stop()
  }

  /** Everybody once in each round, which begins `turn` places after the one before. */
  async inRounds(
    subjects: readonly Subject[],
    { rounds, turn }: { readonly rounds: number; readonly turn: number },
    measure: (started: Started) => Promise<void>,
  ): Promise<void> {
    await this.inBench({}, async (bench) => {
      const started = await this.startAll(bench, subjects)
      for (let round = 0; round < rounds; round += 1) {
        for (let place = 0; place < started.length; place += 1) {
          const next = started[(round * turn + place) % started.length]
          if (next !== undefined) await this.attempt(next.subject, () => measure(next))
        }
        say(`round ${round + 1} of ${rounds}`)
      }
    })
  }

  /** A bench for as long as `use` takes. */
  async inBench<T>(
    options: Parameters<typeof Bench.start>[0],
    use: (bench: Bench) => Promise<T>,
  ): Promise<T> {
    const bench = await Bench.start(options)
    this.#open.add(bench)
    try {
      return await use(bench)
    } finally {
      this.#open.delete(bench)
      await bench.stop()
    }
  }

  note(subject: string, measure: string, value: number): void {
    const of = this.#samples.get(subject) ?? new Map<string, number[]>()
    this.#samples.set(subject, of)
    of.set(measure, [...(of.get(measure) ?? []), value])
  }

  resultOf(subject: Subject): SubjectResult {
    const samples = [...(this.#samples.get(subject.name) ?? [])]
    return {
      name: subject.name,
      family: subject.family,
      mode: subject.mode ?? null,
      version: versionOf(subject),
      figures: Object.fromEntries(samples.map(([id, all]) => [id, figuresOf(all)])),
    }
  }

  /** Subjects that could not be measured, with what went wrong; the run goes on without them. */
  readonly failed = new Map<Subject, string>()

  /** Does `work` unless `subject` has failed before. A wrong byte or a program that does not start is not the others' end. */
  async attempt(subject: Subject, work: () => Promise<void>): Promise<void> {
    if (this.failed.has(subject)) return
    try {
      await work()
    } catch (thrown) {
      const reason = (thrown as Error).message.split('\n')[0] ?? ''
      this.failed.set(subject, reason)
      say(`failed: ${subject.name}: ${reason}`)
    }
  }

  /** Starts each of `subjects`, and holds its bytes against the origin's. */
  async startAll(bench: Bench, subjects: readonly Subject[]): Promise<Started[]> {
    const started: Started[] = []
    const start = async (subject: Subject): Promise<void> => {
      const running = await subject.start(bench)
      const load = running.load ?? this.load
      await load.call('checkBytes', running.way, HASHED_BYTES)
      // What is compiled while it runs is compiled by then.
      await load.call('fresh', running.way, { inFlight: 8, ms: WARM_UP_MS, pids: [] })
      started.push({ subject, bench, running, load })
    }
    for (const subject of subjects) await this.attempt(subject, () => start(subject))
    say(
      `${HASHED_BYTES} bytes down, down slowly and up: SHA-256 as the origin's for ${started.length} of ${subjects.length}`,
    )
    return started
  }

  async bulk(
    { subject: { name }, running: { way, pids }, load }: Started,
    streams: number,
    ms: number,
    { up = false, cpu }: { up?: boolean; cpu?: string } = {},
  ): Promise<void> {
    const { perSecond, cpuPerGB } = await load.call('bulk', way, { streams, up, ms, pids })
    this.note(name, `${up ? 'up' : 'down'}-${streams}`, perSecond)
    if (cpu !== undefined && pids.length > 0) this.note(name, cpu, cpuPerGB)
  }

  /** Fresh connections: 32 in flight, and one at a time. */
  async fresh({ subject: { name }, running: { way, pids }, load }: Started): Promise<void> {
    const many = await load.call('fresh', way, { inFlight: 32, ms: FRESH_MS, pids })
    this.note(name, 'fresh-32', many.perSecond)
    this.note(name, 'fresh-32-p50', many.p50Ms)
    this.note(name, 'fresh-32-p99', many.p99Ms)
    this.note(name, 'load-cpus', many.loadCpus)
    if (pids.length > 0) this.note(name, 'fresh-cpu', many.cpuMsEach)
    const alone = await load.call('fresh', way, { inFlight: 1, ms: ALONE_MS, pids })
    this.note(name, 'fresh-1-p50', alone.p50Ms)
    this.note(name, 'fresh-1-p99', alone.p99Ms)
    this.note(name, 'fresh-1-p999', alone.p999Ms)
  }

  /** Ping-pong on an open connection, while `load` downloads on 8 others; with `idle` before that too. */
  async pingPong(
    { subject: { name }, bench, running: { way, load: own }, load }: Started,
    idle: boolean,
  ): Promise<void> {
    // One request is one body, and a load with a namespace of its own is alone there: nothing is played.
    if (way.handshake === 'http' || own !== undefined) return
    const played = towards(bench.echo, way)
    if (idle) this.#noteLatency(name, 'ping', await this.player.call('pingPong', played, { ms: PING_MS }))
    await load.call('flood', way, 8)
    this.#noteLatency(name, 'loaded', await this.player.call('pingPong', played, { ms: PING_MS }))
    await load.call('release', way, undefined)
  }

  #noteLatency(
    name: string,
    measure: string,
    latency: { p50Ms: number; p99Ms: number; p999Ms: number },
  ): void {
    this.note(name, `${measure}-p50`, latency.p50Ms)
    this.note(name, `${measure}-p99`, latency.p99Ms)
    this.note(name, `${measure}-p999`, latency.p999Ms)
  }

  /** Memory of the gateway for each of `count` connections, in processes that have just begun; and what their start took. */
  async memory(subject: Subject, count: number, measure: string): Promise<void> {
    await this.inBench({}, async (bench) => {
      const running = await subject.start(bench)
      const load = running.load ?? this.load
      await load.call('hold', running.way, FIRST_CONNECTIONS)
      const before = memoryKiBOf(running.gatewayPids)
      await load.call('hold', running.way, count)
      // What came with the opening has gone once it does not shrink any more.
      let after = memoryKiBOf(running.gatewayPids)
      for (let waitedMs = 0; waitedMs < SETTLE_MS; waitedMs += MEMORY_EVERY_MS) {
        await wait(MEMORY_EVERY_MS)
        after = Math.min(after, memoryKiBOf(running.gatewayPids))
      }
      this.note(subject.name, measure, (after - before) / count)
      this.note(subject.name, 'start-ms', running.startMs)
      await load.call('release', running.way, undefined)
    })
  }

  /** One transfer each, all at once, each over a link of its own: its share from the first byte on, the growth of windows among it. */
  async longLinks(subjects: readonly Subject[], link: Link, ms: number, measure: string): Promise<void> {
    await this.inBench({ link }, async (bench) => {
      const flows: Array<{ name: string; way: Way; load: LoadProcess }> = []
      try {
        for (const subject of subjects) {
          const { way } = await subject.start(bench)
          flows.push({ name: subject.name, way, load: new LoadProcess() })
        }
        await Promise.all(
          flows.map(async ({ name, way, load }) => {
            await load.call('flood', way, 1)
            await wait(ms)
            const flooded = await load.call('flooded', way, undefined)
            this.note(name, measure, (flooded.bytes * 8) / 1000 / flooded.ms / link.megabits)
          }),
        )
      } finally {
        for (const { load } of flows) load.end()
      }
    })
  }
}
