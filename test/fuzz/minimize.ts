// Makes an input that breaks a target smaller for as long as it still breaks it, and says it so that it can be
// repeated. Rule: a bounded number of tries, so that a slow failure does not take for ever.
import { mkdtempSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { Target } from './target.ts'

/** Bytes of all tries together: some seconds, however long the input is. */
const MAX_TRIED_BYTES = 50_000_000
const TRY_COST_BYTES = 1_000
/** Longer inputs are written to a file: a command line has an end, and so has a reader's patience. */
const MAX_SHOWN_BYTES = 1_024

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
  let triedBytes = 0
  const fails = (makeCandidate: () => Uint8Array): boolean => {
    triedBytes += least.length + TRY_COST_BYTES
    if (triedBytes > MAX_TRIED_BYTES) return false
    const candidate = makeCandidate()
    if (failureOf(target, candidate) === undefined) return false
    least = candidate
    return true
  }
  for (let size = least.length; size >= 1; size = size > 1 ? size >> 1 : 0) {
    for (let at = 0; at < least.length;) {
      const from = at
      if (!fails(() => Buffer.concat([least.subarray(0, from), least.subarray(from + size)]))) at += size
    }
  }
  for (let at = 0; at < least.length; at += 1) {
    if (least[at] !== 0) fails(() => Buffer.from(least).fill(0, at, at + 1))
  }
  return least
}

/** The report of a failure: what, the minimal input, and the command that repeats it. */
export function describeFailure(target: Target, input: Uint8Array): string {
  const least = minimize(target, input)
  return report(
    target,
    least,
    failureOf(target, least) ?? 'it fails no longer: its outcome is not the same each time',
  )
}

/** Three lines: what is wrong, the input, the command that tries it again. */
export function report(target: Target, input: Uint8Array, what: string): string {
  const hex = Buffer.from(input).toString('hex')
  const isShown = input.length <= MAX_SHOWN_BYTES
  const shown = isShown ? hex : `${hex.slice(0, 200)}... (${input.length} bytes)`
  const repeat = `node test/fuzz/run.ts --target ${target.name} --input ${isShown ? `'${hex}'` : `@${keep(hex)}`}`
  return `${target.name}: ${what}\ninput: ${shown}\nrepeat: ${repeat}`
}

function keep(hex: string): string {
  const file = path.join(mkdtempSync(path.join(os.tmpdir(), 'sightline-fuzz-')), 'input.hex')
  writeFileSync(file, hex)
  return file
}
