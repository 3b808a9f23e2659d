// Bytes of a day, counted over all replicas. Rules: each process keeps a field of its own in each identity's hash and puts
// its whole count there, so that what is put twice, or again after the store was away, counts once; the store holds keyed
// hashes, no name; and what it says can make a quota seem used up, never larger than what moved here already.
import { createHmac, randomBytes } from 'node:crypto'
import { GatewayError } from '../errors.ts'
import type { StateLink } from './link.ts'

/** Bytes of one identity that moved here, on a day since 1970 (UTC). */
export interface Use {
  readonly key: string
  readonly day: number
  readonly used: number
}

/** Who counts here. */
export interface Counter {
  /** Of whom others do not know all. */
  untold(): readonly Use[]
  told(use: Use, elsewhere: number): void
  tellAgain(): void
}

/** KEYS: an identity's day each. ARGV: field, seconds to keep it, then a count for each. Gives the sums. */
const COUNT = `
local sums = {}
for i, key in ipairs(KEYS) do
  redis.call('HSET', key, ARGV[1], ARGV[2 + i])
  redis.call('EXPIRE', key, ARGV[2])
  local sum = 0
  for _, held in ipairs(redis.call('HVALS', key)) do sum = sum + (tonumber(held) or 0) end
  sums[i] = string.format('%.0f', sum)
end
return sums`
/** Identities a question. */
const BATCH = 200
/** The day, and as long again for whose clock is behind. */
const KEEP_S = 2 * 86_400
const SUM = /^\d{1,16}$/

export interface SharedUseOptions {
  readonly link: Pick<StateLink, 'ask'>
  readonly prefix: string
  readonly secret: string
}

export class SharedUse {
  #options: SharedUseOptions
  #counter: Counter
  /** Names this process in the store; another one after each start. */
  #field = randomBytes(12).toString('base64url')

  constructor(options: SharedUseOptions, counter: Counter) {
    this.#options = options
    this.#counter = counter
  }

  /** Tells and learns. Errors: as `ask` of the link; `state-invalid`, with nothing learned of that batch. */
  async sync(): Promise<void> {
    const uses = this.#counter.untold()
    for (let at = 0; at < uses.length; at += BATCH) await this.#batch(uses.slice(at, at + BATCH))
  }

  async #batch(uses: readonly Use[]): Promise<void> {
    const keys = uses.map((use) => this.#keyOf(use))
    const counts = uses.map(({ used }) => String(used))
    const answer = await this.#options.link.ask([
      ...['EVAL', COUNT, String(keys.length), ...keys],
      ...[this.#field, String(KEEP_S), ...counts],
    ])
    const sums: unknown[] = Array.isArray(answer) ? answer : []
    const elsewhere = uses.map(({ used }, index) => {
      const sum = sums[index]
      return typeof sum === 'string' && SUM.test(sum) ? Number(sum) - used : -1
    })
    if (sums.length !== uses.length || elsewhere.some((one) => one < 0))
      throw new GatewayError('state-invalid')
    uses.forEach((use, index) => this.#counter.told(use, elsewhere[index] ?? 0))
  }

  #keyOf({ key, day }: Use): string {
    const { prefix, secret } = this.#options
    return `${prefix}:use:${day}:${createHmac('sha256', secret).update(`use ${day} ${key}`).digest('base64url')}`
  }
}
