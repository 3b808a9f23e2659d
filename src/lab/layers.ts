// Peels a captured connection: CONNECT and SOCKS handshakes, TLS where its keys are at hand, WebSocket and the mux
// inside, and so on inwards. Rules: every layer can lead a byte back to the captured stream; what needs keys is
// peeled with the keys given and no others, so that who holds which keys decides who can read what.
import { streamBytes, type CapturedConnection } from './capture.ts'
import { decryptTls12 } from './decrypt/tls12.ts'
import { decryptTls13 } from './decrypt/tls13.ts'
import { dissectClientHello } from './dissect/client-hello.ts'
import { dissectConnect } from './dissect/connect.ts'
import type { Field } from './dissect/field.ts'
import { dissectServerHello } from './dissect/server-hello.ts'
import { dissectSocks } from './dissect/socks.ts'
import { dissectWebSocket } from './dissect/websocket.ts'
import { attempt, through, type Layer, type Pair, type Side } from './layer.ts'
import { peelDatagram, streamedDnsLayers } from './layers-datagram.ts'
import { httpLayers } from './layers-http.ts'
import { muxLayers } from './layers-mux.ts'

export interface Peeled {
  readonly layers: readonly Layer[]
  /** Connections or streams that looked like TLS whose keys were given, and that did not decrypt with them. */
  readonly failures: readonly string[]
}

const TLS_HANDSHAKE = 22
const TLS12 = 0x0303
const MAX_DEPTH = 8

/** Peels one captured connection, of whichever transport, with the key logs (NSS lines) of whoever looks. Never throws. */
export function peelConnection(connection: CapturedConnection, keylogs: readonly string[]): Peeled {
  if (connection.transport === 'udp') return { layers: connection.frames.flatMap(peelDatagram), failures: [] }
  return peel({ up: streamBytes(connection, 'up'), down: streamBytes(connection, 'down') }, keylogs)
}

/** Peels the two streams of one TCP connection; else as above. */
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
    if (inner === undefined) return void this.layers.push(...plainLayers(pair))
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
      const capture = { clientBytes: pair.up.bytes, serverBytes: pair.down.bytes, keylog }
      const isTls12 = attempt(() => dissectServerHello(pair.down.bytes))?.version === TLS12
      const plain = isTls12 ? decryptTls12(capture) : decryptTls13(capture)
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
    const mux = muxLayers(pair, client.messages, server.messages)
    this.layers.push(...mux.layers)
    return mux.streams
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

/** What has nothing more to take off but what HTTP put around its bodies. */
function plainLayers(pair: Pair): Layer[] {
  const plain = (['up', 'down'] as const).map((direction): Layer => ({
    path: pair.path,
    direction,
    ...pair[direction],
    fields: [],
  }))
  const layers = attempt(() => httpLayers(pair)) ?? attempt(() => streamedDnsLayers(pair)) ?? plain
  return layers.filter(({ bytes }) => bytes.length > 0)
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  return (
    Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, text.length)).toString('latin1') ===
    text
  )
}
