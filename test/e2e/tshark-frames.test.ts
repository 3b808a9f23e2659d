// The Wireshark dissector of the mux (docs/wireshark) against our own codec: any message, good or bent, is read alike by
// both, or refused by both. On a WebSocket in clear, made here; test/e2e/tshark.test.ts has the real tunnel.
import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ERROR_ANSWERS } from '../../src/errors.ts'
import { Recorder } from '../../src/lab/capture.ts'
import { decodeDatagram, encodeDatagram } from '../../src/protocol/mux/datagram.ts'
import {
  decodeFrame,
  encodeFrame,
  FRAME_TYPES,
  SUBPROTOCOL,
  type Frame,
  type StreamKind,
} from '../../src/protocol/mux/frame.ts'
import { bytesOf, DATAGRAMS, MALFORMED_DATAGRAMS } from '../protocol/mux/vectors.ts'
import { writeCapture } from '../support/pcapng.ts'
import { isMissing } from '../support/programs.ts'
import { tempDir, type TempDir } from '../support/temp-dir.ts'
import { DISSECTOR, tsharkFields } from '../support/tshark.ts'

const NO_TSHARK = isMissing('tshark')

/** A WebSocket of our subprotocol in clear, whose messages are exactly these, one in each segment. */
function inClear(messages: readonly Uint8Array[]): Recorder {
  const recorder = new Recorder()
  const client = { address: '127.0.0.2', port: 40_000 }
  const { record } = recorder.connection(client, { address: '127.0.0.1', port: CLEAR_PORT })
  const upgrade = 'Upgrade: websocket\r\nConnection: Upgrade\r\n'
  const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
  const chosen = `Sec-WebSocket-Protocol: ${SUBPROTOCOL}\r\n\r\n`
  record('up', Buffer.from(`GET /tunnel HTTP/1.1\r\nHost: gateway\r\n${upgrade}${key}${chosen}`))
  const accept = 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n'
  record('down', Buffer.from(`HTTP/1.1 101 Switching Protocols\r\n${upgrade}${accept}${chosen}`))
  for (const message of messages) {
    const { length } = message
    const head = Buffer.alloc(length > 0xffff ? 10 : length > 125 ? 4 : 2)
    head[0] = 0x82
    head[1] = length > 0xffff ? 127 : length > 125 ? 126 : length
    if (head.length === 4) head.writeUInt16BE(length, 2)
    if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2)
    record('down', Buffer.concat([head, message]))
  }
  return recorder
}

const CLEAR_PORT = 8_080
const READ_FIELDS = [
  'sightline.type',
  'sightline.stream',
  'sightline.open.kind',
  'sightline.open.host',
  'sightline.open.port',
  'sightline.opened.host',
  'sightline.opened.port',
  'sightline.error',
  'sightline.refused.reference',
  'sightline.data.payload',
  'sightline.credit.offset',
  'sightline.malformed',
  'sightline.unknown_type',
  'sightline.too_large',
] as const
type Reading = Record<(typeof READ_FIELDS)[number], string[]>

async function readInClear(directory: TempDir, messages: readonly Uint8Array[]): Promise<Reading[]> {
  const file = directory.file('clear.pcapng')
  await writeCapture(file, inClear(messages).take())
  return tsharkFields(file, 'sightline', READ_FIELDS, { port: CLEAR_PORT, speaks: 'http' })
}

/** What our codec reads in a message, in the dissector's words; undefined where it refuses. */
function ourReading(
  message: Uint8Array,
  kinds = new Map<number, StreamKind>(),
): Partial<Record<keyof Reading, string>> | undefined {
  let frame: Frame
  try {
    frame = decodeFrame(message)
    if (frame.type === 'open') kinds.set(frame.stream, frame.kind)
    // Chance may give an earlier OPEN of datagrams the same number.
    if (frame.type === 'data' && kinds.get(frame.stream) === 'udp') decodeDatagram(frame.payload)
  } catch {
    return undefined
  }
  const read = {
    'sightline.type': `0x0${FRAME_TYPES[frame.type]}`,
    'sightline.stream': String(frame.stream),
  }
  switch (frame.type) {
    case 'open': {
      const { host, port } = frame.destination
      const kind = frame.kind === 'tcp' ? '1' : '2'
      return {
        ...read,
        'sightline.open.kind': kind,
        'sightline.open.host': oneForm(host),
        'sightline.open.port': String(port),
      }
    }
    case 'opened':
      return {
        ...read,
        'sightline.opened.host': oneForm(frame.bound.address),
        'sightline.opened.port': String(frame.bound.port),
      }
    case 'refused': {
      const error = { ...read, 'sightline.error': String(frame.error) }
      return frame.reference === '' ? error : { ...error, 'sightline.refused.reference': frame.reference }
    }
    case 'data':
      return { ...read, 'sightline.data.payload': Buffer.from(frame.payload).toString('hex') }
    case 'credit':
      return { ...read, 'sightline.credit.offset': String(frame.offset) }
    case 'fin':
      return read
    case 'reset':
    case 'goaway':
      return { ...read, 'sightline.error': String(frame.error) }
  }
}

