// Whole messages taken out of a WebSocket's bytes, against ws itself (RFC 6455 section 5): what is taken and what ws makes of the
// rest are together, in order, what ws makes of everything. Random frames, sound and unsound, in random pieces.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Writable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import * as ws from 'ws'
import { MessageReader } from '../../src/protocol/websocket-messages.ts'
import { openPage } from '../support/page.ts'
import { isMissing } from '../support/programs.ts'

/** Long enough for each form of a length; the longest form is left to ws. */
const MOST_BYTES = 66_000
const MOST_TAKEN_BYTES = 65_535
const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10] as const
const KEY = [0x12, 0xfe, 0x00, 0x9b]

/** Exported by ws, but not declared. */
const Receiver = Reflect.get(ws, 'Receiver') as new (options: object) => Writable

interface Parts {
  readonly opcode?: number
  readonly isFinal?: boolean
  /** RSV1 to RSV3, as three bits. */
  readonly reserved?: number
  readonly payload?: Uint8Array
  readonly isMasked?: boolean
  /** Bytes in which the length stands, where not the fewest. */
  readonly lengthBytes?: 0 | 2 | 8
  readonly key?: readonly number[]
}

/** Written out by hand, so as to know nothing of the code under test. */
function frame(parts: Parts): Buffer {
  const { opcode = BINARY, isFinal = true, reserved = 0, payload = Buffer.alloc(0), key = KEY } = parts
  const { isMasked = true } = parts
  const { length } = payload
  const fewest = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const lengthBytes = Math.max(fewest, parts.lengthBytes ?? 0)
  const short = lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127
  const extended = Buffer.alloc(lengthBytes)
  if (lengthBytes === 2) extended.writeUInt16BE(length)
  if (lengthBytes === 8) extended.writeBigUInt64BE(BigInt(length))
  return Buffer.concat([
    Buffer.from([(isFinal ? 0x80 : 0) | (reserved << 4) | opcode, (isMasked ? 0x80 : 0) | short]),
    extended,
    isMasked ? Buffer.from(key) : Buffer.alloc(0),
    isMasked ? Buffer.from(payload).map((byte, index) => byte ^ (key[index & 3] ?? 0)) : payload,
  ])
}

function bytesOf(length: number, seed = 1): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, index) => (index * 7 + seed * 31) % 251))
}

/** What ws tells of the bytes that it is given. */
class Told {
  readonly events: string[] = []
  readonly #receiver: Writable
  #isOver = false

  constructor(isServer: boolean, maxPayload: number) {
    this.#receiver = new Receiver({ isServer, maxPayload, maxFragments: 64 })
    this.#receiver.on('message', (data: Buffer, isBinary: boolean) => this.message(data, isBinary))
    for (const name of ['ping', 'pong'] as const)
      this.#receiver.on(name, (data: Buffer) => this.events.push(`${name} ${data.toString('hex')}`))
    // As ws does, which hears no more of the socket then.
    this.#receiver.on('conclude', (code: number, reason: Buffer) =>
      this.#end(`close ${code} ${reason.toString()}`),
    )
    this.#receiver.on('error', (error: NodeJS.ErrnoException) => this.#end(`error ${error.code}`))
  }

  message(data: Uint8Array, isBinary: boolean): void {
    const digest = createHash('sha1').update(data).digest('hex')
    this.events.push(`${isBinary ? 'binary' : 'text'} ${data.length} ${digest}`)
  }

  write(bytes: Uint8Array): void {
    if (!this.#isOver) this.#receiver.write(Buffer.from(bytes))
  }

  #end(event: string): void {
    this.events.push(event)
    this.#isOver = true
  }
}

interface Both {
  /** Of ws alone. */
  readonly alone: readonly string[]
  /** Of the reader, and of ws given the rest. */
  readonly together: readonly string[]
  readonly taken: number
  readonly passedOn: Buffer
}

