// Property tests of decoders: each target of test/fuzz with many generated inputs from one seed, which is printed. Rules:
// SIGHTLINE_SEED repeats a run; 100,000 inputs with CI or SIGHTLINE_PROPERTIES=full, else 2,000, so that `npm test` stays
// quick; inputs must come deep, and memory and time stay bounded.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Draw } from '../fuzz/draw.ts'
import { describeFailure, failureOf } from '../fuzz/minimize.ts'
import type { Target } from '../fuzz/target.ts'

const IS_FULL = process.env['SIGHTLINE_PROPERTIES'] === 'full' || process.env['CI'] === 'true'
const INPUTS = IS_FULL ? 100_000 : 2_000
const SEED = Number(process.env['SIGHTLINE_SEED'] ?? Math.floor(Math.random() * 0x7fffffff))

const TIMEOUT_MS = 120_000
/** Far above what any of them needs, also on a machine that is busy with others; a loop without end is far above this. */
const MAX_INPUT_MS = 5_000
const MAX_GROWTH_BYTES = 256 * 1024 * 1024
const SAMPLE_EVERY = 1_000

/** The most memory that inputs have taken beyond what stood before, in buffers and in all. */
class MemoryWatch {
  readonly #buffersBefore = process.memoryUsage().arrayBuffers
  readonly #residentBefore = process.memoryUsage.rss()
  #buffers = 0
  #count = 0

  sample(): void {
    this.#count += 1
    if (this.#count % SAMPLE_EVERY !== 0) return
    this.#buffers = Math.max(this.#buffers, process.memoryUsage().arrayBuffers - this.#buffersBefore)
  }

  get peakBytes(): number {
    // maxRSS is the peak of the process, in KiB: it sees what was taken and given back between two samples.
    return Math.max(this.#buffers, process.resourceUsage().maxRSS * 1024 - this.#residentBefore)
  }
}

/** One test for each target. */
export function testTargets(group: string, targets: readonly Target[]): void {
  describe(`${group}: ${INPUTS} inputs for each decoder`, () => {
    process.stdout.write(`${group}: ${INPUTS} inputs, seed ${SEED} (SIGHTLINE_SEED=${SEED} repeats them)\n`)

    it.each(targets)('$name keeps its promises', { timeout: TIMEOUT_MS }, (target) => {
      const words = new Map<string, number>()
      const memory = new MemoryWatch()
      let slowestMs = 0
      let inputs = 0
      const property = fc.property(fc.noBias(fc.integer()), (seed) => {
        const input = target.generate(Draw.seeded(seed))
        const startedMs = performance.now()
        try {
          const word = target.check(input)
          words.set(word, (words.get(word) ?? 0) + 1)
        } catch (thrown) {
          if (failureOf(target, input) === undefined) throw thrown
          throw new Error(describeFailure(target, input), { cause: thrown })
        }
        slowestMs = Math.max(slowestMs, performance.now() - startedMs)
        inputs += 1
        memory.sample()
      })
      withShortStacks(() => fc.assert(property, { seed: SEED, numRuns: INPUTS, endOnFailure: true }))
      expect(inputs).toBe(INPUTS)
      const deep = target.deep.words.reduce((sum, word) => sum + (words.get(word) ?? 0), 0)
      expect(
        deep / inputs,
        `share of inputs that came as deep as ${target.deep.words.join(', ')}`,
      ).toBeGreaterThanOrEqual(target.deep.share)
      expect(slowestMs).toBeLessThan(MAX_INPUT_MS)
      expect(memory.peakBytes).toBeLessThan(MAX_GROWTH_BYTES)
    })
  })
}

/** Most inputs end in an error, and most of an error's cost is its stack, which nobody reads here. */
function withShortStacks(run: () => void): void {
  const before = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    run()
  } finally {
    Error.stackTraceLimit = before
  }
}
