// Peels a captured connection: CONNECT and SOCKS handshakes, TLS where its keys are at hand, WebSocket and the mux
// inside, and so on inwards. Rules: every layer can lead a byte back to the captured stream; what needs keys is
// peeled with the keys given and no others, so that who holds which keys decides who can read what.
import { GatewayError } from '../errors.ts'
import { decodeFrame, HEADER_BYTES, type Frame } from '../protocol/mux/frame.ts'
import type { Direction } from './capture.ts'
import { decryptTls13 } from './decrypt/tls13.ts'
import { dissectClientHello } from './dissect/client-hello.ts'
import { dissectConnect } from './dissect/connect.ts'
import { locate, type Field, type Span } from './dissect/field.ts'
import { dissectHttpRequest, dissectHttpResponse } from './dissect/http-head.ts'
import { dissectSocks } from './dissect/socks.ts'
import { dissectWebSocket } from './dissect/websocket.ts'

/** Leads bytes of a layer back to the captured stream of its direction; undefined where they have no place of their own. */
type Place = (at: number, length: number) => { readonly offset: number; readonly length: number } | undefined

export interface Layer {
  /** From the outside in: `tcp`, `tcp > tls > websocket > stream 1`. */
  readonly path: string
  readonly direction: Direction
  readonly bytes: Uint8Array
  readonly place: Place
  readonly fields: readonly Field[]
}

export interface Peeled {
  readonly layers: readonly Layer[]
  /** Connections or streams that looked like TLS whose keys were given, and that did not decrypt with them. */
  readonly failures: readonly string[]
}

interface Side {
  readonly bytes: Uint8Array
  readonly place: Place
}

interface Pair {
  readonly path: string
  readonly up: Side
  readonly down: Side
}

const TLS_HANDSHAKE = 22
const MAX_DEPTH = 8
/** docs/protocol.md, sections 3 and 4. */
const MUX_KIND_BYTES = 1
const MUX_PORT_BYTES = 2
const MUX_NAME = 3

/** Peels one connection with the key logs (NSS lines) of whoever looks. Never throws. */
export function peel(
  streams: { readonly up: Uint8Array; readonly down: Uint8Array },
  keylogs: readonly string[],
): Peeled {
  const peeler = new Peeler(keylogs)
  const whole = (bytes: Uint8Array): Side => ({ bytes, place: (offset, length) => ({ offset, length }) })
  peeler.pair({ path: 'tcp', up: whole(streams.up), down: whole(streams.down) }, 0)
  return peeler
}

class Peeler implements Peeled {
  readonly layers: Layer[] = []
  readonly failures: string[] = []
  #keylogs: readonly string[]

  constructor(keylogs: readonly string[]) {
    this.#keylogs = keylogs
  }

  pair(pair: Pair, depth: number): void {
    const inner =
      depth < MAX_DEPTH ? (this.#proxyHandshake(pair) ?? this.#tls(pair) ?? this.#webSocket(pair)) : undefined
    if (inner === undefined) return this.#layer(pair, attempt(() => httpFields(pair)) ?? { up: [], down: [] })
    for (const next of inner) this.pair(next, depth + 1)
  }

  #layer(pair: Pair, fields: { up: readonly Field[]; down: readonly Field[] }): void {
    for (const direction of ['up', 'down'] as const) {
      const { bytes, place } = pair[direction]
      if (bytes.length > 0)
        this.layers.push({ path: pair.path, direction, bytes, place, fields: fields[direction] })
    }
  }