/** `pieces` to ws alone, and to the reader before ws. */
async function both(
  pieces: readonly Buffer[],
  isMasked = true,
  inTurns = false,
  mostBytes = MOST_BYTES,
): Promise<Both> {
  const [alone, together] = [new Told(isMasked, mostBytes), new Told(isMasked, mostBytes)]
  const passedOn: Buffer[] = []
  let taken = 0
  const reader = new MessageReader({
    isMasked,
    mostBytes,
    message: (payload) => {
      taken += 1
      together.message(payload, true)
    },
    other: (bytes) => {
      passedOn.push(Buffer.from(bytes))
      together.write(bytes)
    },
  })
  for (const [index, piece] of pieces.entries()) {
    alone.write(piece)
    // Its own memory, which is used again: nothing may be kept.
    const memory = Buffer.from(piece)
    reader.push(memory)
    memory.fill(0xee)
    if (inTurns && index < 100) await setImmediate()
  }
  await setImmediate()
  return { alone: alone.events, together: together.events, taken, passedOn: Buffer.concat(passedOn) }
}

const MOST_PIECES = 4_000

/** `bytes` in pieces of these lengths, again and again; what is left in one. */
function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = []
  let at = 0
  while (at < bytes.length) {
    const length = lengths[pieces.length % lengths.length] ?? 1
    const end = pieces.length < MOST_PIECES ? at + length : bytes.length
    pieces.push(bytes.subarray(at, end))
    at = end
  }
  return pieces
}

const BROWSER_LENGTHS = [1, 125, 126, 65_535, 65_536]
const BROWSER_PAGE = `<!doctype html><link rel="icon" href="data:,"><script>
const socket = new WebSocket('ws://' + location.host)
socket.onopen = () => {
  for (const length of ${JSON.stringify(BROWSER_LENGTHS)}) socket.send(Uint8Array.from({ length }, (_, index) => index % 251))
}
</script>`

const LENGTHS = [0, 1, 2, 125, 126, 127, 1_000, 65_535, 65_536]
const anyPayload = fc
  .tuple(fc.oneof({ weight: 5, arbitrary: fc.nat(300) }, fc.constantFrom(...LENGTHS)), fc.nat(1_000))
  .map(([length, seed]) => bytesOf(length, seed))
const short = fc.tuple(fc.nat(125), fc.nat(1_000)).map(([length, seed]) => bytesOf(length, seed))
const key = fc.array(fc.nat(255), { minLength: 4, maxLength: 4 })

const whole = fc.record({ payload: anyPayload, key }).map((parts): Parts[] => [parts])
const control = fc.record({ opcode: fc.constantFrom(PING, PONG), payload: short, key })
const fragments = fc
  .record({
    opcode: fc.constantFrom(BINARY, BINARY, TEXT),
    payloads: fc.array(anyPayload, { minLength: 2, maxLength: 4 }),
    between: fc.array(control, { maxLength: 2 }),
  })
  .map(({ opcode, payloads, between }) =>
    payloads.flatMap((piece, index): Parts[] => [
      {
        opcode: index === 0 ? opcode : CONTINUATION,
        isFinal: index === payloads.length - 1,
        payload: opcode === TEXT ? Buffer.alloc(piece.length, 'ab') : piece,
      },
      ...(index < payloads.length - 1 ? between : []),
    ]),
  )
const text = fc.string({ maxLength: 200 }).map((of): Parts[] => [{ opcode: TEXT, payload: Buffer.from(of) }])
const notShortest = fc
  .record({ payload: short, lengthBytes: fc.constantFrom(2 as const, 8 as const) })
  .map((parts): Parts[] => [parts])
const close = fc
  .constantFrom(Buffer.alloc(0), Buffer.from([0x03, 0xe8]), Buffer.from([0x03, 0xea, 0x6f, 0x6b]))
  .map((payload): Parts[] => [{ opcode: CLOSE, payload }])
/** Most of these are refused. */
const unsound = fc
  .record({
    opcode: fc.nat(15),
    isFinal: fc.boolean(),
    reserved: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(7)),
    isMasked: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.constant(false)),
    payload: fc.oneof(
      fc.constantFrom(0, 1, 2, 125, 126, MOST_BYTES, MOST_BYTES + 1).map((length) => bytesOf(length)),
      fc.uint8Array({ maxLength: 130 }),
    ),
  })
  .map((parts): Parts[] => [parts])