/** What the dissector read, without the fields that are not there; undefined where it says that it is no frame. */
function itsReading(row: Reading | undefined): Partial<Record<keyof Reading, string>> | undefined {
  if (row === undefined) return {}
  const problems = ['sightline.malformed', 'sightline.unknown_type', 'sightline.too_large'] as const
  if (problems.some((problem) => row[problem].length > 0)) return undefined
  const present = READ_FIELDS.filter((field) => row[field].length > 0)
  return Object.fromEntries(present.map((field) => [field, oneForm(row[field].join())]))
}

/** IPv6 text has more than one form; ours and Wireshark's differ for IPv4 inside it. */
function oneForm(text: string): string {
  return text.includes(':') ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text
}

const host = fc.oneof(
  fc.constantFrom('site.example', 'a', 'x'.repeat(255), '2001:db8::1', '::1', '1:2:3:4:5:6:7:8', '192.0.2.7'),
  fc.ipV4(),
)
const port = fc.integer({ min: 0, max: 65_535 })
const id = fc.integer({ min: 0, max: 0xffff_ffff })
const number = fc.constantFrom(1, 9, 23, 58, 255, 300, 65_535)
const goodFrame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({
    type: fc.constant('open' as const),
    stream: id,
    kind: fc.constantFrom('tcp', 'udp'),
    destination: fc.record({ host, port }),
  }),
  fc.record({
    type: fc.constant('opened' as const),
    stream: id,
    bound: fc.record({ address: host, port }),
  }),
  fc.record({
    type: fc.constant('refused' as const),
    stream: id,
    error: number,
    reference: fc.constantFrom('', 'a1b2-c3', 'f'.repeat(32)),
  }),
  fc.record({
    type: fc.constant('data' as const),
    stream: id,
    payload: fc.uint8Array({ minLength: 1, maxLength: 200 }),
  }),
  fc.record({ type: fc.constant('credit' as const), stream: id, offset: fc.maxSafeNat() }),
  fc.record({ type: fc.constant('fin' as const), stream: id }),
  fc.record({ type: fc.constantFrom('reset', 'goaway'), stream: id, error: number }),
)

/** A frame with a byte changed, some cut off, or some more: most are refused, some still read. */
const bentFrame = fc
  .tuple(goodFrame, fc.nat(12), fc.integer({ min: 0, max: 255 }), fc.constantFrom('set', 'cut', 'add'))
  .map(([frame, at, value, how]) => {
    const bytes = encodeFrame(frame)
    if (how === 'add') return Buffer.concat([bytes, Buffer.alloc(1 + (value % 40), value)])
    if (how === 'cut') return bytes.subarray(0, Math.max(1, bytes.length - 1 - at))
    bytes[Math.min(at, bytes.length - 1)] = value
    return bytes
  })

