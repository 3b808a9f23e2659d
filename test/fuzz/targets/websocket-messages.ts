// Messages taken out of a WebSocket's bytes before the WebSocket sees them. Promises: what comes out does not depend on how the
// bytes were cut, no message is longer than allowed, and nothing is made up or passed on twice.
import { MessageReader } from '../../../src/protocol/websocket-messages.ts'
import { Draw } from '../draw.ts'
import { mixed } from '../mutate.ts'
import { chunksOf, promise, type Target } from '../target.ts'

const MOST_BYTES = 300
const FINAL_BINARY = 0x82
/** Text, the first of fragments, the next, a ping, a pong, the close. */
const OTHERS = [0x81, 0x02, 0x80, 0x89, 0x8a, 0x88] as const

type Event = { readonly kind: 'message' | 'other'; readonly hex: string }

export const websocketMessages: Target = {
  name: 'websocket-messages',
  generate: (draw) =>
    mixed(draw, (own) => {
      const isMasked = own.chance(50)
      const frames = Array.from({ length: 1 + own.below(6) }, () => frame(own, isMasked))
      return Buffer.concat([Buffer.from([isMasked ? 1 : 0]), ...frames])
    }),
  check(input) {
    const isMasked = ((input[0] ?? 0) & 1) === 1
    const bytes = input.subarray(1)
    const whole = read(isMasked, [bytes])
    const cut = read(isMasked, chunksOf(bytes, Draw.from(input)))
    promise(JSON.stringify(whole) === JSON.stringify(cut), 'what comes out depends on how the bytes were cut')
    const messages = whole.filter(({ kind }) => kind === 'message')
    for (const { hex } of messages) {
      promise(hex.length > 0 && hex.length <= 2 * MOST_BYTES, 'a message is empty or too long')
      if (!isMasked) promise(Buffer.from(bytes).toString('hex').includes(hex), 'a message is made up')
    }
    const out = whole.reduce((sum, { hex }) => sum + hex.length / 2, 0)
    promise(out <= bytes.length, 'more comes out than came')
    return messages.length > 1 ? 'messages' : whole.length > 0 ? 'some' : 'nothing'
  },
  deep: { words: ['messages'], share: 0.2 },
}

function frame(draw: Draw, isMasked: boolean): Buffer {
  const first = draw.chance(70) ? FINAL_BINARY : draw.pick(OTHERS)
  const payload = draw.bytes(draw.chance(80) ? 1 + draw.below(40) : draw.below(MOST_BYTES + 20))
  const mask = isMasked ? 0x80 : 0
  const isShort = payload.length < 126
  const head = isShort
    ? [first, payload.length | mask]
    : [first, 126 | mask, payload.length >> 8, payload.length & 0xff]
  return Buffer.concat([Buffer.from(head), isMasked ? draw.bytes(4) : Buffer.alloc(0), payload])
}

/** What comes out, with what is passed on in pieces put together. */
function read(isMasked: boolean, chunks: readonly Uint8Array[]): Event[] {
  const events: Event[] = []
  const say = (kind: Event['kind'], bytes: Uint8Array): void => {
    const hex = Buffer.from(bytes).toString('hex')
    const last = events.at(-1)
    if (kind === 'other' && last?.kind === 'other') events[events.length - 1] = { kind, hex: last.hex + hex }
    else events.push({ kind, hex })
  }
  const reader = new MessageReader({
    isMasked,
    mostBytes: MOST_BYTES,
    message: (payload) => say('message', payload),
    other: (bytes) => say('other', bytes),
  })
  // It unmasks where the bytes lie.
  for (const chunk of chunks) reader.push(Buffer.from(chunk))
  return events
}