const sequence = fc
  .array(
    fc.oneof(
      { weight: 8, arbitrary: whole },
      { weight: 2, arbitrary: control.map((one) => [one]) },
      { weight: 1, arbitrary: fragments },
      { weight: 1, arbitrary: text },
      { weight: 1, arbitrary: notShortest },
      { weight: 1, arbitrary: close },
      { weight: 1, arbitrary: unsound },
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map((parts): Parts[] => parts.flat())
const anyLengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 100_000 })), {
  minLength: 1,
  maxLength: 5,
})

describe('whole messages taken before ws, and the rest left to it', () => {
  it.each([
    ['of a client, masked', true],
    ['of a server, not masked', false],
  ])(
    'are in order what ws alone makes of everything: %s',
    async (_name, isMasked) => {
      const word = (event: string): string => event.split(' ')[0] ?? ''
      const seen = new Set<string>()
      let taken = 0
      await fc.assert(
        fc.asyncProperty(sequence, anyLengths, fc.boolean(), async (parts, cuts, inTurns) => {
          const frames = parts.map((one) => frame({ ...one, isMasked: (one.isMasked ?? true) === isMasked }))
          const result = await both(cut(Buffer.concat(frames), cuts), isMasked, inTurns)
          expect(result.together).toEqual(result.alone)
          taken += result.taken
          for (const event of result.alone) seen.add(word(event))
        }),
        { numRuns: 400 },
      )
      // That it was about something.
      expect([...seen].toSorted()).toEqual(['binary', 'close', 'error', 'ping', 'pong', 'text'])
      expect(taken).toBeGreaterThan(300)
    },
    60_000,
  )

  it('one byte at a time too', async () => {
    const frames = [
      ...LENGTHS.filter((length) => length < 2_000).map((length) => frame({ payload: bytesOf(length) })),
      frame({ opcode: PING, payload: bytesOf(125) }),
      frame({ payload: bytesOf(300), lengthBytes: 8 }),
      frame({ isFinal: false, payload: bytesOf(10) }),
      frame({ opcode: PONG }),
      frame({ opcode: CONTINUATION, payload: bytesOf(10) }),
      frame({ payload: bytesOf(3) }),
      frame({ opcode: CLOSE, payload: Buffer.from([0x03, 0xe8]) }),
    ]
    const { alone, together } = await both(cut(Buffer.concat(frames), [1]))
    expect(together).toEqual(alone)
    expect(alone.length).toBe(13)
  })

  it('are all taken where peers send nothing else but pings and pongs', async () => {
    const sizes = LENGTHS.filter((length) => length > 0 && length <= MOST_TAKEN_BYTES)
    const frames = sizes.flatMap((length) => [
      frame({ payload: bytesOf(length) }),
      frame({ opcode: PING, payload: bytesOf(4) }),
      frame({ opcode: PONG }),
    ])
    for (const lengths of [[1_000_000], [7], [60, 4_096]]) {
      const { taken, passedOn } = await both(cut(Buffer.concat(frames), lengths))
      expect(taken).toBe(sizes.length)
      const rest = frames.filter((_, index) => index % 3 > 0)
      expect(passedOn.equals(Buffer.concat(rest))).toBe(true)
    }
  })
})

