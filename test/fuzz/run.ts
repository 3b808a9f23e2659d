// Fuzzes the decoders for as long as one likes: `node test/fuzz/run.ts [--seconds N] [--seed S] [--target NAME]`, and
// `--target NAME --input HEX` tries one input again. --seconds 0 goes on until it is stopped. Rule: an input that takes
// too long or too much memory is found too, so the decoders run in a thread that this one watches.
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { Draw, seedOf } from './draw.ts'
import { failureOf, report } from './minimize.ts'
import { TARGETS } from './targets/all.ts'
import type { Target } from './target.ts'
import { INDEX, TARGET, type Order, type Report } from './worker.ts'

const USAGE = 'usage: node test/fuzz/run.ts [--seconds N] [--seed S] [--target NAME] [--input HEX]'
const LOOK_EVERY_MS = 5_000
/** An input that is still being read after two looks without another has stuck. */
const STUCK_LOOKS = 2
const MAX_HEAP_MIB = 512

const say = (line: string): void => void process.stdout.write(`${line}\n`)

/** Seconds, seed and targets; undefined where the command line is not understood. */
function readArguments(): (Order & { input: string | undefined }) | undefined {
  const options = {
    seconds: { type: 'string' },
    seed: { type: 'string' },
    target: { type: 'string' },
    input: { type: 'string' },
  } as const
  try {
    const { values } = parseArgs({ options })
    const { target, input } = values
    const names = TARGETS.map(({ name }) => name).filter((name) => target === undefined || name === target)
    const seconds = Number(values.seconds ?? 60)
    const seed = Number(values.seed ?? Math.floor(Math.random() * 0x7fffffff))
    const isGood =
      names.length > 0 &&
      seconds >= 0 &&
      Number.isSafeInteger(seed) &&
      (input === undefined || names.length === 1)
    return isGood ? { seconds, seed, names, input } : undefined
  } catch {
    return undefined
  }
}

function tryAgain(target: Target, input: Uint8Array): number {
  const failure = failureOf(target, input)
  say(failure ?? `${target.name}: nothing is wrong with it`)
  return failure === undefined ? 0 : 1
}

/** Runs until the time is up. Gives the exit code: 1 where a promise was broken. */
function fuzz(order: Order): Promise<number> {
  say(`seed ${order.seed}`)
  const shared = new Int32Array(new SharedArrayBuffer(8))
  const started = performance.now()
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    workerData: { ...order, shared },
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MIB },
  })
  let latest: Report | undefined
  let failures = 0
  let stuckAt: readonly number[] = []
  let stuckLooks = 0

  const current = (): { target: Target; input: Uint8Array } => {
    const target =
      TARGETS.find(({ name }) => name === order.names[Atomics.load(shared, TARGET)]) ?? TARGETS[0]!
    return { target, input: target.generate(Draw.seeded(seedOf(order.seed, Atomics.load(shared, INDEX)))) }
  }
  const sayCurrent = (what: string): void => {
    const { target, input } = current()
    failures += 1
    say(report(target, input, what))
  }
  const progress = (): void => {
    const seconds = (performance.now() - started) / 1000
    const inputs = latest?.lines.reduce((sum, line) => sum + line.inputs, 0) ?? 0
    say(
      `${seconds.toFixed(0)} s  ${inputs} inputs  ${(inputs / seconds).toFixed(0)} a second  ${failures} failures`,
    )
  }

  return new Promise((resolve) => {
    const look = setInterval(() => {
      progress()
      const at = [...shared]
      stuckLooks = at.every((number, index) => number === stuckAt[index]) ? stuckLooks + 1 : 0
      stuckAt = at
      if (stuckLooks < STUCK_LOOKS) return
      sayCurrent(`it is still at work on it after ${(STUCK_LOOKS * LOOK_EVERY_MS) / 1000} s`)
      void worker.terminate()
    }, LOOK_EVERY_MS)
    worker.on('message', (message: Report | { readonly failure: string }) => {
      if (!('failure' in message)) {
        latest = message
        return
      }
      failures += 1
      say(message.failure)
    })
    worker.on('error', (error: NodeJS.ErrnoException) =>
      sayCurrent(
        error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? `it takes more than ${MAX_HEAP_MIB} MiB` : String(error),
      ),
    )
    worker.on('exit', () => {
      clearInterval(look)
      for (const { name, inputs, perSecond, words } of latest?.lines ?? []) {
        say(
          `${name.padEnd(24)} ${String(inputs).padStart(10)} inputs ${String(perSecond).padStart(9)} a second  ${words}`,
        )
      }
      progress()
      resolve(failures === 0 ? 0 : 1)
    })
  })
}

const order = readArguments()
if (order === undefined) {
  process.stderr.write(`error: the command line is not understood; hint: ${USAGE}\n`)
  process.stderr.write(`targets: ${TARGETS.map(({ name }) => name).join(' ')}\n`)
  process.exitCode = 2
} else if (order.input === undefined) process.exitCode = await fuzz(order)
else {
  const target = TARGETS.find(({ name }) => name === order.names[0])!
  const hex = order.input.startsWith('@') ? readFileSync(order.input.slice(1), 'utf8') : order.input
  process.exitCode = tryAgain(target, Buffer.from(hex, 'hex'))
}