  #proxyHandshake(pair: Pair): Pair[] | undefined {
    const streams = { client: pair.up.bytes, server: pair.down.bytes }
    const first = pair.up.bytes[0]
    if (startsWith(pair.up.bytes, 'CONNECT ')) {
      const connect = attempt(() => dissectConnect(streams))
      if (connect === undefined) return undefined
      this.#layer(pair, { up: connect.client, down: connect.server })
      return connect.tunnel === undefined ? [] : [from(pair, 'connect', connect.tunnel)]
    }
    if (first !== 4 && first !== 5) return undefined
    const socks = attempt(() => dissectSocks(streams))
    if (socks === undefined) return undefined
    this.#layer(pair, { up: socks.client, down: socks.server })
    return socks.payload === undefined ? [] : [from(pair, 'socks', socks.payload)]
  }

  #tls(pair: Pair): Pair[] | undefined {
    if (pair.up.bytes[0] !== TLS_HANDSHAKE) return undefined
    const hello = attempt(() => dissectClientHello(pair.up.bytes))
    if (hello === undefined) return undefined
    this.#layer(pair, { up: hello.fields, down: [] })
    const random = Buffer.from(hello.random).toString('hex')
    const keylog = this.#keylogs.find((lines) => lines.toLowerCase().includes(random))
    if (keylog === undefined) return []
    try {
      const plain = decryptTls13({ clientBytes: pair.up.bytes, serverBytes: pair.down.bytes, keylog })
      const path = `${pair.path} > tls`
      for (const [direction, messages] of [
        ['up', plain.handshake.client],
        ['down', plain.handshake.server],
      ] as const) {
        const bytes = Buffer.concat(messages)
        this.layers.push({ path: `${path} handshake`, direction, bytes, place: () => undefined, fields: [] })
      }
      return [
        {
          path,
          up: { bytes: plain.client, place: through(plain.spans.client, pair.up.place) },
          down: { bytes: plain.server, place: through(plain.spans.server, pair.down.place) },
        },
      ]
    } catch (thrown) {
      this.failures.push(`${pair.path}: ${thrown instanceof Error ? thrown.message : 'decryption failed'}`)
      return []
    }
  }

  #webSocket(pair: Pair): Pair[] | undefined {
    if (!startsWith(pair.up.bytes, 'GET /tunnel ')) return undefined
    const client = attempt(() => dissectWebSocket(pair.up.bytes, 'client'))
    const server = attempt(() => dissectWebSocket(pair.down.bytes, 'server'))
    if (client === undefined || server === undefined) return undefined
    this.#layer(pair, { up: client.fields, down: server.fields })
    const streams = new Map<number, { up: Gathered; down: Gathered }>()
    for (const [direction, messages] of [
      ['up', client.messages],
      ['down', server.messages],
    ] as const) {
      const control = new Gathered()
      const fields: Field[] = []
      for (const message of messages) {
        const frame = message.kind === 'binary' ? attempt(() => decodeFrame(message.payload)) : undefined
        if (frame === undefined) continue
        if (frame.type === 'data') {
          const stream = streams.get(frame.stream) ?? { up: new Gathered(), down: new Gathered() }
          streams.set(frame.stream, stream)
          stream[direction].add(frame.payload, message.spans, HEADER_BYTES)
        } else {
          fields.push(...muxFields(frame, message.payload, control.length))
          control.add(message.payload, message.spans, 0)
        }
      }
      const place = through(control.spans, pair[direction].place)
      this.layers.push({ path: `${pair.path} > mux`, direction, bytes: control.bytes(), place, fields })
    }
    return [...streams].map(([id, { up, down }]) => ({
      path: `${pair.path} > mux stream ${id}`,
      up: { bytes: up.bytes(), place: through(up.spans, pair.up.place) },
      down: { bytes: down.bytes(), place: through(down.spans, pair.down.place) },
    }))
  }
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

function through(spans: readonly Span[], outer: Place): Place {
  return (at, length) => {
    const found = locate(spans, at, length)
    return found && outer(found.offset, found.length)
  }
}

function from(pair: Pair, name: string, start: { readonly client: number; readonly server: number }): Pair {
  const cut = ({ bytes, place }: Side, at: number): Side => ({
    bytes: bytes.subarray(at),
    place: (offset, length) => place(offset + at, length),
  })
  return {
    path: `${pair.path} > ${name}`,
    up: cut(pair.up, start.client),
    down: cut(pair.down, start.server),
  }
}

/** The address in a frame that stands at `at`: behind its type, and a name's length; its port is behind it. */
function muxFields(frame: Frame, message: Uint8Array, at: number): Field[] {
  if (frame.type !== 'open' && frame.type !== 'opened') return []
  const type = HEADER_BYTES + (frame.type === 'open' ? MUX_KIND_BYTES : 0)
  const start = type + (message[type] === MUX_NAME ? 2 : 1)
  const place = { offset: at + start, length: message.length - MUX_PORT_BYTES - start }
  return frame.type === 'open'
    ? [{ name: 'mux.open.host', value: frame.destination.host, ...place }]
    : [{ name: 'mux.opened.host', value: frame.bound.address, ...place }]
}

function httpFields(pair: Pair): { up: readonly Field[]; down: readonly Field[] } {
  return {
    up: dissectHttpRequest(pair.up.bytes)?.fields ?? [],
    down: dissectHttpResponse(pair.down.bytes)?.fields ?? [],
  }
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  return (
    Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, text.length)).toString('latin1') ===
    text
  )
}

/** What a dissector says of bytes that are not its protocol is "no". */
export function attempt<T>(read: () => T | undefined): T | undefined {
  try {
    return read()
  } catch (thrown) {
    if (thrown instanceof GatewayError) return undefined
    throw thrown
  }
}
