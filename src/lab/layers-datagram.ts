// The layers of datagrams, and of DNS on a stream: the SOCKS header that an association puts before each datagram
// (RFC 1928 section 7), and the DNS message in it. Rule: each datagram is read by itself.
import { decodeUdpMessage } from '../protocol/socks/udp.ts'
import type { Direction, Frame } from './capture.ts'
import { dissectDns } from './dissect/dns.ts'
import type { Field } from './dissect/field.ts'
import { attempt, type Layer, type Pair, type Place } from './layer.ts'

const NAME_TYPE = 3
const TYPE_AT = 3
const PORT_BYTES = 2
/** RFC 1035 section 4.2.2: on a stream a message stands behind its length. */
const LENGTH_BYTES = 2

/** Places count in the connection's direction, as those of streams do. */
export function peelDatagram({ direction, bytes, streamOffset }: Frame): Layer[] {
  const place: Place = (offset, length) => ({ offset: streamOffset + offset, length })
  return datagramLayers({ path: 'udp', direction, bytes, place })
}

interface Datagram {
  readonly path: string
  readonly direction: Direction
  readonly bytes: Uint8Array
  readonly place: Place
}

export function datagramLayers({ path, direction, bytes, place }: Datagram): Layer[] {
  const layer = (fields: readonly Field[]): Layer => ({ path, direction, bytes, place, fields })
  const socks = path === 'udp' ? attempt(() => decodeUdpMessage(bytes)) : undefined
  if (socks === undefined) return [layer(attempt(() => dissectDns(bytes))?.fields ?? [])]
  const payloadAt = bytes.length - socks.payload.length
  const hostAt = TYPE_AT + (bytes[TYPE_AT] === NAME_TYPE ? 2 : 1)
  const host = direction === 'up' ? 'socks.request.host' : 'socks.bound.host'
  const header = {
    name: bytes[TYPE_AT] === NAME_TYPE ? host.replace('host', 'name') : host,
    value: socks.destination.host,
    offset: hostAt,
    length: payloadAt - PORT_BYTES - hostAt,
  }
  return [
    layer([header]),
    ...datagramLayers({
      path: `${path} > socks`,
      direction,
      bytes: socks.payload,
      place: (at, length) => place(at + payloadAt, length),
    }),
  ]
}

/** Undefined where the client's stream is no DNS messages from its first byte to its last. */
export function streamedDnsLayers(pair: Pair): Layer[] | undefined {
  const layers: Layer[] = []
  for (const direction of ['up', 'down'] as const) {
    const { bytes, place } = pair[direction]
    const fields = streamedDnsFields(bytes)
    if (fields === undefined) return undefined
    layers.push({ path: pair.path, direction, bytes, place, fields })
  }
  return layers
}

function streamedDnsFields(bytes: Uint8Array): Field[] | undefined {
  const fields: Field[] = []
  for (let at = 0; at < bytes.length;) {
    const start = at + LENGTH_BYTES
    const end = start + (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0)
    if (end > bytes.length) return undefined
    for (const field of dissectDns(bytes.subarray(start, end)).fields)
      fields.push({ ...field, offset: field.offset + start })
    at = end
  }
  return fields
}
