// The thread in which decoders are fuzzed: targets take turns, a target that has failed leaves. Rule: which input is
// being read stands in shared memory, so that one that never ends is known.
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { Draw, seedOf } from './draw.ts'
import { describeFailure, failureOf } from './minimize.ts'
import { TARGETS } from './targets/all.ts'
import type { Target } from './target.ts'

/** Places in the shared numbers. */
export const TARGET = 0
export const INDEX = 1

export interface Order {
  /** 0 for no end. */
  readonly seconds: number
  readonly seed: number
  readonly names: readonly string[]
}

export interface Report {
  readonly lines: ReadonlyArray<{
    readonly name: string
    readonly inputs: number
    readonly perSecond: number
    /** How deep they came: `request 41 %`. */
    readonly words: string
  }>
}

const TURN = 200
const REPORT_EVERY_MS = 1_000

class Turns {
  readonly target: Target
  inputs = 0
  failed = false
  #ms = 0
  #words = new Map<string, number>()

  constructor(target: Target) {
    this.target = target
  }

  /** Reads `TURN` inputs. Gives the report of a failure. */
  take(seed: number, note: (index: number) => void): string | undefined {
    const startedMs = performance.now()
    for (let left = TURN; left > 0; left -= 1) {
      note(this.inputs)
      const input = this.target.generate(Draw.seeded(seedOf(seed, this.inputs)))
      this.inputs += 1
      try {
        const word = this.target.check(input)
        this.#words.set(word, (this.#words.get(word) ?? 0) + 1)
      } catch (thrown) {
        this.failed = true
        return failureOf(this.target, input) === undefined
          ? `${this.target.name}: it failed once, and then no more: ${String(thrown)}`
          : describeFailure(this.target, input)
      }
    }
    this.#ms += performance.now() - startedMs
    return undefined
  }

  line(): Report['lines'][number] {
    const words = [...this.#words]
      .toSorted(([, one], [, other]) => other - one)
      .map(([word, count]) => `${word} ${((100 * count) / this.inputs).toFixed(1)} %`)
    return {
      name: this.target.name,
      inputs: this.inputs,
      perSecond: Math.round((1000 * this.inputs) / Math.max(1, this.#ms)),
      words: words.join(', '),
    }
  }
}

function work(order: Order, shared: Int32Array): void {
  const turns = TARGETS.filter(({ name }) => order.names.includes(name)).map((target) => new Turns(target))
  const send = (message: Report | { failure: string }): void => parentPort?.postMessage(message, [])
  const startedMs = performance.now()
  let reportedMs = startedMs
  const report = (): void => send({ lines: turns.map((turn) => turn.line()) })
  for (
    let nowMs = startedMs;
    order.seconds === 0 || nowMs < startedMs + order.seconds * 1000;
    nowMs = performance.now()
  ) {
    if (turns.every(({ failed }) => failed)) break
    for (const turn of turns) {
      if (turn.failed) continue
      Atomics.store(shared, TARGET, order.names.indexOf(turn.target.name))
      const failure = turn.take(order.seed, (index) => Atomics.store(shared, INDEX, index))
      if (failure !== undefined) send({ failure })
    }
    if (performance.now() - reportedMs < REPORT_EVERY_MS) continue
    reportedMs = performance.now()
    report()
  }
  report()
}

if (!isMainThread) {
  // Most inputs end in an error, and most of an error's cost is its stack.
  Error.stackTraceLimit = 0
  const { shared, ...order } = workerData as Order & { shared: Int32Array }
  work(order, shared)
}
