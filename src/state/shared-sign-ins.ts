// What failed sign-ins cost, counted over all replicas: a source, and a name at that source, wait for what failed anywhere.
// Rules: the store holds keyed hashes, no address and no name, and each for ten minutes; a turn is taken before a check,
// at the store's own clock, so that tries at several replicas side by side wait one after the other; and where the store is
// away or says what it cannot, only what was counted here holds.
import { createHmac } from 'node:crypto'
import { toGatewayError, type ErrorCode } from '../errors.ts'
import type { DelaySteps } from '../policy/failure-delay.ts'
import type { StateLink } from './link.ts'

/** KEYS: source, pair. ARGV: first, longest and forget in ms, free failures of each, most in ms. */
const COMMON = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function delay(failures, free)
  if failures <= free then return 0 end
  return math.min(tonumber(ARGV[2]), ARGV[1] * 2 ^ math.min(30, failures - free - 1))
end`

/** Gives how long to wait. Only keys whose failures cost something take a turn. */
const RESERVE = `${COMMON}
local wait, failures = 0, {}
for i, key in ipairs(KEYS) do
  local held = redis.call('HMGET', key, 'failures', 'ready')
  failures[i] = tonumber(held[1])
  wait = math.max(wait, (tonumber(held[2]) or 0) - now)
end
if wait > tonumber(ARGV[6]) then return wait end
for i, key in ipairs(KEYS) do
  local cost = failures[i] and delay(failures[i], tonumber(ARGV[3 + i])) or 0
  if cost > 0 then redis.call('HSET', key, 'ready', now + wait + cost) end
end
return wait`

const FAILED = `${COMMON}
for i, key in ipairs(KEYS) do
  local failures = redis.call('HINCRBY', key, 'failures', 1)
  local ready = math.max(tonumber(redis.call('HGET', key, 'ready') or 0), now + delay(failures, tonumber(ARGV[3 + i])))
  redis.call('HSET', key, 'ready', ready)
  redis.call('PEXPIRE', key, ARGV[3])
end
return 0`

export interface SharedSignInsOptions {
  readonly link: Pick<StateLink, 'ask' | 'up'>
  readonly prefix: string
  readonly secret: string
  readonly failed: (code: ErrorCode) => void
}

export class SharedSignIns {
  #options: SharedSignInsOptions

  constructor(options: SharedSignInsOptions) {
    this.#options = options
  }

  /** Takes a turn; milliseconds until it, 0 where that cannot be known. */
  async reserve(source: string, name: string, steps: DelaySteps): Promise<number> {
    const answer = await this.#run(RESERVE, source, name, steps)
    if (answer === undefined) return 0
    if (typeof answer === 'number' && answer >= 0) return answer
    this.#options.failed('state-invalid')
    return 0
  }

  async failed(source: string, name: string, steps: DelaySteps): Promise<void> {
    await this.#run(FAILED, source, name, steps)
  }

  /** The name at this source starts afresh. */
  async succeeded(source: string, name: string): Promise<void> {
    await this.#ask(['DEL', this.#keys(source, name)[1]])
  }

  #run(script: string, source: string, name: string, steps: DelaySteps): Promise<unknown> {
    const { firstMs, longestMs, forgetMs, freeFailures, mostMs } = steps
    const numbers = [firstMs, longestMs, forgetMs, freeFailures.ofSource, freeFailures.ofPair, mostMs]
    return this.#ask(['EVAL', script, '2', ...this.#keys(source, name), ...numbers.map(String)])
  }

  async #ask(command: readonly string[]): Promise<unknown> {
    const { link, failed } = this.#options
    if (!link.up) return undefined
    try {
      return await link.ask(command)
    } catch (thrown) {
      failed(toGatewayError(thrown, 'self', 'state-unavailable').code)
      return undefined
    }
  }

  #keys(source: string, name: string): readonly [source: string, pair: string] {
    const { prefix, secret } = this.#options
    const key = (kind: string, text: string): string =>
      `${prefix}:sign-in:${createHmac('sha256', secret).update(`sign-in ${kind} ${text}`).digest('base64url')}`
    return [key('source', source), key('pair', `${source} ${name}`)]
  }
}
