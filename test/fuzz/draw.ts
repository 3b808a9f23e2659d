// Where generated inputs come from: numbers drawn from a seed, or from bytes that stand for them. Rule: the same seed
// or the same bytes always give the same numbers, so that a failure can be repeated and made smaller.

export class Draw {
  readonly #u32: (bytes: number) => number

  private constructor(u32: (bytes: number) => number) {
    this.#u32 = u32
  }

  /** Marsaglia's xorshift32; `seed` is any integer, and near seeds give unlike numbers. */
  static seeded(seed: number): Draw {
    let state = scramble(seed) || 1
    return new Draw(() => {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      return state >>> 0
    })
  }

  /** Reads the numbers off `bytes`; after their end every number is 0. */
  static from(bytes: Uint8Array): Draw {
    let at = 0
    return new Draw((count) => {
      let number = 0
      for (let left = count; left > 0; left -= 1) number = number * 256 + (bytes[at++] ?? 0)
      return number
    })
  }

  /** 0 to `end` - 1. */
  below(end: number): number {
    return this.#u32(end <= 0x100 ? 1 : end <= 0x10000 ? 2 : 4) % end
  }

  byte(): number {
    return this.below(256)
  }

  chance(percent: number): boolean {
    return this.below(100) < percent
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.allocUnsafe(count)
    for (let at = 0; at < count; at += 1) bytes[at] = this.byte()
    return bytes
  }

  /** Between `least` and `most` characters of `alphabet`. */
  text(alphabet: string, least: number, most: number): string {
    let text = ''
    for (let left = least + this.below(most - least + 1); left > 0; left -= 1) {
      text += alphabet.charAt(this.below(alphabet.length))
    }
    return text
  }
}

/** The seed of one input of a run. */
export function seedOf(runSeed: number, index: number): number {
  return scramble(scramble(runSeed) ^ Math.imul(index, 0x9e3779b1))
}

/** The finalizer of MurmurHash3. */
function scramble(number: number): number {
  let hash = (number ^ 0x5bd1e995) >>> 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