describe('the dissector', () => {
  it('names every error number, and no other', async () => {
    const source = await readFile(DISSECTOR, 'utf8')
    const table = /local ERRORS = \{([^}]*)\}/.exec(source)?.[1] ?? ''
    const named = [...table.matchAll(/\[(\d+)\] = "([^"]+)"/g)].map(([, key, code]) => [code, Number(key)])
    const ours = Object.entries(ERROR_ANSWERS).map(([code, { mux }]) => [code, mux])
    expect(Object.fromEntries(named)).toEqual(Object.fromEntries(ours))
  })

  it.skipIf(NO_TSHARK)('reads what our codec reads, and refuses what it refuses (needs tshark)', async () => {
    await using directory = await tempDir()
    const whole = fc.sample(goodFrame, 200).map((frame) => encodeFrame(frame))
    const bent = fc.sample(bentFrame, 400)
    const header = Buffer.from([FRAME_TYPES.data, 0, 0, 0, 1])
    const edges = [
      Buffer.concat([header, Buffer.alloc(64 * 1024, 1)]),
      Buffer.concat([header, Buffer.alloc(64 * 1024 + 1, 1)]),
      Buffer.from('0500000001001fffffffffffff', 'hex'),
      Buffer.from('05000000010020000000000000', 'hex'),
      Buffer.from('0500000001ffffffffffffffff', 'hex'),
      Buffer.from('000000000100', 'hex'),
      Buffer.from('0a0000000100', 'hex'),
      Buffer.from('01000000010102036162630050', 'hex'),
      Buffer.from('0100000001010300005000', 'hex'),
      Buffer.from('01000000010103000050', 'hex'),
      Buffer.from('0100000001010304617c62200050', 'hex'),
      // Characters next to those that a name, and a reference, may have.
      ...[0x20, 0x21, 0x7e, 0x7f, 0xff].map((at) => Buffer.from([1, 0, 0, 0, 1, 1, 3, 1, at, 0, 80])),
      ...[...'a9-A_.`{ /:'].map((at) =>
        Buffer.concat([Buffer.from('03000000010009', 'hex'), Buffer.from(at)]),
      ),
    ]
    const messages = [...whole, ...bent, ...edges]
    const rows = await readInClear(directory, messages)
    expect(rows.length).toBe(messages.length)
    const refused = messages.filter((message) => ourReading(message) === undefined).length
    expect(refused).toBeGreaterThan(100)
    const kinds = new Map<number, StreamKind>()
    for (const [index, message] of messages.entries()) {
      const described = `message ${index}: ${Buffer.from(message.subarray(0, 40)).toString('hex')}`
      expect(itsReading(rows[index]), described).toEqual(ourReading(message, kinds))
    }
  })

  it.skipIf(NO_TSHARK)('reads datagrams as our codec does, or refuses them (needs tshark)', async () => {
    await using directory = await tempDir()
    const nowhere = { host: '0.0.0.0', port: 0 }
    const open = encodeFrame({ type: 'open', stream: 1, kind: 'udp', destination: nowhere })
    const good = fc.sample(fc.tuple(host, port, fc.uint8Array({ maxLength: 50 })), 60)
    const whole = good.map(([name, at, bytes]) => encodeDatagram({ host: name, port: at }, bytes))
    const vectors = [...DATAGRAMS.map(({ hex }) => hex), ...MALFORMED_DATAGRAMS.map(([, hex]) => hex)]
    const cut = whole.map((bytes, index) => bytes.subarray(0, 1 + (index % 12)))
    const datagrams = [...whole, ...cut, ...vectors.map(bytesOf)]
    const frames = datagrams.map((payload) => encodeFrame({ type: 'data', stream: 1, payload }))
    const file = directory.file('datagrams.pcapng')
    await writeCapture(file, inClear([open, ...frames]).take())
    const part = (name: string): string => `sightline.datagram.${name}`
    const fields = ['sightline.malformed', part('host'), part('port'), part('payload')]
    const rows = await tsharkFields(file, 'sightline.type == 4', fields, {
      port: CLEAR_PORT,
      speaks: 'http',
    })
    const theirs = rows.map((row) =>
      (row['sightline.malformed']?.length ?? 0) > 0
        ? 'refused'
        : [oneForm(row[part('host')]?.join() ?? ''), row[part('port')]?.join(), row[part('payload')]?.join()],
    )
    const ours = datagrams.map((bytes) => {
      try {
        const { peer, payload } = decodeDatagram(bytes)
        return [oneForm(peer.host), String(peer.port), Buffer.from(payload).toString('hex')]
      } catch {
        return 'refused'
      }
    })
    expect(theirs).toEqual(ours)
    expect(ours.filter((reading) => reading === 'refused').length).toBeGreaterThan(20)
  })

  it.skipIf(NO_TSHARK)('says so where a sender goes past its credit (needs tshark)', async () => {
    await using directory = await tempDir()
    const destination = { host: 'site.example', port: 443 }
    const data = (bytes: number): Buffer =>
      encodeFrame({ type: 'data', stream: 1, payload: Buffer.alloc(bytes, 1) })
    const open = encodeFrame({ type: 'open', stream: 1, kind: 'tcp', destination })
    const file = directory.file('credit.pcapng')
    await writeCapture(file, inClear([open, data(60_000), data(5_536), data(1)]).take())
    const nowhere = { host: '0.0.0.0', port: 0 }
    const datagram = (bytes: number): Buffer => {
      const payload = encodeDatagram({ host: '192.0.2.7', port: 9 }, Buffer.alloc(bytes - 7))
      return encodeFrame({ type: 'data', stream: 3, payload })
    }
    const udp = encodeFrame({ type: 'open', stream: 3, kind: 'udp', destination: nowhere })
    const datagrams = directory.file('datagrams.pcapng')
    await writeCapture(datagrams, inClear([udp, datagram(65_536), datagram(65_536), datagram(7)]).take())
    for (const [capture, offsets] of [
      [file, ['0', '60000', '65536']],
      [datagrams, ['0', '65536', '131072']],
    ] as const) {
      const fields = ['sightline.data.offset', 'sightline.credit_exceeded'] as const
      const reach = { port: CLEAR_PORT, speaks: 'http' } as const
      const rows = await tsharkFields(capture, 'sightline.data.payload', fields, reach)
      expect(rows.map((row) => row['sightline.data.offset'].join())).toEqual(offsets)
      expect(rows.map((row) => row['sightline.credit_exceeded'].length)).toEqual([0, 0, 1])
    }
  })
})
