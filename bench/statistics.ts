// Medians, and how sure a ratio of two medians is. Rounds are resampled as a whole, for both sides alike: what slowed the
// machine down for one round slowed both.

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((one, other) => one - other)
  const half = Math.floor(sorted.length / 2)
  const upper = sorted[half] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? upper) + upper) / 2
}

export interface Ratio {
  readonly ratio: number
  /** 95 % confidence interval: percentiles of the bootstrap (Efron 1979). */
  readonly low: number
  readonly high: number
}

const RESAMPLES = 2_000

/** Of the medians of two measurements in the same rounds. */
export function ratioOf(mine: readonly number[], its: readonly number[]): Ratio {
  const rounds = Math.min(mine.length, its.length)
  const random = randomFrom(rounds)
  const ratios: number[] = []
  for (let count = 0; count < RESAMPLES; count += 1) {
    const drawn = Array.from({ length: rounds }, () => Math.floor(random() * rounds))
    const of = (samples: readonly number[]): number =>
      median(drawn.map((round) => samples[round] ?? Number.NaN))
    ratios.push(of(mine) / of(its))
  }
  ratios.sort((one, other) => one - other)
  const at = (share: number): number => ratios[Math.floor(share * (RESAMPLES - 1))] ?? Number.NaN
  return { ratio: median(mine) / median(its), low: at(0.025), high: at(0.975) }
}

/** The same sequence in every run (a linear congruential generator, Knuth's numbers), so that a table can be made again. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
