// What is fuzzed: a target makes inputs and says whether its decoder kept its promises on one. Rule: an input is bytes
// and nothing else, so that every failure can be printed as hex, made smaller and tried again.
import { GatewayError, isErrorCode, type ErrorCode } from '../../src/errors.ts'
import type { Draw } from './draw.ts'

export interface Target {
  readonly name: string
  generate(draw: Draw): Uint8Array
  /** Gives how deep the input came, in a word of the target's own; throws where a promise was broken. */
  check(input: Uint8Array): string
  /** Words of inputs that came deep, and the least share of them, so that garbage alone cannot pass for a test. */
  readonly deep: { readonly words: readonly string[]; readonly share: number }
}

/** A decoder that broke a promise. */
export class BrokenPromise extends Error {}

export function promise(kept: boolean, what: string): asserts kept {
  if (!kept) throw new BrokenPromise(what)
}

/** What `decode` gives, or the code of its error. Any other error, and any code not listed, is a broken promise. */
export function attempt<T>(
  codes: readonly ErrorCode[],
  decode: () => T,
): { readonly value: T; readonly code?: undefined } | { readonly code: ErrorCode } {
  try {
    return { value: decode() }
  } catch (thrown) {
    return { code: expectCode(thrown, codes) }
  }
}

export function expectCode(thrown: unknown, codes: readonly ErrorCode[]): ErrorCode {
  if (thrown instanceof BrokenPromise || !(thrown instanceof GatewayError)) throw thrown
  promise(isErrorCode(thrown.code) && codes.includes(thrown.code), `it fails with ${thrown.code}`)
  return thrown.code
}

/** Chunk lengths that depend on nothing but `seed`: many of one byte, some long. */
export function chunksOf(bytes: Uint8Array, draw: Draw): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let at = 0; at < bytes.length;) {
    const length = draw.chance(60) ? 1 + draw.below(3) : 1 + draw.below(Math.max(64, bytes.length >> 2))
    chunks.push(bytes.subarray(at, at + length))
    at += length
  }
  return chunks
}
