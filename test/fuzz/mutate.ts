// Turns valid input into almost valid input, which is what reaches the deep states of a decoder: bytes changed, cut,
// doubled and put in. Rule: pure garbage, valid input and mutated input are mixed in fixed shares.
import type { Draw } from './draw.ts'

/** Bytes at which length fields, versions and types change their meaning. */
const NOTABLE = [0, 1, 2, 3, 4, 5, 0x0a, 0x0d, 0x20, 0x22, 0x2f, 0x3a, 0x7f, 0x80, 0xfe, 0xff]

/** A sixth garbage, a third valid, half mutated. */
export function mixed(draw: Draw, valid: (draw: Draw) => Uint8Array): Uint8Array {
  const share = draw.below(6)
  if (share === 0) return garbage(draw)
  return share < 3 ? valid(draw) : mutate(draw, valid(draw))
}

/** `mixed` for text; what is no UTF-8 arrives as decoders of files see it. */
export function mixedText(draw: Draw, valid: (draw: Draw) => string): Uint8Array {
  return mixed(draw, (own) => Buffer.from(valid(own)))
}

function garbage(draw: Draw): Buffer {
  return draw.bytes(draw.chance(2) ? draw.below(4_000) : draw.below(48))
}

/** One to four changes. */
export function mutate(draw: Draw, input: Uint8Array): Buffer {
  let bytes = Buffer.from(input)
  for (let left = 1 + draw.below(draw.chance(50) ? 1 : 4); left > 0; left -= 1) bytes = change(draw, bytes)
  return bytes
}

function change(draw: Draw, bytes: Buffer): Buffer<ArrayBuffer> {
  const at = draw.below(bytes.length + 1)
  const end = Math.min(bytes.length, at + 1 + draw.below(8))
  const around = (middle: Uint8Array, rest: number): Buffer<ArrayBuffer> =>
    Buffer.concat([bytes.subarray(0, at), middle, bytes.subarray(rest)])
  switch (draw.below(7)) {
    case 0:
      return around(draw.bytes(1), Math.min(bytes.length, at + 1))
    case 1:
      return around(Buffer.from([draw.pick(NOTABLE)]), Math.min(bytes.length, at + 1))
    case 2:
      return around(Buffer.from([(bytes[at] ?? 0) ^ (1 << draw.below(8))]), Math.min(bytes.length, at + 1))
    case 3:
      return around(Buffer.alloc(0), end)
    case 4:
      return around(bytes.subarray(at, end), at)
    case 5:
      return around(draw.chance(50) ? draw.bytes(1 + draw.below(4)) : Buffer.from([draw.pick(NOTABLE)]), at)
    default:
      return around(Buffer.alloc(0), bytes.length)
  }
}
