// The mask of WebSocket messages from clients (RFC 6455 section 5.3): each byte XORed with one of four in turn. It hides
// nothing; it keeps what looks like HTTP from caches on the way. Rule: many bytes at a time, since every byte that is sent
// through a tunnel passes here; and never in memory that may be resized, in which V8 is ten times slower.

const WORD_BYTES = 4
const WORDS_AT_ONCE = 4

/** The key from the first whole word on. */
const KEY_BYTES = new Uint8Array(WORD_BYTES)
const KEY_WORD = new Int32Array(KEY_BYTES.buffer)

/** XORs `bytes` from `start` to `end` with the four bytes of `key`, the first at `start`. */
export function xor(bytes: Uint8Array, start: number, end: number, key: Uint8Array): void {
  let at = start
  const byteAt = (index: number): void => {
    bytes[index] = (bytes[index] ?? 0) ^ (key[(index - start) % WORD_BYTES] ?? 0)
  }
  while (at < end && (bytes.byteOffset + at) % WORD_BYTES !== 0) {
    byteAt(at)
    at += 1
  }
  if (at === end) return
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (end - at) >> 2)
  for (let index = 0; index < WORD_BYTES; index += 1)
    KEY_BYTES[index] = key[(at - start + index) % WORD_BYTES] ?? 0
  const [word = 0] = KEY_WORD
  let index = 0
  for (; index + WORDS_AT_ONCE <= words.length; index += WORDS_AT_ONCE) {
    words[index]! ^= word
    words[index + 1]! ^= word
    words[index + 2]! ^= word
    words[index + 3]! ^= word
  }
  for (; index < words.length; index += 1) words[index]! ^= word
  for (at += words.length * WORD_BYTES; at < end; at += 1) byteAt(at)
}
