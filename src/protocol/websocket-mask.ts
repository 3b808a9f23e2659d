// The mask of WebSocket messages from clients (RFC 6455 section 5.3): each byte XORed with one of four in turn. It hides
// nothing; it keeps what looks like HTTP from caches on the way. Rule: many bytes at a time, since every byte that is sent
// through a tunnel passes here; and never in memory that may be resized, in which V8 is ten times slower.

const KEY_BYTES = 4
const WORD_BYTES = 8
const WORD_BITS = 64

/** The key, turned and twice, as one word in the machine's own order. */
const wordBytes = new Uint8Array(WORD_BYTES)
const wordOfBytes = new BigUint64Array(wordBytes.buffer)

/** XORs `bytes` from `start` to `end` with the four bytes of `key`, the first at `start`. */
export function xor(bytes: Uint8Array, start: number, end: number, key: Uint8Array): void {
  const toWord = -(bytes.byteOffset + start) & (WORD_BYTES - 1)
  const wordsStart = Math.min(end, start + toWord)
  const count = Math.floor((end - wordsStart) / WORD_BYTES)
  const wordsEnd = wordsStart + count * WORD_BYTES
  xorBytes(bytes, start, wordsStart, key, start)
  if (count > 0) {
    for (let index = 0; index < WORD_BYTES; index += 1)
      wordBytes[index] = key[(toWord + index) % KEY_BYTES] ?? 0
    xorWords(new BigUint64Array(bytes.buffer, bytes.byteOffset + wordsStart, count), wordOfBytes[0] ?? 0n)
  }
  xorBytes(bytes, wordsEnd, end, key, start)
}

function xorBytes(bytes: Uint8Array, from: number, end: number, key: Uint8Array, start: number): void {
  for (let at = from; at < end; at += 1) bytes[at] = (bytes[at] ?? 0) ^ (key[(at - start) % KEY_BYTES] ?? 0)
}

function xorWords(words: BigUint64Array, word: bigint): void {
  // V8 keeps to machine words where it is told that nothing is longer.
  for (let index = 0; index < words.length; index += 1)
    words[index] = BigInt.asUintN(WORD_BITS, (words[index] ?? 0n) ^ word)
}
