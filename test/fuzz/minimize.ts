// Makes an input that breaks a target smaller for as long as it still breaks it, and says it so that it can be
// repeated. Rule: a bounded number of tries, so that a slow failure does not take for ever.
import type { Target } from './target.ts'

const MAX_TRIES = 20_000

/** What is wrong with an input, or undefined. */
export function failureOf(target: Target, input: Uint8Array): string | undefined {
  try {
    target.check(input)
    return undefined
  } catch (thrown) {
    return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)
  }
}

/** A smaller input that fails as well, if perhaps in another way: pieces left out, then bytes made 0. */
export function minimize(target: Target, input: Uint8Array): Uint8Array {
  let least = input
  let tries = MAX_TRIES
  const attempt = (candidate: Uint8Array): boolean => {
    tries -= 1
    if (failureOf(target, candidate) === undefined) return false
    least = candidate
    return true
  }
  for (let size = least.length; size >= 1; size = size > 1 ? size >> 1 : 0) {
    for (let at = 0; at < least.length && tries > 0;) {
      if (!attempt(Buffer.concat([least.subarray(0, at), least.subarray(at + size)]))) at += size
    }
  }
  for (let at = 0; at < least.length && tries > 0; at += 1) {
    if (least[at] === 0) continue
    const zeroed = Buffer.from(least)
    zeroed[at] = 0
    attempt(zeroed)
  }
  return least
}

/** The report of a failure: what, the minimal input, and the command that repeats it. */
export function describeFailure(target: Target, input: Uint8Array): string {
  const least = minimize(target, input)
  const hex = Buffer.from(least).toString('hex')
  return [
    `${target.name}: ${failureOf(target, least) ?? 'fails no longer: its outcome is not the same each time'}`,
    `input: ${hex === '' ? '(empty)' : hex}`,
    `repeat: node test/fuzz/run.ts --target ${target.name} --input '${hex}'`,
  ].join('\n')
}
