// The layers of a tunnel: what its messages say of their own (addresses, credit, ends), and each stream that they carry;
// of a stream of datagrams, each datagram with its address (docs/protocol.md, sections 3 and 4).
import { decodeDatagram } from '../protocol/mux/datagram.ts'
import { decodeFrame, HEADER_BYTES, type Frame } from '../protocol/mux/frame.ts'
import type { Direction } from './capture.ts'
import type { Field, Span } from './dissect/field.ts'
import type { WebSocketMessage } from './dissect/websocket.ts'
import { attempt, through, type Layer, type Pair } from './layer.ts'
import { datagramLayers } from './layers-datagram.ts'

const KIND_BYTES = 1
const PORT_BYTES = 2
const NAME = 3

interface Stream {
  readonly isDatagrams: boolean
  readonly up: Gathered
  readonly down: Gathered
}

/** The layers of the mux itself and of datagrams, and the streams that go on inwards. */
export function muxLayers(
  pair: Pair,
  up: readonly WebSocketMessage[],
  down: readonly WebSocketMessage[],
): { readonly layers: readonly Layer[]; readonly streams: Pair[] } {
  const layers: Layer[] = []
  const streams = new Map<number, Stream>()
  for (const [direction, messages] of [
    ['up', up],
    ['down', down],
  ] as const) {
    const control = new Gathered()
    const fields: Field[] = []
    for (const message of messages) {
      const frame = message.kind === 'binary' ? attempt(() => decodeFrame(message.payload)) : undefined
      if (frame === undefined) continue
      if (frame.type === 'data') {
        const stream = streams.get(frame.stream) ?? newStream('tcp')
        streams.set(frame.stream, stream)
        const data = new Gathered()
        data.add(frame.payload, message.spans, HEADER_BYTES)
        if (stream.isDatagrams) layers.push(...muxDatagram(pair, frame.stream, direction, data))
        else stream[direction].add(frame.payload, message.spans, HEADER_BYTES)
      } else {
        if (frame.type === 'open') streams.set(frame.stream, newStream(frame.kind))
        fields.push(...addressFields(frame, message.payload, control.length))
        control.add(message.payload, message.spans, 0)
      }
    }
    const place = through(control.spans, pair[direction].place)
    layers.push({ path: `${pair.path} > mux`, direction, bytes: control.bytes(), place, fields })
  }
  const carried = [...streams].filter(([, { isDatagrams }]) => !isDatagrams)
  return {
    layers,
    streams: carried.map(([id, stream]) => ({
      path: `${pair.path} > mux stream ${id}`,
      up: { bytes: stream.up.bytes(), place: through(stream.up.spans, pair.up.place) },
      down: { bytes: stream.down.bytes(), place: through(stream.down.spans, pair.down.place) },
    })),
  }
}

function newStream(kind: 'tcp' | 'udp'): Stream {
  return { isDatagrams: kind === 'udp', up: new Gathered(), down: new Gathered() }
}

function muxDatagram(pair: Pair, id: number, direction: Direction, data: Gathered): Layer[] {
  const bytes = data.bytes()
  const datagram = attempt(() => decodeDatagram(bytes))
  if (datagram === undefined) return []
  const path = `${pair.path} > mux stream ${id}`
  const place = through(data.spans, pair[direction].place)
  const payloadAt = bytes.length - datagram.payload.length
  const start = bytes[0] === NAME ? 2 : 1
  const address = {
    name: 'mux.datagram.host',
    value: datagram.peer.host,
    offset: start,
    length: payloadAt - PORT_BYTES - start,
  }
  return [
    { path, direction, bytes, place, fields: [address] },
    ...datagramLayers({
      path: `${path} > datagram`,
      direction,
      bytes: datagram.payload,
      place: (at, length) => place(at + payloadAt, length),
    }),
  ]
}

/** Pieces of bytes in order, with the places that they came from. */
class Gathered {
  readonly spans: Span[] = []
  length = 0
  #pieces: Uint8Array[] = []

  /** Adds a piece that begins `skip` bytes into what `spans` describe. */
  add(piece: Uint8Array, spans: readonly Span[], skip: number): void {
    for (const span of spans) {
      const start = Math.max(span.at, skip)
      const end = Math.min(span.at + span.length, skip + piece.length)
      if (start >= end) continue
      this.spans.push({
        at: this.length + start - skip,
        offset: span.offset + start - span.at,
        length: end - start,
      })
    }
    this.#pieces.push(piece)
    this.length += piece.length
  }

  bytes(): Buffer {
    return Buffer.concat(this.#pieces)
  }
}

/** The address in a frame that stands at `at`: behind its type, and a name's length; its port is behind it. */
function addressFields(frame: Frame, message: Uint8Array, at: number): Field[] {
  if (frame.type !== 'open' && frame.type !== 'opened') return []
  const type = HEADER_BYTES + (frame.type === 'open' ? KIND_BYTES : 0)
  const start = type + (message[type] === NAME ? 2 : 1)
  const place = { offset: at + start, length: message.length - PORT_BYTES - start }
  return frame.type === 'open'
    ? [{ name: 'mux.open.host', value: frame.destination.host, ...place }]
    : [{ name: 'mux.opened.host', value: frame.bound.address, ...place }]
}