describe('a message', () => {
  it('of no bytes is told of when its header has come, not with what comes next', async () => {
    const { alone, together } = await both(cut(frame({}), [1]))
    expect(alone.length).toBe(1)
    expect(together).toEqual(alone)
  })

  it('is unmasked wherever it lies in memory, whatever its key', () => {
    for (let offset = 0; offset < 9; offset += 1) {
      for (let length = 1; length < 40; length += 1) {
        const of = frame({ payload: bytesOf(length), key: [1 + offset, length, 0xff, 0x80] })
        const memory = new Uint8Array(offset + of.length + 5).fill(0x55)
        memory.set(of, offset)
        const messages: Buffer[] = []
        const reader = new MessageReader({
          isMasked: true,
          mostBytes: MOST_BYTES,
          message: (bytes) => messages.push(Buffer.from(bytes)),
          other: () => expect.unreachable(),
        })
        reader.push(memory.subarray(offset, offset + of.length))
        expect(Buffer.concat(messages).equals(bytesOf(length))).toBe(true)
        // Nothing around it was touched.
        expect([...memory.subarray(0, offset), ...memory.subarray(-5)]).toEqual(Array(offset + 5).fill(0x55))
      }
    }
  })

  it('of the most bytes is taken, and longer ones are left, however long they say they are', async () => {
    for (const [length, taken] of [
      [1_000, 1],
      [1_001, 0],
    ] as const) {
      const most = await both([frame({ payload: bytesOf(length) })], true, false, 1_000)
      expect([most.taken, most.alone.length]).toEqual([taken, 1])
    }
    const header = frame({ payload: bytesOf(1), lengthBytes: 8 }).subarray(0, 14)
    for (const bytes of [BigInt(MOST_BYTES) + 1n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
      header.writeBigUInt64BE(bytes, 2)
      const more = await both([header, bytesOf(100), frame({ payload: bytesOf(5) })])
      expect(more.taken).toBe(0)
      expect(more.together).toEqual(more.alone)
      expect(more.alone.join()).toMatch(/^error WS_ERR_UNSUPPORTED_/)
    }
  })

  it('behind a close frame is none, and nothing of it is passed on', async () => {
    const closing = frame({ opcode: CLOSE, payload: Buffer.from([0x03, 0xe8]) })
    const after = [frame({ payload: bytesOf(5) }), frame({ opcode: PING }), bytesOf(30)]
    for (const pieces of [
      [Buffer.concat([closing, ...after])],
      cut(Buffer.concat([closing, ...after]), [1]),
    ]) {
      const { taken, passedOn, together } = await both(pieces)
      expect([taken, together]).toEqual([0, ['close 1000 ']])
      expect(passedOn.equals(closing)).toBe(true)
    }
  })

  it.each([
    ['text that is not UTF-8', { opcode: TEXT, payload: Buffer.from([0xff]) }],
    ['a reserved bit', { reserved: 4, payload: bytesOf(3) }],
    ['no mask', { isMasked: false, payload: bytesOf(3) }],
    ['an opcode that there is not', { opcode: 3, payload: bytesOf(3) }],
    ['a long ping', { opcode: PING, payload: bytesOf(126) }],
    ['a ping in pieces', { opcode: PING, isFinal: false }],
    ['a continuation of nothing', { opcode: CONTINUATION, payload: bytesOf(3) }],
    ['too many bytes', { payload: bytesOf(MOST_BYTES + 1) }],
  ])('behind what ws refuses is none: %s', async (_name, parts) => {
    const pieces = [Buffer.concat([frame(parts), frame({ payload: bytesOf(5) })])]
    const { alone, together, taken } = await both(pieces)
    expect(alone.join()).toMatch(/^error /)
    expect([together, taken]).toEqual([alone, 0])
  })
})

describe.skipIf(isMissing('chromium'))('the WebSocket of a browser (needs chromium)', () => {
  it('is heard like that of any other peer', async () => {
    const heard: string[] = []
    let taken = 0
    const done = Promise.withResolvers<void>()
    const hear = (payload: Uint8Array): void => {
      heard.push(`${payload.length} ${createHash('sha1').update(payload).digest('hex')}`)
      if (heard.length === BROWSER_LENGTHS.length) done.resolve()
    }
    const webSockets = new ws.WebSocketServer({ noServer: true, perMessageDeflate: false })
    const server = http.createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end(BROWSER_PAGE)
    })
    server.on('upgrade', (request, socket, head) => {
      webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        webSocket.on('message', hear)
        const [toWebSocket] = socket.listeners('data')
        const reader = new MessageReader({
          isMasked: true,
          mostBytes: MOST_BYTES,
          message: (payload) => {
            taken += 1
            hear(payload)
          },
          other: (bytes) => void Reflect.apply(toWebSocket as () => void, socket, [Buffer.from(bytes)]),
        })
        socket.off('data', toWebSocket as () => void)
        socket.on('data', (bytes: Buffer) => reader.push(bytes))
      })
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const { port } = server.address() as AddressInfo
    await using open = await openPage({ url: `http://127.0.0.1:${port}/`, width: 400 })
    await done.promise
    const sent = BROWSER_LENGTHS.map((length) => {
      const bytes = Uint8Array.from({ length }, (_, index) => index % 251)
      return `${length} ${createHash('sha1').update(bytes).digest('hex')}`
    })
    expect(heard).toEqual(sent)
    expect(taken).toBeGreaterThanOrEqual(4)
    expect(open.complaints).toEqual([])
  }, 60_000)
})
