// The bytes that every bulk transfer carries, and their hash for any length.
import { createHash } from 'node:crypto'

/** 1 MiB that repeats nowhere near a frame's or a record's size. */
export const PATTERN = Buffer.alloc(1024 * 1024)
for (let index = 0; index < PATTERN.length; index += 1) {
  PATTERN[index] = (index * 131 + (index >>> 7) * 29 + (index >>> 15) * 7) & 0xff
}

/** SHA-256 of `bytes` bytes of the repeated pattern. */
export function patternHash(bytes: number): string {
  const hash = createHash('sha256')
  for (let left = bytes; left > 0; left -= PATTERN.length)
    hash.update(PATTERN.subarray(0, Math.min(left, PATTERN.length)))
  return hash.digest('hex')
}
